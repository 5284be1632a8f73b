"""``dram-model``: memory's joules on machines whose DRAM has no counter. Constant watts: nothing is measured.

Two named models (``host.option("dram-model", "model")``):

- ``green-algorithms`` (default): 0.3725 W per GB of installed memory, used or not
  (Lannelongue, Grealey and Inouye, Advanced Science 8(12) 2100707, 2021, doi:10.1002/advs.202100707).
- ``dimm``: the sum over DIMMs of 1/2 C V^2 f (Mavromatis et al., arXiv 2406.14328 and 2503.23934), from a
  file with the output of ``dmidecode -t memory``; taken when the setting ``dmidecode`` names one.

The authors' code of the second (github.com/ioannismavromatis/sustainable-ai, power/ram.py) does something
else: it divides gigabytes by V x 1.3 A summed over the DIMMs, so its unit is GB/W, and watts fall as DIMMs
are added. Here the formula of the papers is used. No value of C was found in them; :data:`CAPACITANCE_F`
makes a DDR4-2666 DIMM draw the code's 1.3 A at 1.2 V. f is the clock, half the transfer rate.

Further settings: ``w_per_gb``, ``capacitance_nf``. Standard library only.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wattmark.sources.base import Accuracy, Channel, Finding, Host, Series, read_text

NAME = "dram-model"
W_PER_GB = 0.3725
CAPACITANCE_F = 2 * (1.3 * 1.2) / (1.2**2 * 1333e6)
"""About 1.6 nF a DIMM: 1/2 C V^2 f = 1.3 A x 1.2 V at 1333 MHz."""


class Rest(NamedTuple):
    """What a model may be off by where the work makes no difference: by the kind of module (``curve``, either way), and by
    this machine's own."""

    citation: str
    curve: float
    specimen_low: float
    specimen_high: float


# docs/science/error-budget.md, benchmarks/dram_model.py: counters of other machines say 0.19 to 0.39 W/GB where memory rests
# and up to 1.2 W/GB where it streams; large modules draw several times less.
GREEN = Rest(
    "modelled: 0.3725 W/GB (Lannelongue et al. 2021); no published interval: large modules draw several times "
    "less per GB, memory that streams up to three times as much (docs/science/error-budget.md)",
    0.60,
    0.49,
    1.49,
)
DIMM = Rest(
    "modelled: 1/2 C V^2 f per DIMM (arXiv 2406.14328), C fixed by 1.3 A a module; a cautious bound, no "
    "published interval: load, ranks and refresh are left out",
    0.30,
    0.38,
    1.29,
)
MOST_CHARACTER = (0.35, 1.50)
"""What the work may take off and add, relative to the whole, where the CPUs can draw on all of the memory at once."""
TRAFFIC_W = (1.0, 3.5)
"""The same in watts of each logical CPU: what arithmetic at full load drew above rest, and what streaming did, with a margin
over the most that machines of benchmarks/dram_model.py drew (0.66 and 2.95). Only CPUs make traffic, however much memory
there is."""


def accuracy_of(rest: Rest, power_w: float, cpus: int | None) -> Accuracy:
    """The interval of a model that gives ``power_w``: the rest by module and machine, the traffic by what the logical CPUs
    that there are can make of it (as much as memory can take, where their number is not known)."""
    shares = (math.inf if cpus is None else cpus * watts / power_w for watts in TRAFFIC_W)
    low, high = (min(most, share) for most, share in zip(MOST_CHARACTER, shares, strict=True))
    return Accuracy(
        math.hypot(rest.specimen_low, rest.curve, low),
        math.hypot(rest.specimen_high, rest.curve, high),
        0.0,
        rest.citation,
        low,
        high,
        rest.curve,
        rest.curve,
    )


class Dimm(NamedTuple):
    """One populated memory slot."""

    size_gb: float
    transfers_per_s: float
    voltage_v: float

    def power_w(self, capacitance_f: float = CAPACITANCE_F) -> float:
        """1/2 C V^2 f, with f the clock."""
        return 0.5 * capacitance_f * self.voltage_v**2 * self.transfers_per_s / 2


_DEFAULT_V = {"DDR2": 1.8, "DDR3": 1.5, "DDR4": 1.2, "DDR5": 1.1}  # JEDEC JESD79-2, -3, -4, -5


