"""The data sets: sentences written for this project (Apache-2.0, files beside this one), and photographs, speech and files
that are made or found on the machine. Small on purpose: they say whether a model works, not which of two good ones is
better.
"""
