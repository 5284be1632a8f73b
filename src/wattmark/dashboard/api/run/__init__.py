"""One run: its head, power, spans, counts, and itself as one page."""