def parse_dmidecode(text: str) -> list[Dimm]:
    """The populated slots in the output of ``dmidecode -t memory``; slots without speed or voltage are left
    out.

    The configured speed is preferred to the rated one; a voltage that is not given is the standard's for the
    type.
    """
    dimms: list[Dimm] = []
    for block in re.split(r"\n\s*\n", text):
        if "Memory Device" not in block:
            continue
        fields = dict(re.findall(r"^\s+([^:\n]+):[ \t]*(.*?)[ \t]*$", block, re.MULTILINE))
        size = re.match(r"(\d+) ([MGT])i?B", fields.get("Size", ""))
        speed = next(
            (
                match
                for key in ("Configured Memory Speed", "Configured Clock Speed", "Speed")
                if (match := re.match(r"(\d+) (?:MT/s|MHz)", fields.get(key, "")))
            ),
            None,
        )
        volts = re.match(r"(\d+(?:\.\d+)?) V", fields.get("Configured Voltage", ""))
        voltage_v = (
            float(volts[1]) if volts and float(volts[1]) > 0 else _DEFAULT_V.get(fields.get("Type", "")[:4])
        )
        if size and int(size[1]) > 0 and speed and int(speed[1]) > 0 and voltage_v:
            size_gb = int(size[1]) * {"M": 1 / 1024, "G": 1.0, "T": 1024.0}[size[2]]
            dimms.append(Dimm(size_gb, int(speed[1]) * 1e6, voltage_v))
    return dimms


def memory_gb(meminfo: str) -> float | None:
    """Memory that this machine sees, in GB of 2^30 bytes (as memory is sold), from ``/proc/meminfo``."""
    match = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) / 2**20 if match and int(match[1]) > 0 else None


def logical_cpus(stat: str) -> int | None:
    """How many CPUs ``/proc/stat`` has lines of; None without any."""
    return len(re.findall(r"^cpu\d", stat, re.MULTILINE)) or None


class DramModelSource:
    """Constant watts from the first reading on. ``clock`` is monotonic nanoseconds."""

    name = NAME
    period_s = 0.5

    def __init__(
        self, power_w: float, channel: Channel, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.channels: Sequence[Channel] = (channel,)
        self.series: Sequence[Series] = ()
        self._power_w = power_w
        self._clock = clock
        self._start_ns: int | None = None
        self._closed = False

    def read(self) -> Sequence[float | None]:
        """Cumulative µJ; None once closed."""
        if self._closed:
            return (None,)
        now_ns = self._clock()
        if self._start_ns is None:
            self._start_ns = now_ns
        return (int(self._power_w * (now_ns - self._start_ns) / 1000),)  # W * ns = nJ

    def close(self) -> None:
        """Stop counting; may be called twice."""
        self._closed = True


def probe(host: Host) -> list[Finding]:
    """One finding: the memory model with its watts, or why there is none."""
    try:
        power_w, rest, label = _choose(host)
    except ValueError as error:
        return [
            Finding(NAME, "DRAM power model", problem=str(error), fix="Correct the settings of dram-model.")
        ]
    channel = Channel(
        "dram/model",
        "dram",
        NAME,
        "modelled",
        "dram",
        "energy",
        accuracy_of(rest, power_w, logical_cpus(read_text(host.proc("stat")) or "")),
        max_power_w=max(1.0, 2 * power_w),
        label=label,
        curve_w=(power_w, power_w),
    )
    return [Finding(NAME, label, (channel,), open=lambda: DramModelSource(power_w, channel))]


def _choose(host: Host) -> tuple[float, Rest, str]:
    """Watts, what they may be off by at rest, and a label. Raises ValueError for settings that cannot be."""
    path = host.option(NAME, "dmidecode")
    model = host.option(NAME, "model", "dimm" if path else "green-algorithms")
    if model == "green-algorithms":
        size_gb = memory_gb(read_text(host.proc("meminfo")) or "")
        if size_gb is None:
            raise ValueError(f"{host.proc('meminfo')} does not say how much memory there is.")
        w_per_gb = _number(host, "w_per_gb", W_PER_GB)
        power_w = size_gb * w_per_gb
        return power_w, GREEN, f"{size_gb:.3g} GB x {w_per_gb:g} W/GB (green-algorithms): {power_w:.3g} W"
    if model != "dimm":
        raise ValueError(f"The model of dram-model is 'green-algorithms' or 'dimm', not {model!r}.")
    if not path:
        raise ValueError(
            "The model 'dimm' needs the setting 'dmidecode': a file with what 'dmidecode -t memory' printed."
        )
    text = read_text(str(path))
    if text is None:
        raise ValueError(f"The dmidecode file {path} cannot be read.")
    dimms = parse_dmidecode(text)
    if not dimms:
        raise ValueError(f"{path} names no memory module with size and speed.")
    capacitance_f = _number(host, "capacitance_nf", CAPACITANCE_F * 1e9) * 1e-9
    power_w = sum(dimm.power_w(capacitance_f) for dimm in dimms)
    return power_w, DIMM, f"{len(dimms)} DIMMs, 1/2 C V^2 f (dimm): {power_w:.3g} W"


def _number(host: Host, name: str, default: float) -> float:
    try:
        value = float(host.option(NAME, name, default))
    except (TypeError, ValueError):
        value = -1.0
    if not 0 < value < 1e6:
        raise ValueError(
            f"{name} of dram-model must be a number above zero, not {host.option(NAME, name)!r}."
        )
    return value
