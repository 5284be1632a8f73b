"""What to train and how, and what came out; plain data, so that it can be written to a file."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol, get_args

from wattmark.errors import ConfigError

Precision = Literal["fp32", "bf16", "fp16"]
Optimizer = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"]
Backend = Literal["torch", "onnxruntime", "int8"]


class Span(Protocol):
    """Names a stage: ``with span("epoch", samples=1438): ...``; ``Run.span`` is one."""

    def __call__(self, name: str, /, **counts: float) -> AbstractContextManager[Any]:
        """A context that covers the stage."""
        ...


def no_span(_name: str, /, **_counts: float) -> AbstractContextManager[None]:
    """A span that records nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training and its inference; the defaults are the recipe of the study arXiv 2503.23934.

    model: see ``zoo.build``. data: see ``data.load``. samples: at most so many training images, None for all.
    batch_size: of all processes together, in inference, too. schedule: cosine over the epochs, or constant.
    precision: fp32, or automatic mixed precision in bf16 or fp16. compile: ``torch.compile``. threads: of
    each process, None for torch's own choice. loader_workers: processes that prepare batches, 0 for none.
    device: cpu, cuda, cuda:1 or mps. processes: more than one is distributed data parallel on this host.
    backend: of the inference stage; int8 quantises linear and recurrent layers dynamically on the CPU and
    leaves convolutions alone. evaluate: test after every epoch, not only after the last. warmup_steps: steps
    before the first stage that is measured, undone afterwards.
    """

    model: str = "CNN"
    data: str = "digits"
    samples: int | None = None
    input_size: int | None = None
    batch_size: int = 128
    epochs: int = 1
    optimizer: Optimizer = "sgd"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    precision: Precision = "fp32"
    compile: bool = False
    channels_last: bool = False
    threads: int | None = None
    loader_workers: int = 0
    device: str = "cpu"
    processes: int = 1
    backend: Backend = "torch"
    evaluate: bool = True
    warmup_steps: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "input_size", "batch_size", "epochs", "threads", "processes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}")
        for name in ("loader_workers", "warmup_steps", "momentum", "weight_decay"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be above 0, not {self.learning_rate}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name} cannot be {getattr(self, name)!r}", hint=f"one of {', '.join(choices)}"
                )
        if self.device.partition(":")[0] not in ("cpu", "cuda", "mps"):
            raise ConfigError(f"device cannot be {self.device!r}", hint="cpu, cuda, cuda:1 or mps")
        if self.batch_size % self.processes:
            raise ConfigError(
                f"a batch of {self.batch_size} cannot be shared evenly by {self.processes} processes"
            )
        if self.backend != "torch" and self.precision != "fp32":
            raise ConfigError(
                f"the backend {self.backend} has no {self.precision}", hint="use precision fp32 with it"
            )
        if self.backend == "int8" and self.device != "cpu":
            raise ConfigError(
                "dynamic quantisation runs on the CPU only", hint="use device cpu with backend int8"
            )

    @classmethod
    def from_mapping(cls, settings: dict[str, Any]) -> TrainConfig:
        """From names and values, as a study gives them; raises ConfigError for a name that there is not."""
        field_names = [f.name for f in fields(cls)]
        unknown = [name for name in settings if name not in field_names]
        if unknown:
            raise ConfigError(
                f"training has no setting {unknown[0]!r}", hint=f"it has {', '.join(field_names)}"
            )
        return cls(**settings)


_CHOICES: dict[str, tuple[str, ...]] = {
    "precision": get_args(Precision),
    "optimizer": get_args(Optimizer),
    "backend": get_args(Backend),
    "schedule": ("cosine", "constant"),
}


@dataclass(frozen=True, slots=True)
class Score:
    """Mean cross entropy (nats) and share of right answers over ``samples`` images in ``steps`` batches."""

    loss: float
    accuracy: float
    samples: int
    steps: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: its training (scored on the fly, in training mode), and its evaluation if there was one."""

    number: int
    learning_rate: float
    train: Score
    test: Score | None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training gave. accuracy: on the test set after the last epoch; inference: on the repeated test
    set.

    macs, activations: for one image, as in ``anatomy``. classes and samples are those of the data that were
    used.
    """

    config: TrainConfig
    epochs: tuple[Epoch, ...]
    inference: Score
    accuracy: float
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    macs: int
    activations: int
    num_classes: int
    train_samples: int
    test_samples: int
    data_source: str
    data_duration_s: float
