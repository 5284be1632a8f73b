"""What a measured run would have cost elsewhere: place, hardware, duration, levels, each with its interval."""
