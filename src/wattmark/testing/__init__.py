"""For people who extend Wattmark: test suites that a new part can be held against, the same that ours pass.

Nothing here is imported by the rest of the package.
"""

from wattmark.testing.source_contract import SourceContract

__all__ = ["SourceContract"]
