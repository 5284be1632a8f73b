"""perun: the ``@perun`` decorator; its power of CPU and DRAM, integrated by itself to an energy."""

from __future__ import annotations

import time

MODULE = "perun"
SETTINGS = "@perun(sampling_period=period, format='json')"


def measure(work, period_s, folder):
    import perun

    found = []

    def application():
        perun.register_callback(lambda node: found.append(joules(node)))
        work()

    perun.perun(sampling_period=period_s, data_out=folder, format="json")(application)()
    return found[-1] if found else None


def joules(node):
    """The energy that perun gives for the one run that was made, in joules."""
    from perun.data_model.data import MetricType

    metric = node.metrics.get(MetricType.ENERGY)
    if metric is None:
        return None
    value = float(getattr(metric, "mean", getattr(metric, "value", None)))
    return value * metric.metric_md.mag.value


def windows(n, folder):
    import perun

    seconds = []
    for i in range(n + 1):
        begin = time.perf_counter()
        perun.perun(sampling_period=1, data_out=folder, format="json")(lambda: None)()
        if i:
            seconds.append(time.perf_counter() - begin)
    return seconds


def saved(folder):
    import glob
    import json

    for path in sorted(glob.glob(folder + "/*.json")):
        with open(path) as file:
            text = file.read()
        if text.strip():
            return _energy(json.loads(text))
    return None


def _energy(node):
    metrics = node.get("metrics", {})
    energy = metrics.get("energy")
    return None if energy is None else float(energy.get("mean", energy.get("value")))
