"""Why RAPL is not there or not readable, and the text that mends it. Nothing here changes the machine."""

from __future__ import annotations

import os
import shlex

from wattmark.sources.base import Host, read_text

UNREADABLE_FIX = "run `wattmark sources --fix`: it prints the udev rule and group that let you read it"

_SCRIPT = """\
#!/bin/sh
# Lets one group read the energy counters of this machine (run by root; Wattmark only prints this).
#
# Why they are root's alone: PLATYPUS (CVE-2020-8694 and CVE-2020-8695; https://platypusattack.com, IEEE S&P
# 2021) showed that fine-grained energy readings are a side channel: they can leak keys from other processes
# and from SGX enclaves. Linux has made energy_uj readable by root only since 5.10. Give it to people whom you
# trust with what else runs on this machine, by a group, and not to everyone (no chmod o+r).
set -eu

# 1. A group, and you in it (log in again for it to count).
groupadd --system --force rapl
usermod --append --groups rapl "${{SUDO_USER:-$USER}}"

# 2. Now, once.
for file in {glob}/energy_uj {glob}/max_energy_range_uj; do
    if [ -e "$file" ]; then chgrp rapl "$file"; chmod g+r "$file"; fi
done

# 3. Whenever the driver adds a domain (boot, module loaded), by udev.
cat > /etc/udev/rules.d/70-wattmark-rapl.rules <<'RULE'
SUBSYSTEM=="powercap", ACTION=="add", KERNEL=="intel-rapl*:*", \\
  RUN+="/bin/chgrp rapl /sys%p/energy_uj /sys%p/max_energy_range_uj", \\
  RUN+="/bin/chmod g+r /sys%p/energy_uj /sys%p/max_energy_range_uj"
RULE
udevadm control --reload-rules

# 4. At boot as well, where the driver is there before udev (systemd machines).
if [ -d /run/systemd/system ]; then
cat > /etc/systemd/system/wattmark-rapl.service <<'UNIT'
[Unit]
Description=Let the group rapl read the energy counters
After=systemd-modules-load.service systemd-udev-settle.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'chgrp rapl {glob}/energy_uj {glob}/max_energy_range_uj'
ExecStart=/bin/sh -c 'chmod g+r {glob}/energy_uj {glob}/max_energy_range_uj'

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable wattmark-rapl.service
fi

# To take it back: rm /etc/udev/rules.d/70-wattmark-rapl.rules; systemctl disable wattmark-rapl.service;
# rm /etc/systemd/system/wattmark-rapl.service; groupdel rapl; then reboot.
"""


def fix_script(host: Host) -> str:
    """A shell script for root that lets a group read the counters, now and after every boot. Only text."""
    return _SCRIPT.format(glob=shlex.quote(host.sys("class", "powercap")) + "/intel-rapl*:*")


class Cpu:
    """What /proc/cpuinfo says that RAPL depends on."""

    __slots__ = ("family", "hypervisor", "model", "threads", "vendor")

    def __init__(self, host: Host) -> None:
        fields: dict[str, str] = {}
        for line in (read_text(host.proc("cpuinfo")) or "").split("\n\n", 1)[0].splitlines():
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
        self.vendor = {"GenuineIntel": "intel", "AuthenticAMD": "amd", "HygonGenuine": "amd"}.get(
            fields.get("vendor_id", ""), fields.get("vendor_id", "")
        )
        self.family = int(fields["cpu family"]) if fields.get("cpu family", "").isdigit() else None
        self.model = fields.get("model name", "")
        siblings = fields.get("siblings", "")
        self.threads = int(siblings) if siblings.isdigit() else 0
        """Logical CPUs of one package, also where a container shows fewer; 0 if it is not said."""
        self.hypervisor = "hypervisor" in fields.get("flags", "").split()


def why_absent(host: Host, cpu: Cpu) -> tuple[str, str | None]:
    """The most likely reason why powercap shows no RAPL domain, and what to do: (problem, fix)."""
    powercap = host.sys("class", "powercap")
    try:
        entries = os.listdir(powercap)
    except OSError:
        entries = []
    if any(entry.startswith("intel-rapl:") for entry in entries):
        return (
            f"{powercap} lists RAPL domains that lead nowhere: the container masks them "
            "(Docker does since 24.0.7, because of PLATYPUS).",
            "start the container with --security-opt systempaths=unconfined "
            "-v /sys/devices/virtual/powercap:/sys/devices/virtual/powercap:ro",
        )
    if cpu.hypervisor:
        return (
            "This is a virtual machine, and its hypervisor does not pass the energy counters on.",
            "measure on the host, or let the CPU model estimate it",
        )
    if cpu.vendor not in ("intel", "amd"):
        return "This processor has no RAPL (only Intel since 2011 and AMD since Zen have it).", None
    if read_text(host.sys("module", "intel_rapl_common", "initstate")) or entries:
        return "The RAPL driver is loaded but found no domain on this processor.", None
    return (
        f"{powercap} has no RAPL domain: the kernel module is not loaded, or a container hides it.",
        "sudo modprobe intel_rapl_msr",
    )
