"""Pipelines: every stage that runs is a run, tagged with its part of a model's life, so that the whole cycle adds up."""
