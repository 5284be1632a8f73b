"""What asks a command to end (a scheduler, a cancelled job, a closed terminal) is taken as Ctrl-C is."""

from __future__ import annotations

import signal


def end_as_ctrl_c() -> None:
    """From now on SIGTERM and SIGHUP raise KeyboardInterrupt, so that what was begun is cleared up and what was seen is
    shown. SIGHUP stays ignored where it is (nohup)."""
    for one in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, signal.default_int_handler)
