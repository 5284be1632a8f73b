"""Is this commit worse than the one before? Alternating pairs of base and head, a test that may stop early, three outcomes.

``repeat`` runs the command once, ``child`` beside it counts its CPU time, ``baseline`` says what to hold it against,
``decision`` decides, ``question`` is the door, ``outputs`` says it to people and machines, ``budgets`` are limits in
pyproject.toml.
"""
