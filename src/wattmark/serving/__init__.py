"""Load on model servers and what it costs: arrivals, workloads, a load client, per-request accounting, a local server.

Nothing is imported here; the client starts in well under 0.3 s and pulls numpy in only when figures are computed.
May import from the layers up to ``workloads``.
"""
