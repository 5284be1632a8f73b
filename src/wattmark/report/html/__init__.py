"""One HTML page that needs nothing else."""
