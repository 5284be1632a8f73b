"""Training and testing an image classifier, stage by stage.

The recipe is the study's (arXiv 2503.23934): SGD, learning rate 1e-3, momentum 0.9, weight decay 5e-4, a
cosine schedule over the epochs, cross entropy. Stages, by the names of their spans:

==============
=================================================================================================== data
reading, splitting and scaling the images model           building the network, counting it, moving it to the
device warmup          a few steps that are undone, so that compilers and caches are warm train           all
epochs: ``epoch`` (samples, steps) for the training of each, ``evaluation`` (samples) for its test export
making the backend of the inference stage ready (conversion, quantisation, one batch) inference       the test
set, repeated to the length of a training epoch (samples, steps) ==============
===================================================================================================

Training energy is the energy of the ``epoch`` spans; ``train`` holds the evaluations, too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wattmark.anatomy import ModelAnatomy, describe
from wattmark.errors import ConfigError
from wattmark.workloads.vision import zoo
from wattmark.workloads.vision.batches import Batch, Batches
from wattmark.workloads.vision.config import Epoch, Score, Span, TrainConfig, TrainResult, no_span
from wattmark.workloads.vision.data import VisionData, load
from wattmark.workloads.vision.data.images import repeated
from wattmark.workloads.vision.inference import Predict, autocast, logits, predictor


def train(config: TrainConfig, span: Span = no_span) -> TrainResult:
    """Train and test as ``config`` says, each stage inside ``span(name, **counts)``.

    Equal configurations give equal results on one machine, as far as torch's kernels are deterministic (on
    the CPU they are). With several processes the spans are those of the first. Raises ConfigError,
    ImportFileError or MissingExtra.
    """
    if config.processes > 1:
        from wattmark.workloads.vision.distributed import train_distributed

        return train_distributed(config, span)
    with _threads(config.threads):
        prepared = prepare(config, span)
        epochs = train_epochs(prepared, span)
        return finish(prepared, epochs, span)


@dataclass(slots=True)
class Prepared:
    """Everything that training needs, on the device, warm."""

    config: TrainConfig
    device: torch.device
    data: VisionData
    data_duration_s: float
    model: nn.Module
    anatomy: ModelAnatomy
    train: Batches
    test: Batches
    inference: Batches
    all_used: (
        bool  # every parameter is known to get a gradient; of the fourteen, EfficientNet has some that do not
    )


def prepare(config: TrainConfig, span: Span, rank: int = 0) -> Prepared:
    """The stages data, model and warmup; ``rank`` is the number of this process among
    ``config.processes``."""
    device = _device(config, rank)
    _seed(config.seed)
    started = perf_counter()
    with span("data"):
        data = load(config.data, input_size=config.input_size, samples=config.samples, seed=config.seed)
        train, test, inference = _batches(config, data, device, rank)
    data_duration_s = perf_counter() - started

    with span("model"):
        _, height, width = data.shape
        model = zoo.build(config.model, data.num_classes, data.shape[0], input_size=max(height, width))
        anatomy = describe(model, data.shape)
        assert isinstance(anatomy, ModelAnatomy)
        cast("Any", model.to(device)).to(memory_format=_memory_format(config))  # both in place
        if config.compile:
            cast("Any", model).compile()

    prepared = Prepared(config, device, data, data_duration_s, model, anatomy, train, test, inference, False)
    with span("warmup"):
        prepared.all_used = _warm_up(prepared)
    # Dropout and the like start from one state, however long the warm-up was.
    _seed(config.seed + 1 + rank)
    return prepared


def train_epochs(
    prepared: Prepared, span: Span, *, parallel: nn.Module | None = None, rank: int = 0
) -> tuple[Epoch, ...]:
    """The stage train; ``parallel`` is the model wrapped for several processes, of which the first
    evaluates."""
    config, device = prepared.config, prepared.device
    model = parallel or prepared.model
    optimizer = _OPTIMIZERS[config.optimizer](prepared.model.parameters(), config)
    schedule = None
    if config.schedule == "cosine":
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs)
    scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
    epochs: list[Epoch] = []
    with span("train"):
        for number in range(config.epochs):
            rate = float(optimizer.param_groups[0]["lr"])
            model.train()
            with span("epoch", samples=prepared.train.samples, steps=len(prepared.train)):
                step = _step(prepared, model, optimizer, scaler)
                score = _score(step, prepared.train.epoch(number), prepared, shared=parallel is not None)
            if schedule is not None:
                schedule.step()
            test = None
            if rank == 0 and (config.evaluate or number == config.epochs - 1):
                with span("evaluation", samples=prepared.test.samples):
                    test = evaluate(prepared)
            epochs.append(Epoch(number, rate, score, test))
    return tuple(epochs)


def evaluate(prepared: Prepared) -> Score:
    """Score the test set once, with torch."""
    torch_config = replace(prepared.config, backend="torch")
    predict = predictor(prepared.model, torch_config, prepared.data.shape)
    return _score(_inference_step(predict), prepared.test.epoch(0), prepared)


def finish(prepared: Prepared, epochs: tuple[Epoch, ...], span: Span) -> TrainResult:
    """The stages export and inference, and the result; with several processes the first does this alone."""
    config, anatomy, data = prepared.config, prepared.anatomy, prepared.data
    with span("export"):
        predict = predictor(prepared.model, config, data.shape)
        first = next(prepared.inference.epoch(0))
        _score(_inference_step(predict), [first], prepared)
    with span("inference", samples=prepared.inference.samples, steps=len(prepared.inference)):
        inference = _score(_inference_step(predict), prepared.inference.epoch(0), prepared)
    final = epochs[-1].test
    assert final is not None  # the last epoch is always tested
    return TrainResult(
        config=config,
        epochs=epochs,
        inference=inference,
        accuracy=final.accuracy,
        parameters=anatomy.parameters,
        trainable_parameters=anatomy.trainable_parameters,
        parameter_bytes=anatomy.parameter_bytes,
        macs=anatomy.macs,
        activations=anatomy.activations,
        num_classes=data.num_classes,
        train_samples=len(data.train),
        test_samples=len(data.test),
        data_source=data.source,
        data_duration_s=prepared.data_duration_s,
    )


# --- preparing


def _seed(seed: int) -> None:
    cast("Any", torch).manual_seed(seed)


@contextmanager
def _threads(count: int | None) -> Generator[None]:
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(config: TrainConfig, rank: int) -> torch.device:
    device = torch.device(config.device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("this machine has no mps device that torch can use")
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count()
    number = rank if config.processes > 1 else device.index or 0
    if max(number + 1, config.processes) > count:
        raise ConfigError(
            f"torch sees {count} CUDA devices, too few for {config.device} x {config.processes}"
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def _batches(
    config: TrainConfig, data: VisionData, device: torch.device, rank: int
) -> tuple[Batches, Batches, Batches]:
    """Training, test, and the test set repeated to the length of a training epoch."""
    normalisation = data.normalisation()
    pin = device.type == "cuda"
    train = Batches(
        data.train,
        normalisation,
        config.batch_size,
        seed=config.seed,
        workers=config.loader_workers,
        pin=pin,
        rank=rank,
        processes=config.processes,
    )
    if train.samples == 0:
        raise ConfigError(f"{len(data.train)} images are too few for {config.processes} processes")
    test, inference = (
        Batches(images, normalisation, config.batch_size, workers=config.loader_workers, pin=pin)
        for images in (data.test, repeated(data.test, train.samples))
    )
    return train, test, inference


def _memory_format(config: TrainConfig) -> torch.memory_format:
    return torch.channels_last if config.channels_last else torch.contiguous_format


def _warm_up(prepared: Prepared) -> bool:
    """Forward and backward without an update; returns whether every parameter is known to get a gradient."""
    model, config = prepared.model, prepared.config
    if config.warmup_steps == 0:
        return False
    before = copy.deepcopy(model.state_dict())
    model.train()
    batches = (batch for _, batch in zip(range(config.warmup_steps), prepared.train.epoch(0), strict=False))
    for batch in batches:
        pixels, labels = _moved(batch, prepared)
        with autocast(config, prepared.device):
            loss = cross_entropy(logits(model(pixels)).float(), labels)
        cast("Any", loss).backward()
    all_used = all(p.grad is not None for p in model.parameters() if p.requires_grad)
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    synchronise(prepared.device)
    return all_used


# --- steps

# Takes a batch on the device; gives the scores and the mean loss.
Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _step(
    prepared: Prepared, model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> Step:
    def step(pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        optimizer.zero_grad(set_to_none=True)
        with autocast(prepared.config, prepared.device):
            scores = logits(model(pixels))
            loss = cross_entropy(scores.float(), labels)
        cast("Any", scaler.scale(loss)).backward()
        scaler.step(optimizer)
        scaler.update()
        return scores.detach(), loss.detach()

    return step


def _inference_step(predict: Predict) -> Step:
    def step(pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            scores = predict(pixels).to(labels.device).float()
            return scores, cross_entropy(scores, labels)

    return step


def _moved(batch: Batch, prepared: Prepared) -> Batch:
    pixels, labels = batch
    pixels = pixels.to(prepared.device, non_blocking=True, memory_format=_memory_format(prepared.config))
    return pixels, labels.to(prepared.device, non_blocking=True)


def _score(step: Step, batches: Iterable[Batch], prepared: Prepared, *, shared: bool = False) -> Score:
    """Run ``step`` over all batches. Sums stay on the device until the end, so that no step waits for a
    transfer.

    shared: the batches are one process's share, and the score is that of all processes together.
    """
    started = perf_counter()
    sums = torch.zeros(3, device=prepared.device)  # loss, right answers, samples
    steps = 0
    for batch in batches:
        pixels, labels = _moved(batch, prepared)
        scores, loss = step(pixels, labels)
        right = (scores.argmax(1) == labels).sum()
        sums += torch.stack([loss * len(labels), right.float(), torch.full_like(loss, len(labels))])
        steps += 1
    if shared:
        cast("Any", torch.distributed).all_reduce(sums)
    totals: list[float] = cast("Any", sums).tolist()
    loss_sum, right_sum, samples = totals
    synchronise(prepared.device)
    duration_s = perf_counter() - started
    return Score(loss_sum / samples, right_sum / samples, round(samples), steps, duration_s)


def synchronise(device: torch.device) -> None:
    """Wait for the device, so that a stage ends when its work has ended."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _sgd(parameters: Any, config: TrainConfig) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters, config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
    )


def _rmsprop(parameters: Any, config: TrainConfig) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(
        parameters, config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
    )


_OPTIMIZERS: dict[str, Callable[[Any, TrainConfig], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "rmsprop": _rmsprop,
    "adam": lambda p, c: torch.optim.Adam(p, c.learning_rate, weight_decay=c.weight_decay),
    "adamw": lambda p, c: torch.optim.AdamW(p, c.learning_rate, weight_decay=c.weight_decay),
    "adagrad": lambda p, c: torch.optim.Adagrad(p, c.learning_rate, weight_decay=c.weight_decay),
}
