"""Alembic migrations of the store, a file in ``versions/`` for each change; engine.py runs them."""
