"""How a request travels: connections, event streams, dialects of servers, bodies."""
