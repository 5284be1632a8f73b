"""Which hardware there is: some two hundred accelerators, each from its data sheet, and the CPUs that Wattmark knows.

``sources/data/accelerators.csv`` is written by hand. Throughputs are dense (figures that vendors give for sparse
matrices are halved), ``fp16`` is the rate of 16-bit matrices that accumulate in 32 bits. What a data sheet does not say is
empty.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any, Literal

from wattmark.errors import ConfigError
from wattmark.sources.bounds import folded

Kind = Literal["gpu", "accelerator", "soc", "cpu"]
PRECISIONS = ("fp32", "tf32", "fp16", "fp8", "int8")

_DATA = Path(__file__).parents[2] / "sources" / "data"
_CPU_PARTS = _DATA / "cpu_parts.tsv"
_CPU_SOURCE = "mlco2/codecarbon (Intel ARK, AMD) and ioannismavromatis/sustainable-ai, MIT"
_CPU_URL = "https://github.com/mlco2/codecarbon"


@dataclass(frozen=True, slots=True)
class Hardware:
    """One part as it is sold. None is what nobody published.

    tdp_w: thermal design or board power. cap_min_w, cap_max_w: what its power limit may be set to.
    throughput: dense tera-operations per second by precision of :data:`PRECISIONS`. CPUs have ``cores`` and ``ghz``
    (base and turbo) instead.
    """

    id: str
    name: str
    vendor: str
    kind: Kind
    year: int | None = None
    tdp_w: float | None = None
    cap_min_w: float | None = None
    cap_max_w: float | None = None
    throughput: Mapping[str, float] = field(default_factory=dict[str, float])
    memory_gb: float | None = None
    bandwidth_gb_s: float | None = None
    cores: int | None = None
    base_ghz: float | None = None
    turbo_ghz: float | None = None
    source: str = ""
    url: str = ""
    aliases: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the API."""
        return {
            "id": self.id,
            "name": self.name,
            "vendor": self.vendor,
            "kind": self.kind,
            "year": self.year,
            "tdp_w": self.tdp_w,
            "cap_min_w": self.cap_min_w,
            "cap_max_w": self.cap_max_w,
            "throughput_tflops": dict(self.throughput),
            "memory_gb": self.memory_gb,
            "bandwidth_gb_s": self.bandwidth_gb_s,
            "cores": self.cores,
            "base_ghz": self.base_ghz,
            "turbo_ghz": self.turbo_ghz,
            "source": self.source,
            "url": self.url,
        }


@cache
def accelerators() -> tuple[Hardware, ...]:
    """All but the CPUs, in the order of the file (by maker and age)."""
    with (_DATA / "accelerators.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_accelerator(row) for row in csv.DictReader(file))


@cache
def processors() -> tuple[Hardware, ...]:
    """The CPUs of the table that the CPU model uses; some 5,000, read in some 20 ms."""
    found: dict[str, Hardware] = {}
    for line in _CPU_PARTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        key, tdp, cores, base, turbo, label = line.split("\t")
        part = "cpu:" + key.replace(" ", "-")
        found.setdefault(  # a part or two are in the table in two spellings
            part,
            Hardware(
                part,
                label,
                label.split(" ")[0],
                "cpu",
                tdp_w=_number(tdp),
                cores=int(cores) if cores else None,
                base_ghz=None if base.startswith("~") else _number(base),  # "~": of its family
                turbo_ghz=_number(turbo),
                source=_CPU_SOURCE,
                url=_CPU_URL,
                aliases=(key,),
            ),
        )
    return tuple(found.values())


def catalogue(kind: Kind | None = None) -> tuple[Hardware, ...]:
    """All hardware, accelerators first, or that of one kind."""
    if kind == "cpu":
        return processors()
    everything = accelerators() if kind else (*accelerators(), *processors())
    return tuple(one for one in everything if kind is None or one.kind == kind)


def find(text: str) -> Hardware:
    """The part that ``text`` means: an id, a name, or what NVML or ``/proc/cpuinfo`` call it, in any case.

    Raises:
        ConfigError: nothing is called so; the hint names the nearest.
    """
    found = of_device(text)
    if found is None:
        names = ", ".join(f"{one.id} ({one.name})" for one in near(text, 3))
        raise ConfigError(f"no hardware is called {text!r}", hint=f"did you mean {names}?" if names else None)
    return found


def of_device(name: str) -> Hardware | None:
    """The part with this device name, as ``NVIDIA A100-SXM4-80GB``; None where it is not in the catalogue."""
    return _accelerators_by_name().get(folded(name)) or _processors_by_name().get(_cpu_key(name))


def near(text: str, limit: int = 20, kind: Kind | None = None) -> list[Hardware]:
    """The parts whose names fit ``text`` best, best first: all its words, else a likeness; for a search box."""
    words = [word for word in re.split(r"[^a-z0-9.+]+", text.casefold()) if word]
    if not words:
        return list(catalogue(kind)[:limit])
    wanted = folded(text)
    ranked: list[tuple[float, int, Hardware]] = []
    for place, one in enumerate(catalogue(kind)):
        names = f"{one.id} {one.name} {' '.join(one.aliases)}".casefold()
        hits = sum(word in names for word in words)
        if hits == len(words):
            whole = set(words) <= set(re.split(r"[^a-z0-9.+]+", names))  # "a100" is not in "rtx a1000"
            score = 2 + whole + len(text) / (len(one.name) + 1)
        elif one.kind == "cpu":
            continue  # a likeness among thousands of names says little, and takes long
        else:
            score = SequenceMatcher(None, wanted, folded(one.name)).ratio() + 0.3 * hits / len(words)
            if score < 0.6:
                continue
        ranked.append((-score, place, one))
    return [one for _, _, one in sorted(ranked, key=lambda entry: entry[:2])[:limit]]


@cache
def _accelerators_by_name() -> Mapping[str, Hardware]:
    found: dict[str, Hardware] = {}
    for one in accelerators():
        for name in (one.id, one.name, *one.aliases):
            found.setdefault(folded(name), one)
    return found


@cache
def _processors_by_name() -> Mapping[str, Hardware]:
    found: dict[str, Hardware] = {}
    for one in processors():
        for name in (one.id.removeprefix("cpu:"), one.name, *one.aliases):
            found.setdefault(_cpu_key(name), one)
    return found


def _cpu_key(name: str) -> str:
    from wattmark.sources.models.cpu.names import normalise

    key = normalise(name.removeprefix("cpu:")).replace(" ", "-")
    return f"core-{key}" if key.startswith(("i3-", "i5-", "i7-", "i9-")) else key


def _accelerator(row: Mapping[str, str]) -> Hardware:
    kind: dict[str, Kind] = {"gpu": "gpu", "accelerator": "accelerator", "soc": "soc"}
    return Hardware(
        row["id"],
        row["name"],
        row["vendor"],
        kind[row["kind"]],
        int(row["year"]),
        _number(row["tdp_w"]),
        _number(row["cap_min_w"]),
        _number(row["cap_max_w"]),
        _throughputs(row),
        _number(row["memory_gb"]),
        _number(row["bandwidth_gb_s"]),
        source=row["source"],
        url=row["url"],
        aliases=tuple(name for name in row["aliases"].split(";") if name),
    )


def _throughputs(row: Mapping[str, str]) -> dict[str, float]:
    return {name: float(row[name]) for name in PRECISIONS if row[name]}


def _number(cell: str) -> float | None:
    return float(cell) if cell else None
