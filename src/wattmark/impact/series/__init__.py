"""Intensity over time: series of a grid as its publishers write them, and what a time of work falls on."""

from wattmark.impact.series.readers import read_series
from wattmark.impact.series.series import IntensitySeries, Piece, Signal

__all__ = ["IntensitySeries", "Piece", "Signal", "read_series"]
