"""Beyond one run: the full cycle of a model from its data to its use, and what drives a whole fleet's carbon."""
