"""What is asked of a server and how the load comes, in the words of options: made into a workload and its arrivals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from wattmark.errors import ConfigError
from wattmark.serving.load.arrivals import Arrivals, ClosedLoop, OpenLoop, Process, stages_of
from wattmark.serving.load.wire.endpoints import ENDPOINT_NAMES, GENERATING, Endpoint
from wattmark.serving.prompts.base import Lengths, Workload
from wattmark.serving.prompts.dataset import HUBS, Dataset, read_dataset
from wattmark.serving.prompts.files import Asking
from wattmark.serving.prompts.media import Batched, Kind, Media, WithMedia
from wattmark.serving.prompts.synthetic import Synthetic

INPUT, OUTPUT = "64", "32"
PROCESSES: tuple[Process, ...] = ("poisson", "constant", "gamma")


class Load(NamedTuple):
    """A workload and when its requests come. ends: the data or the stages end it by themselves. lasts_s: of stages."""

    workload: Workload | None
    arrivals: Arrivals
    ends: bool = False
    lasts_s: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Options of input, each as ``wattmark llm bench`` has it; None is "not said".

    input, output: tokens, or distributions of them. data: see :func:`~wattmark.serving.prompts.dataset.read_dataset`.
    images, audio, video: made up or of a folder, ``media_number`` with each prompt. batch: texts a request (embeddings),
    or documents (rerank). stages: loads that follow each other, instead of one. arrivals: of a rate.
    """

    endpoint: Endpoint = "chat"
    input: str | None = None
    output: str | None = None
    data: str | None = None
    column: str | None = None
    speed: float = 1.0
    turns: int | None = None
    prefix: int = 0
    images: str | None = None
    audio: str | None = None
    video: str | None = None
    media_number: int = 1
    batch: int | None = None
    stages: str | None = None
    arrivals: str = "poisson"
    think_s: float = 0.0
    ramp_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch is not None and self.endpoint not in ("embeddings", "rerank"):
            raise ConfigError(
                "a batch is of texts to embed or to rank", hint="add --endpoint embeddings or rerank"
            )
        if self.prefix and self.data is not None:
            raise ConfigError("--prefix is for made-up prompts, not for --data", hint="leave one of them out")
        sound_only = self.endpoint == "transcriptions"
        if (self.images or self.video or (self.audio and not sound_only)) and self.endpoint != "chat":
            raise ConfigError("images, sound and video go with chat messages", hint="leave --endpoint out")
        if sound_only and not self.audio:
            raise ConfigError(
                "there is no sound to write down", hint="add --audio 10 (seconds), or --audio FOLDER"
            )

    @property
    def lengths(self) -> tuple[Lengths, Lengths]:
        """Of prompts and answers."""
        return Lengths.parse(self.input or INPUT), Lengths.parse(self.output or OUTPUT)

    def at(self, concurrency: int | None, rate: float | None) -> tuple[str, float]:
        """Which kind of load it is and how large: what was said, or the largest of the stages."""
        if self.stages is not None:
            arrivals = self._arrivals("", 0)
            if isinstance(arrivals, ClosedLoop):
                return "concurrency", float(max(users for users, _ in arrivals.stages))
            if isinstance(arrivals, OpenLoop):
                return "rate", max(part.most for part in arrivals.segments)
        return ("rate", rate) if rate is not None else ("concurrency", float(concurrency or 4))

    @property
    def of_hub(self) -> bool:
        """Whether the data come from a hub, over the network."""
        return self.data is not None and self.data.partition(":")[0] in HUBS

    def read(self, requests: int | None) -> Dataset | None:
        """The data that were named; None if none were. requests: how many are wanted at most.

        Raises ConfigError, ImportFileError and ServerError for what cannot be had.
        """
        if self.data is None:
            return None
        asking = Asking(self.lengths[1], self.output is None, self.turns, self.column, self.seed)
        return read_dataset(self.data, asking, speed=self.speed, most=requests)

    def load(self, kind: str, load: float, data: Dataset | None) -> Load:
        """One load: ``kind`` is ``concurrency`` or ``rate``. data: what :meth:`read` gave. Raises ConfigError."""
        given, made = self.lengths
        arrivals = self._arrivals(kind, load)
        lasts_s = None
        if isinstance(arrivals, OpenLoop) and self.stages:
            lasts_s = sum(part.duration_s for part in arrivals.segments)
        elif isinstance(arrivals, ClosedLoop) and self.stages:
            lasts_s = sum(seconds for _, seconds in arrivals.stages)
        workload: Workload | None = None
        ends = False
        if data is not None:
            workload = data.workload
            if data.arrivals is not None and not self.stages:
                arrivals, ends = data.arrivals, True
        elif self._special:
            workload = Synthetic(
                given, made, turns=self.turns or 1, prefix_tokens=self.prefix, seed=self.seed
            )
        if workload is not None:
            workload = self._with_media(workload)
        return Load(workload, arrivals, ends, lasts_s)

    @property
    def _special(self) -> bool:
        return bool(self.images or self.audio or self.video) or self.endpoint not in GENERATING

    def _with_media(self, workload: Workload) -> Workload:
        named: tuple[tuple[Kind, str | None], ...] = (
            ("images", self.images),
            ("audio", self.audio),
            ("video", self.video),
        )
        media = tuple(Media.parse(kind, text, self.media_number) for kind, text in named if text)
        if media:
            return WithMedia(workload, media, as_file=self.endpoint == "transcriptions")
        if self.endpoint in ("embeddings", "rerank"):
            return Batched(
                workload, self.batch or (1 if self.endpoint == "embeddings" else 8), self.endpoint == "rerank"
            )
        return workload

    def _arrivals(self, kind: str, load: float) -> Arrivals:
        name, _, shape = self.arrivals.partition(":")
        process: Process | None = next((known for known in PROCESSES if known == name), None)
        try:
            burstiness = float(shape) if shape else 1.0
        except ValueError:
            process = None
            burstiness = 1.0
        if process is None:
            raise ConfigError(
                f"--arrivals cannot be {self.arrivals!r}", hint="write poisson, constant or gamma:0.5"
            )
        if self.stages is not None:
            return stages_of(
                self.stages, process, burstiness=burstiness, think_time_s=self.think_s, seed=self.seed
            )
        if kind == "concurrency":
            return ClosedLoop.of(int(load), ramp_s=self.ramp_s, think_time_s=self.think_s, seed=self.seed)
        return OpenLoop.at(load, process, burstiness=burstiness, seed=self.seed)


def as_endpoint(text: str) -> Endpoint:
    """The endpoint of that name. Raises ConfigError for what is none."""
    for name in ENDPOINT_NAMES:
        if text == name:
            return name
    raise ConfigError(f"there is no endpoint {text!r}", hint=f"one of {', '.join(ENDPOINT_NAMES)}")


def shares_of(text: str) -> dict[str, float]:
    """``a=0.7,b=0.3`` (or with colons) as shares of the requests by model; empty for the name of one model.

    Raises ConfigError where some of the names have a share and others do not.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) < 2:
        return {}
    shares: dict[str, float] = {}
    for part in parts:
        sign = "=" if "=" in part else ":"
        name, found, share = part.rpartition(sign)
        try:
            shares[name] = float(share)
        except ValueError:
            found = ""
        if not found or not name or not shares[name] > 0:
            raise ConfigError(f"--model: {part!r} has no share of the requests", hint="write a=0.7,b=0.3")
    return shares
