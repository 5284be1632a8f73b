"""Image classifiers as a workload: networks (``zoo``), data sets (``data``) and one trainer (``train``).

The networks and the training recipe are those of the study arXiv 2503.23934. ``data`` needs numpy only;
``zoo`` and ``train`` need torch, and raise MissingExtra without it.
"""
