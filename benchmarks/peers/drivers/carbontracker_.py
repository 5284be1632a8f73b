"""CarbonTracker: one epoch is one window. Its energies carry a PUE of 1.58, as it reports them."""

from __future__ import annotations

import time

MODULE = "carbontracker.tracker"
SLOW = True  # a reading takes a second, whatever period is asked for
SETTINGS = (
    "CarbonTracker(epochs=2, components='cpu', update_interval=period); each reading sleeps 1 s by design"
)


def tracker(period_s, folder):
    from carbontracker.tracker import CarbonTracker

    return CarbonTracker(
        epochs=1_000_000,
        epochs_before_pred=0,
        components="cpu",
        update_interval=period_s,
        log_dir=folder,
        verbose=0,
    )


def measure(work, period_s, folder):
    meter = tracker(period_s, folder)
    meter.epoch_start()
    work()
    meter.epoch_end()
    kwh = meter.tracker.total_energy_per_epoch().sum()
    meter.stop()
    return float(kwh) * 3.6e6


def windows(n, folder):
    """A further window is a further epoch; its results wait for a reading that takes a second."""
    meter = tracker(1.0, folder)
    seconds = []
    for i in range(n + 1):
        begin = time.perf_counter()
        meter.epoch_start()
        meter.epoch_end()
        if i:
            seconds.append(time.perf_counter() - begin)
    meter.stop()
    return seconds


def saved(folder):
    """Its log file names watts per epoch that ended, and energies of trackings that ended; none is left of one cut off."""
    import re
    from pathlib import Path

    text = "".join(path.read_text() for path in Path(folder).glob("*output.log"))
    found = re.findall(r"Energy:\s*([\d.e-]+) kWh", text)
    return float(found[-1]) * 3.6e6 if found else None
