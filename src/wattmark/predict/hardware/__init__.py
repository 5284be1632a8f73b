"""Hardware by name: accelerators, CPUs, devices, and what changes from one to another."""
