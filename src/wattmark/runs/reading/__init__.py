"""Journals of a run folder become one session: channels, spans, facts. What is torn is left out, never the rest."""
