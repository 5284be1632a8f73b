"""Serving of language models as a workload of studies."""
