"""Trials on other machines: what travels (``shipment``), what all such executors share (``base``), and one file for each way
there: SSH hosts, SLURM, Ray, Kubernetes."""
