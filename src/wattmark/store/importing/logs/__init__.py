"""Readers of logs of powers and counters over time: integrated here. May import the modules beside this folder."""
