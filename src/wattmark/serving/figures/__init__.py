"""What a load says: latencies, goodput, its steady part, sweeps."""
