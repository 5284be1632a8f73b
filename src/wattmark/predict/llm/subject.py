"""What is asked: a model on accelerators, under a load."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wattmark.errors import ConfigError
from wattmark.predict.hardware.accelerators import Hardware
from wattmark.predict.llm.architecture import Architecture

BITS = {"bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "int4": 4}
"""Precision of the weights -> bits of one."""
ENGINES = {"vllm-0.5": 1.0, "vllm-v1": 0.1}
"""What an engine's host, launches and dispatch take beside vLLM 0.5 of 2024, with which the data were measured.

vLLM's account of 0.5.3 (blog.vllm.ai/2024/09/05/perf-update.html) gives 62 % of the time to the host, and 2.7 times the
throughput to its rework; V1 is up to 1.7 times faster again (blog.vllm.ai/2025/01/27/v1-alpha-release.html). A tenth is
our reading of that and no measurement: a predictor that has not seen the engine widens its interval for it.
"""
RESERVED = 0.1
"""Share of an accelerator's memory that an engine leaves alone (vLLM: gpu_memory_utilization 0.9)."""
_SCALES = {"int4": 1.0625, "fp8": 1.0, "int8": 1.0, "bf16": 1.0, "fp16": 1.0}


@dataclass(frozen=True, slots=True)
class Serving:
    """A server of one model. ``concurrency``: requests in a batch, on the mean; ``prompt``, ``output``: tokens of a request.

    Raises ConfigError for what cannot be served.
    """

    model: Architecture
    hardware: Hardware
    prompt: float
    output: float
    concurrency: float
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    precision: str = "bf16"
    engine: str = "vllm-v1"

    def __post_init__(self) -> None:
        for name, least in (("prompt", 0.0), ("output", 1.0), ("concurrency", 1.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ConfigError(f"{name} is {value}, it must be {least:g} at least")
        if self.tensor_parallel < 1 or self.pipeline_parallel < 1:
            raise ConfigError("a model needs one accelerator at least")
        if self.engine not in ENGINES:
            raise ConfigError(f"no engine {self.engine!r}", hint=f"one of {', '.join(ENGINES)}")
        if self.precision not in BITS:
            raise ConfigError(f"no precision {self.precision!r}", hint=f"one of {', '.join(BITS)}")
        if self.hardware.bandwidth_gb_s is None or self.hardware.tdp_w is None or self.flops is None:
            raise ConfigError(
                f"{self.hardware.name}: its bandwidth, power or throughput is in no data sheet that Wattmark has",
                hint="name another accelerator: wattmark whatif --hardware lists them",
            )

    @property
    def accelerators(self) -> int:
        """How many there are."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def bytes_per_weight(self) -> float:
        """Of the matrices; four bits carry a scale for every 64."""
        return BITS[self.precision] / 8 * _SCALES[self.precision]

    @property
    def flops(self) -> float | None:
        """Peak of one accelerator, 1/s: four-bit weights are multiplied in 16 bits, eight-bit ones where the part can."""
        rates = self.hardware.throughput
        name = self.precision if self.precision in ("fp8", "int8") else "fp16"
        rate = rates.get(name, rates.get("fp16", rates.get("fp32")))
        return None if rate is None else rate * 1e12

    @property
    def memory_gb(self) -> float:
        """What the weights and the cache of the batch take, all accelerators together."""
        cache = 2 * self.model.cache_elements(self.prompt + self.output / 2) * self.concurrency
        return (self.model.parameters * self.bytes_per_weight + cache) / 1e9

    @property
    def misfit(self) -> str | None:
        """Why it does not fit into the memory; None where it does, or where nobody published the memory."""
        if self.hardware.memory_gb is None:
            return None
        room = self.hardware.memory_gb * self.accelerators * (1 - RESERVED)
        if self.memory_gb <= room:
            return None
        return (
            f"needs {self.memory_gb:.0f} GB, {self.accelerators} x {self.hardware.name} leave {room:.0f} GB"
        )

    def __str__(self) -> str:
        return f"{self.model.name} on {self.accelerators} x {self.hardware.id}"
