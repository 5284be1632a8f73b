"""Runs kept and queried: one SQLite file by default, PostgreSQL for a team; export and import.

Curves and spans are compressed blocks beside their run; what lists and filters need are plain columns. This
layer keeps and returns records; it computes no joules. It may import from ``runs`` and from above it, not
from below.
"""

from wattmark.store.export import export, export_name
from wattmark.store.importing import import_file
from wattmark.store.store import Store, open_store
from wattmark.store.summaries import RunSummary

__all__ = ["RunSummary", "Store", "export", "export_name", "import_file", "open_store"]
