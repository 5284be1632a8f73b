"""Redundancy of an energy's features, and what less of it is worth (Laakom et al., arXiv 2306.01489).

``regulariser`` and ``bounds`` are the quantities, ``curves`` the data, ``regression`` the models: many at once, so that
twenty seeds cost little more than one.
"""
