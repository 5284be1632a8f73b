"""The words of a report: summary, findings, methods."""
