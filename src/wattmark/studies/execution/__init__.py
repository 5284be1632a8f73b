"""How trials are run: executors, quiet machines, state that survives, results that are taken over."""
