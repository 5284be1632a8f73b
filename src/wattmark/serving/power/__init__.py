"""Joules of servers elsewhere: from a Prometheus, or from an exporter's own page, by URL.

Their samples become the same energy curves as those of sensors here, on this machine's clock. May import what is above
``serving``, and of it ``server``.
"""
