"""Every failure that Wattmark reports, at a glance.

WattmarkError
├── ConfigError            a setting, flag or file that cannot be used as it stands
├── SourceError            something about a place where joules come from
│   ├── SourceGone         fatal: drop this source for the rest of the run
│   ├── SourceRetry        this reading failed; the next one may succeed
│   └── SourceEnded        the source has nothing more to give (a replayed trace is over)
├── RecorderError          the recorder could not be started or did not answer
├── JournalError           a journal that cannot be read at all (not merely a torn tail)
├── StoreError             the store could not be opened, migrated or queried
│   └── RunNotFound        no run, or more than one run, fits what was asked for
├── ImportFileError        a file offered for import that is not what it should be
├── ProviderError          a publisher of carbon intensity that does not answer, or not usefully
├── ServerError            a model server that cannot be reached, or not be used as asked
└── MissingExtra           an optional dependency is not installed

A message says what happened and why; ``hint`` says what to do next.
"""

from __future__ import annotations


class WattmarkError(Exception):
    """Base of all errors of Wattmark.

    ``str(error)`` is one line: what happened and why. ``error.hint`` is the next step, or None.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(WattmarkError):
    """A setting, flag or file that cannot be used as it stands."""

    exit_code = 2


class SourceError(WattmarkError):
    """Something about a place where joules come from."""


class SourceGone(SourceError):
    """Fatal: the recorder drops the source for the rest of the run, and its coverage has a hole."""


class SourceRetry(SourceError):
    """This reading failed; the recorder tries again at the next tick, and the gap shows in the coverage."""


class SourceEnded(SourceError):
    """The source has nothing more to give; what it gave so far stands."""


class RecorderError(WattmarkError):
    """The recorder could not be started or did not answer."""


class JournalError(WattmarkError):
    """A journal that cannot be read at all; a torn tail is no error, it is dropped."""


class StoreError(WattmarkError):
    """The store could not be opened, migrated or queried."""


class RunNotFound(StoreError):
    """No run, or more than one, fits what was asked for."""


class ImportFileError(WattmarkError):
    """A file offered for import that is not what it should be."""


class ProviderError(WattmarkError):
    """A publisher of carbon intensity or prices that does not answer, or not usefully."""


class ServerError(WattmarkError):
    """A model server that cannot be reached, or that cannot be used as asked."""


class MissingExtra(WattmarkError):
    """An optional dependency is not installed.

    ``MissingExtra("pandas", "pandas")`` tells the user the extra to install.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs {package}, which is not installed", hint=f"pip install 'wattmark[{extra}]'"
        )
