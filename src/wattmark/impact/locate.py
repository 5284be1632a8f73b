"""Which zone this machine is in, from what the user said or what is already on the machine.

No network, no geolocation, no time zone. Cloud variables such as ``AWS_REGION`` also stand on laptops that
merely talk to a cloud, so they count only where the machine itself shows that it runs there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wattmark.documents import mapping
from wattmark.errors import ConfigError
from wattmark.impact.places import Zone, find_zone

CLOUD_INIT = "run/cloud-init/instance-data.json"

# cloud-init's names of the clouds (cloudinit.readthedocs.io, instance-data v1.cloud_name)
_CLOUD_INIT_NAMES = {"aws": "aws", "amazon": "aws", "gce": "gcp", "gcp": "gcp", "azure": "azure"}

_REGION_VARIABLES = {
    "aws": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "gcp": ("GOOGLE_CLOUD_REGION", "CLOUD_ML_REGION", "CLOUDSDK_COMPUTE_REGION"),
    "azure": ("AZURE_REGION", "AZURE_LOCATION", "REGION_NAME"),
}

# Variables that the clouds' own runtimes set inside what they run.
_INSIDE_VARIABLES = {
    "aws": (
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_BATCH_JOB_ID",
        "ECS_CONTAINER_METADATA_URI_V4",
    ),
    "gcp": ("K_SERVICE", "CLOUD_RUN_JOB", "CLOUD_ML_JOB_ID", "AIP_MODEL_DIR"),
    "azure": ("WEBSITE_SITE_NAME", "AZUREML_RUN_ID"),
}

# What the firmware of their virtual machines says (file of /sys/class/dmi/id, beginning of its text).
_FIRMWARE = {
    "aws": (("sys_vendor", "Amazon EC2"), ("bios_vendor", "Amazon EC2")),
    "gcp": (("product_name", "Google Compute Engine"),),
    # The asset tag is the same on every Azure machine; "Microsoft Corporation" alone may be Hyper-V anywhere.
    "azure": (("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77"),),
}


@dataclass(frozen=True, slots=True)
class FoundZone:
    """A zone and how it was found, in words: ``--zone``, ``configuration``, a file, a variable."""

    zone: Zone
    how: str


def resolve_zone(
    explicit: str | None,
    environ: Mapping[str, str],
    root: str = "/",
    *,
    configured: str | None = None,
) -> FoundZone | None:
    """The zone to account carbon for, or None if nothing tells (never a guess, never a world average).

    In this order: ``explicit`` (the flag), ``WATTMARK_ZONE``, ``configured`` (the configuration file),
    cloud-init's data under ``root``, then the cloud's region variable if the machine runs in that cloud.
    What a person wrote must be right; a cloud region that is not known here is passed over.

    Raises:
        ConfigError: the flag, ``WATTMARK_ZONE`` or the configuration names no zone.
    """
    said = (
        ("--zone", explicit),
        ("WATTMARK_ZONE", environ.get("WATTMARK_ZONE")),
        ("configuration", configured),
    )
    for how, text in said:
        if text and text.strip():
            try:
                return FoundZone(find_zone(text), how)
            except ConfigError as error:
                raise ConfigError(f"{how}: {error}", hint=error.hint) from error
    for text, how in (*_from_cloud_init(root), *_from_variables(environ, root)):
        try:
            return FoundZone(find_zone(text), how)
        except ConfigError:
            continue
    return None


def _from_cloud_init(root: str) -> Iterator[tuple[str, str]]:
    """``cloud:region`` from the file that cloud-init leaves on every boot; second, the availability zone."""
    try:
        data: Any = json.loads((Path(root) / CLOUD_INIT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    v1 = mapping(mapping(data).get("v1"))
    cloud = _CLOUD_INIT_NAMES.get(str(v1.get("cloud_name", "")).casefold())
    for key in ("region", "availability_zone"):
        place = v1.get(key)
        if cloud and isinstance(place, str) and place:
            yield f"{cloud}:{place}", f"/{CLOUD_INIT}"


def _from_variables(environ: Mapping[str, str], root: str) -> Iterator[tuple[str, str]]:
    for cloud, names in _REGION_VARIABLES.items():
        regions = [(environ[name], name) for name in names if environ.get(name)]
        if regions and _runs_in(cloud, environ, root):
            yield from ((f"{cloud}:{region}", name) for region, name in regions)


def _runs_in(cloud: str, environ: Mapping[str, str], root: str) -> bool:
    if any(environ.get(name) for name in _INSIDE_VARIABLES[cloud]):
        return True
    return any(_firmware(root, file).startswith(text) for file, text in _FIRMWARE[cloud])


def _firmware(root: str, file: str) -> str:
    try:
        return (Path(root) / "sys/class/dmi/id" / file).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
