"""Lists of runs: the table, totals, trash, exports."""
