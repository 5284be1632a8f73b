"""For people who extend Wattmark: test suites that a new part can be held against, the same that ours pass.

A suite is imported from its module (``predictor_contract``, ``store_contract``,
``executor_contract``); that of sources is here.
Nothing here is imported by the rest of the package.
"""

from wattmark.testing.source_contract import SourceContract

__all__ = ["SourceContract"]
