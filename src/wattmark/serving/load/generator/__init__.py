"""The load generator: its schedule, the turns that it sends, their time limits, and the engine that joins them."""
