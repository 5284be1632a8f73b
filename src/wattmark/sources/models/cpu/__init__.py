"""The CPU model: power from cumulative activity, curves by part, parts by name. Standard library only."""
