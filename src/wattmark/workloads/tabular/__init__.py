"""Anomaly detection in industrial sensor streams with scikit-learn, after arXiv 2307.00361.

``streams`` makes or reads the data and needs numpy only; ``workload`` needs scikit-learn, and raises MissingExtra
without it.
"""
