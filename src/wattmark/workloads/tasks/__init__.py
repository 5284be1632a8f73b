"""Tasks that people deploy, each with a data set, models by name and a measure of quality: what a thousand inferences cost.

``base`` says what a task and a model are, ``catalogue`` knows them by name, ``kinds`` are ours, ``models`` what runs them,
``weights`` the packages that bring real weights, pinned. May import what workloads may; importing it loads no framework.
"""
