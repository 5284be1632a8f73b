"""A run that goes on: how far it is, how long it will take, what it will cost, and whether a budget holds.

Pure functions and small states over times, joules and text; who watches a run (``wattmark run``, ``top``) feeds them. May
import what ``predict`` may.
"""
