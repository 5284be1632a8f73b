"""What to change, and what says so: every study, history of runs and benchmark of a server goes through one analysis.

``advice`` turns what the analysis found (:mod:`wattmark.studies.analysis`) into things to do, ``history`` makes a study of
kept runs, ``question`` is ``wm.advise()``.
"""
