"""A study as columns: trials, cells, metrics, quality; what every analysis reads."""
