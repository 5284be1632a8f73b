"""Results as something to read: tables, figures, and one self-contained HTML file per study.

Every number that leaves here has its unit, its interval and how it was got; nothing is computed twice that the
analysis has computed. May import everything above it down to ``studies``; matplotlib is imported when a figure is drawn.
"""
