"""A model server of our own on this machine: which program, which model file, started and stopped."""
