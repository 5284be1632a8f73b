"""The least that one output token costs, by the roofline (Williams, Waterman and Patterson, CACM 52, 2009).

Every column of :func:`seconds` is a time per output token in seconds that a part of the work would take alone:

- weights: the bytes of the weights that a step touches, over the memory bandwidth, shared by the batch;
- cache: the bytes of the key-value cache of one sequence, over the bandwidth;
- decode: 2 operations for every active parameter, and 4 d for every position attended to, over the peak rate;
- prefill: the same for the prompt, spread over the output tokens;
- collective: two all-reduces a layer of a 16-bit activation, 2 (n - 1)/n of it over the links of a GPU;
- layers: a time for every layer of a step (launches, synchronisation), shared by the batch;
- host: a time for every sequence of a step (scheduling, sampling, text) that the engine takes on the CPU;
- sequences: a time for every sequence of a step in every layer (attention over one page table each);
- dispatch: a time for every token in every layer of a mixture of experts (sorting tokens to experts).

A fit says how many times its least a part takes, and a part's joules are its seconds times the watts that it draws
(:func:`watts`), with factors of its own. Pooling 29 models, no factor is negative.
"""

from __future__ import annotations

import numpy as np

from wattmark.predict.llm.subject import ENGINES, Serving
from wattmark.statistics import Float64

PARTS = ("weights", "cache", "decode", "prefill", "collective", "layers", "host", "sequences", "dispatch")
_LINK_BYTES_S = 600e9
_LAYER_S, _SEQUENCE_S = 10e-6, 1e-3
_WAITING = 0.2
"""Share of the board power that an accelerator draws while it waits for the host: about 80 W of 400 W (A100), 120 W of
700 W (H100) with clocks up."""
LEAST = (1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""The least factor of a time: no memory is faster than its data sheet. Decode's arithmetic may hide behind the memory's."""
BUSY = ("weights", "cache", "decode", "prefill")


def seconds(subject: Serving) -> Float64:
    """Time of each of :data:`PARTS` for one output token, (9,) s, at the peak of the data sheet."""
    m, hardware = subject.model, subject.hardware
    n, batch = subject.accelerators, max(1.0, subject.concurrency / subject.pipeline_parallel)
    bandwidth = (hardware.bandwidth_gb_s or 0.0) * 1e9 * n
    rate = (subject.flops or 0.0) * n
    context = subject.prompt + subject.output / 2
    per_head = m.heads * m.head_dim
    decode = 2 * m.active + 4 * per_head * m.attended(context)
    body = m.active - m.embedding
    prefill = (2 * body + 2 * per_head * m.attended(subject.prompt)) * subject.prompt / subject.output
    ring = (subject.tensor_parallel - 1) / subject.tensor_parallel
    host = ENGINES[subject.engine]
    return np.array(
        [
            subject.bytes_per_weight * m.touched(batch) / bandwidth / batch,
            2 * m.cache_elements(context) / bandwidth,
            decode / rate,
            prefill / rate,
            m.layers * m.hidden * 4 * ring / _LINK_BYTES_S * host,
            m.layers * _LAYER_S / batch * host,
            _SEQUENCE_S * host,
            m.layers * _LAYER_S * host,
            (m.layers - m.dense_layers if m.experts else 0) * _LAYER_S * host,
        ]
    )


def watts(subject: Serving) -> Float64:
    """Power of all accelerators during each of :data:`PARTS`, (9,) W: the board's where it works, a share where it waits."""
    board = (subject.hardware.tdp_w or 0.0) * subject.accelerators
    return np.array([board * (1.0 if part in BUSY else _WAITING) for part in PARTS])
