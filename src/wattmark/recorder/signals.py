"""Which signals a recorder must outlive: they are meant for the work, which it records to the end.

Standard library only; ``_signal``, since ``signal`` gives its numbers names and loads five modules for it.
"""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]

_NUMBERS: dict[str, int] = dict(vars(_signal))  # pyright: ignore[reportUnknownArgumentType]
DEADLY: tuple[int, ...] = tuple(
    _NUMBERS[name]
    for name in (
        "SIGINT", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGPIPE", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGXFSZ",
    )
)  # fmt: skip
"""What terminals, schedulers (USR1 before a time limit) and ``ulimit`` send."""
DEFAULT: tuple[int, ...] = (_NUMBERS["SIGTERM"], _NUMBERS["SIGCHLD"])
"""What a parent may have set to be ignored, and a new process must not inherit so."""
SIGCONT: int = _NUMBERS["SIGCONT"]


def ignore() -> None:
    """Ignore the deadly signals, those that came while they were blocked too."""
    for number in DEADLY:
        _signal.signal(number, _signal.SIG_IGN)  # pyright: ignore[reportUnknownMemberType]
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, DEADLY)  # pyright: ignore[reportUnknownMemberType]
