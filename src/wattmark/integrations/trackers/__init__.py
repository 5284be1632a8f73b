"""Joules beside the loss in experiment trackers: one file for each, over the few calls of ``base``."""
