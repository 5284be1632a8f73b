"""Machines with known answers, as trees of sysfs: for tests of what reads sensors and sets power caps."""
