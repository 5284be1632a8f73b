"""A run as people look at it in Python: rows for pandas, and a small chart in a notebook."""
