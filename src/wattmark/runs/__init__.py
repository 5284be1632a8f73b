"""The record of measured work: runs, spans, energy curves, attribution and the idle baseline.

May import ``errors``, ``units``, ``quantity``, ``sources`` and ``recorder``. What a measured process imports
(``measure``) stays within the standard library; numpy comes in when results are asked for.
"""
