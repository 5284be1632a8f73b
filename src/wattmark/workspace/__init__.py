"""The one door to the runs: open the configured store, take in what is left over, find, add, give results with carbon."""
