"""Other people's packages, imported when an integration is used (:func:`wattmark.extras.module_of`)."""

from __future__ import annotations

from wattmark.extras import module_of

__all__ = ["module_of"]
