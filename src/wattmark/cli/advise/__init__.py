"""``wattmark gate`` and what advises: commands over :mod:`wattmark.advise`. May import all layers above."""
