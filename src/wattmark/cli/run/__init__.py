"""``wattmark run``: a command as a shell would run it, measured; ``early`` is what ``--predict`` adds."""
