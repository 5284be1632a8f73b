"""Commands about carbon over time: what a run emitted, and when to run."""
