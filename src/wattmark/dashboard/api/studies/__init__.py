"""Studies and their cells, effects and findings."""
