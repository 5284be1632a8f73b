"""NVIDIA boards through the vendor's library: counters, power, what each generation means by them. Standard library only."""
