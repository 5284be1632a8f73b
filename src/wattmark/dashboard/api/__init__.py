"""The routes: what the page asks, answered as documents with a published description."""
