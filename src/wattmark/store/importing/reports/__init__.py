"""Readers of totals that another tool worked out: kept as it reported them. May import the modules beside this folder."""
