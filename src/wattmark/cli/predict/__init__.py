"""``wattmark predict``: its commands."""
