"""How commands print: tables, charts, the live line, JSON."""
