"""A plan handed to the scheduler that is there: SLURM, systemd, at, cron, Kubernetes. Printed, never run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime, timezone

SCHEDULERS = ("slurm", "systemd", "at", "cron", "kubernetes")


def handover(scheduler: str, start_s: float, command: Sequence[str]) -> str:
    """What starts ``command`` at ``start_s`` (Unix seconds); ``scheduler`` is one of :data:`SCHEDULERS`."""
    start = datetime.fromtimestamp(start_s, timezone.utc)
    words = shlex.join(command)
    local = start.astimezone()
    if scheduler == "slurm":  # sbatch(1): --begin is local time of the cluster
        return f"sbatch --begin={local:%Y-%m-%dT%H:%M:%S} --wrap {shlex.quote(words)}"
    if scheduler == "systemd":  # systemd.time(7)
        return f"systemd-run --user --on-calendar={shlex.quote(f'{start:%Y-%m-%d %H:%M:%S} UTC')} -- {words}"
    if scheduler == "at":  # at(1)
        return f"echo {shlex.quote(words)} | TZ=UTC at -t {start:%Y%m%d%H%M.%S}"
    if scheduler == "cron":  # crontab(5): % ends a line; the line removes itself
        line = words.replace("%", r"\%")
        mark = f"wattmark-{start:%Y%m%d%H%M}"
        return (
            f"{local.minute} {local.hour} {local.day} {local.month} * {line}; "
            f"crontab -l | grep -v {mark} | crontab -  # {mark}"
        )
    arguments = "".join(f"\n            - {_yaml(word)}" for word in command)
    return (
        "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: wattmark-planned\nspec:\n"
        f'  schedule: "{start.minute} {start.hour} {start.day} {start.month} *"\n'
        "  timeZone: Etc/UTC\n  concurrencyPolicy: Forbid\n  jobTemplate:\n    spec:\n      template:\n        spec:\n"
        "          restartPolicy: Never\n          containers:\n          - name: job\n            image: IMAGE\n"
        f"            command:{arguments}"
    )


def _yaml(word: str) -> str:
    """A JSON string is a YAML string."""
    import json

    return json.dumps(word)
