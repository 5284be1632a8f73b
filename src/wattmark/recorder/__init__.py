"""The flight recorder: a small process that samples sources and appends to a journal that survives anything.

Standard library only. May import ``errors``, ``units`` and ``sources``.
"""
