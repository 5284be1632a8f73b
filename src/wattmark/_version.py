"""The version: the one place for it (the build reads it from here)."""

__version__ = "0.1.0"
