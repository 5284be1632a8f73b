"""Predictions that were made, kept until what they were about has happened, and then beside what came of it.

A prediction is about a run by the run's id (one made while it went on), or by the run's tag ``prediction=ID`` (one made
before it). When such a run comes into the store its energy and time are written to the prediction. May import what the
store may.
"""
