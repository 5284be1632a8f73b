"""Wattmark inside other people's tools; each module is loaded by its tool only, and may import all layers above."""
