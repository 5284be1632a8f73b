"""Models of the hardware for machines without a sensor: CPU by its activity, memory by its size. Standard library only."""
