"""Runs over several hosts: clocks laid upon one another, parts put together. Pure functions of records; which runs of a
store are parts of one job is for ``workspace.jobs``."""

PART_OF = "part-of"
"""The tag of a run that is one host's part of a job: the job's id."""
JOB = "job"
"""The tag of the run that the parts make: the job's id."""
