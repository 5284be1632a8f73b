"""Files that run the agent elsewhere: for systemd, Kubernetes, Prometheus and Grafana. ``docs/guide/agent.md`` uses them."""
