"""The load client: connections, event streams, arrivals, and one record for every request."""
