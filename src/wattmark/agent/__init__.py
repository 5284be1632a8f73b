"""The agent of a node: the one privileged process, which measures always and says whose the joules are.

``node`` reads the sources by the recorder's own code, ``processes`` and ``units`` say who ran, ``attribution`` and
``shares`` split energy so that every sum is exact. ``server`` answers the users of the machine over a UNIX socket,
``exposition`` and ``web`` Prometheus; ``service`` runs all of it. ``shipped`` holds the files for systemd, Kubernetes,
Grafana and Prometheus.
Clients are the source ``agent`` of :mod:`wattmark.sources.agent`. May import ``errors`` ... ``recorder``, and nothing that a
small process cannot afford.
"""
