"""Designed experiments: factors x levels x repeats, run one trial at a time on a quiet machine, analysed and drawn.

May import everything above it down to ``workloads`` and ``serving``. What belongs to one kind of model lives in
``workloads``; the engine knows only trials.
"""
