"""The command line: one file per command, loaded when it is asked for.

May import everything above; nothing imports it. What takes long to import (numpy, SQLAlchemy, rich, and for ``run`` typer
too) is imported inside the functions that need it.
"""

from wattmark.cli.entry import main

__all__ = ["main"]
