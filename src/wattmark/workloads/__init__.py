"""Things that burn energy on purpose: vision (and later tabular data, tasks, language models).

A workload does the work and names its stages through a ``span`` callable that is passed in; it measures no
energy itself. May import ``errors`` ... ``anatomy``. Importing this package loads no framework.
"""
