"""The web dashboard: an HTTP API over the store, live runs and studies, and the built web page (``static/``).

Imports every layer above it; nothing but the command line imports it. The page's source is in ``frontend/``.
"""
