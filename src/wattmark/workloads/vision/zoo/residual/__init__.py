"""Residual networks of the study's fourteen."""
