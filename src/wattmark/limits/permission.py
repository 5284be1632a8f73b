"""The text that lets a group set power caps. It is printed, never run."""

from __future__ import annotations

import shlex
import shutil

from wattmark.sources.base import Host

_SCRIPT = """\
#!/bin/sh
# Lets one group set the power caps of this machine's processors, AMD and Intel graphics cards (run by root; Wattmark only
# prints this). Whoever is in the group can slow the machine down: give it to people whom you trust with that.
set -eu

# 1. A group, and you in it (log in again for it to count).
groupadd --system --force powercap
usermod --append --groups powercap "${{SUDO_USER:-$USER}}"

# 2. Now, and by udev whenever a device is added.
cat > /usr/local/sbin/wattmark-caps <<'SCRIPT'
#!/bin/sh
for file in {root}/class/powercap/intel-rapl:*/constraint_*_power_limit_uw {root}/class/powercap/intel-rapl:*/enabled \\
            {root}/class/drm/card*/device/hwmon/hwmon*/power[12]_cap {root}/class/drm/card*/device/hwmon/hwmon*/power[12]_max
do
    if [ -e "$file" ]; then chgrp powercap "$file"; chmod g+w "$file"; fi
done
SCRIPT
chmod 755 /usr/local/sbin/wattmark-caps
/usr/local/sbin/wattmark-caps
cat > /etc/udev/rules.d/70-wattmark-caps.rules <<'RULE'
SUBSYSTEM=="powercap", ACTION=="add", KERNEL=="intel-rapl:*", RUN+="/usr/local/sbin/wattmark-caps"
SUBSYSTEM=="hwmon", ACTION=="add", RUN+="/usr/local/sbin/wattmark-caps"
RULE
udevadm control --reload-rules

# 3. At boot as well, where the driver is there before udev (systemd machines).
if [ -d /run/systemd/system ]; then
cat > /etc/systemd/system/wattmark-caps.service <<'UNIT'
[Unit]
Description=Let the group powercap set power caps
After=systemd-modules-load.service systemd-udev-settle.service

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/wattmark-caps

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable wattmark-caps.service
fi

# 4. NVIDIA's driver lets root alone set a power limit. Run the search as root and the work as yourself:
#      sudo wattmark advise cap --apply -- sudo -u you python train.py
#    A cap that is to be kept (--keep) lasts as long as the driver is loaded: sudo nvidia-smi -pm 1

# 5. To let the group put left-over caps back as root (it can run nothing else by this):
#      echo '%powercap ALL=(root) NOPASSWD: {wattmark} advise caps --restore' > /etc/sudoers.d/wattmark-caps
#    only where root alone can write to {wattmark} and to the Python that it belongs to.

# To take it back: rm /etc/udev/rules.d/70-wattmark-caps.rules /etc/sudoers.d/wattmark-caps
# /usr/local/sbin/wattmark-caps; systemctl disable
# wattmark-caps.service; rm /etc/systemd/system/wattmark-caps.service; groupdel powercap; then reboot.
"""


def permit_script(host: Host) -> str:
    """A shell script for root that lets a group set caps, now and after every boot. Only text."""
    here = shutil.which("wattmark") or ""
    plain = here if shlex.quote(here) == here else "/usr/local/bin/wattmark"
    return _SCRIPT.format(root=shlex.quote(host.sysfs.rstrip("/")), wattmark=plain)
