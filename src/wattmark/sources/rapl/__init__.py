"""Intel and AMD energy counters through powercap: finding the zones, unwrapping, mirrored dies, how to get access."""
