"""Power that a server's own management controller reads: Redfish over HTTPS, IPMI through ``ipmitool``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import SplitResult

from wattmark.errors import ConfigError, SourceRetry
from wattmark.workspace.meters.base import Sample
from wattmark.workspace.meters.http import PASSWORD, TIMEOUT_S, USER, NoSuchPath, device_at, number_at

CONTROLLER_SHARE = 0.05
"""Makers of servers state no class for their supplies' sensors; 5 % is our judgement."""
_READING = re.compile(r"Instantaneous power reading:\s*(\d+)\s*Watts", re.IGNORECASE)


class Redfish:
    """``redfish://HOST[/CHASSIS]``: EnvironmentMetrics' PowerWatts, else Power's PowerConsumedWatts (DMTF DSP0266,
    DSP0268)."""

    share = CONTROLLER_SHARE

    def __init__(self, address: SplitResult) -> None:
        self._device = device_at(address, secure=True)
        self.name = self._device.name
        self._chassis = address.path.strip("/")
        self._paths: list[str] | None = None

    def read(self) -> Sample:
        """Ask it; what answers with watts is found at the first time."""
        for path in self._candidates():
            try:
                data = self._device.get(path)
            except NoSuchPath:
                continue
            power = number_at(data, "PowerWatts", "Reading")
            if power is None:
                power = number_at(data, "PowerControl", 0, "PowerConsumedWatts")
            if power is not None:
                self._paths = [path]
                return Sample(power)
        raise ConfigError(f"{self.name} gives no power of a chassis", hint=f"name the chassis: {self.name}/1")

    def _candidates(self) -> list[str]:
        if self._paths is not None:
            return self._paths
        root = "/redfish/v1/Chassis"
        if self._chassis:
            homes = [f"{root}/{self._chassis}"]
        else:
            members: Any = self._device.get(root).get("Members")
            listed = cast("list[Any]", members) if isinstance(members, list) else []
            homes = [
                str(cast("Mapping[str, Any]", one).get("@odata.id", ""))
                for one in listed
                if isinstance(one, Mapping)
            ]
            homes = [home.rstrip("/") for home in homes if home.startswith("/redfish/")]
        return [f"{home}/{leaf}" for home in homes for leaf in ("EnvironmentMetrics", "Power")]


class Ipmi:
    """``ipmi://`` (this machine) or ``ipmi://HOST``: DCMI's power reading (Intel, DCMI 1.5, 6.6.1) through ``ipmitool``."""

    share = CONTROLLER_SHARE

    def __init__(self, address: SplitResult) -> None:
        host = address.hostname or ""
        self.name = f"ipmi://{host}"
        tool = shutil.which("ipmitool")
        if tool is None:
            raise ConfigError(
                "ipmitool is not installed", hint="install it, or read the controller by redfish://HOST"
            )
        if host.startswith("-"):
            raise ConfigError(f"{self.name} is no host")
        self._command = [tool]
        self._environ = dict(os.environ)
        if host:
            self._command += ["-I", "lanplus", "-H", host, "-U", os.environ.get(USER, "admin"), "-E"]
            self._environ["IPMI_PASSWORD"] = os.environ.get(PASSWORD, "")
        self._command += ["dcmi", "power", "reading"]

    def read(self) -> Sample:
        """Ask it."""
        try:
            done = subprocess.run(
                self._command,
                capture_output=True,
                text=True,
                timeout=4 * TIMEOUT_S,
                check=False,
                env=self._environ,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SourceRetry(f"{self.name} does not answer: {error}") from error
        match = _READING.search(done.stdout)
        if match is None:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ConfigError(
                f"{self.name} gives no power: {said[0][:120] if said else f'ipmitool ended with {done.returncode}'}",
                hint="its controller must know DCMI, and /dev/ipmi0 be readable (root)",
            )
        return Sample(float(match[1]))
