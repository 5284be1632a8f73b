"""Predictions kept, scored when what they were about has ended, and predictors that learn from this machine's own runs.

May import what ``predict`` may; whoever makes a prediction for a user keeps it with ``keeping``.
"""
