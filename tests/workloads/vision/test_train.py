"""The trainer: it learns, repeats itself by seed, names its stages, and takes every factor of a study."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import contextmanager

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from torch import nn  # noqa: E402

from wattmark.errors import ConfigError, MissingExtra  # noqa: E402
from wattmark.workloads.vision.batches import Batches  # noqa: E402
from wattmark.workloads.vision.config import TrainConfig  # noqa: E402
from wattmark.workloads.vision.data import Images, load  # noqa: E402
from wattmark.workloads.vision.inference import predictor  # noqa: E402
from wattmark.workloads.vision.train import prepare, train, train_epochs  # noqa: E402

TINY = TrainConfig(
    model="CNN:width=0.25",
    data="synthetic:1x8x8,classes=3,train=50,test=20",
    batch_size=16,
    learning_rate=0.05,
    threads=1,
)


def tiny(**changes):
    return dataclasses.replace(TINY, **changes)


def outcome(result):
    """A result without its durations."""

    def plain(score):
        return score and dataclasses.replace(score, duration_s=0)

    epochs = [(e.learning_rate, plain(e.train), plain(e.test)) for e in result.epochs]
    return epochs, plain(result.inference), result.accuracy


class Recorder:
    """A span that notes the path and counts of each stage."""

    def __init__(self):
        self.open, self.seen = [], []

    @contextmanager
    def __call__(self, name, /, **counts):
        self.open.append(name)
        self.seen.append(("/".join(self.open), counts))
        try:
            yield
        finally:
            assert self.open.pop() == name


STAGES = [
    ("data", {}),
    ("model", {}),
    ("warmup", {}),
    ("train", {}),
    ("train/epoch", {"samples": 50, "steps": 4}),
    ("train/evaluation", {"samples": 20}),
    ("train/epoch", {"samples": 50, "steps": 4}),
    ("train/evaluation", {"samples": 20}),
    ("export", {}),
    ("inference", {"samples": 50, "steps": 4}),
]


def test_the_defaults_are_the_recipe_of_the_study():
    config = TrainConfig()
    assert (config.optimizer, config.learning_rate, config.momentum) == ("sgd", 1e-3, 0.9)
    assert (config.weight_decay, config.schedule) == (5e-4, "cosine")


def test_it_learns_and_tells_what_it_did():
    result = train(tiny(epochs=8))
    losses = [epoch.train.loss for epoch in result.epochs]
    assert losses[-1] < losses[0] / 2
    assert result.accuracy > 0.8
    assert result.inference.samples == result.epochs[0].train.samples == result.train_samples == 50
    assert result.inference.steps == result.epochs[0].train.steps == 4
    assert result.accuracy == result.epochs[-1].test.accuracy
    assert (result.test_samples, result.num_classes) == (20, 3)
    assert result.parameters == sum(p.numel() for p in prepare(TINY, Recorder()).model.parameters())
    assert result.macs == 64 * 4 * 9 + 16 * 4 * 8 * 9 + 4 * 8 * 16 * 9 + 16 * 3
    json.dumps(dataclasses.asdict(result))


def test_stages_are_named_and_counted_in_order():
    recorder = Recorder()
    train(tiny(epochs=2), recorder)
    assert recorder.seen == STAGES
    assert not recorder.open


def test_only_the_last_epoch_is_tested_where_that_is_asked_for():
    result = train(tiny(epochs=2, evaluate=False))
    assert [epoch.test is not None for epoch in result.epochs] == [False, True]


def test_a_seed_repeats_a_training_and_another_one_does_not():
    first = outcome(train(tiny(epochs=2)))
    assert outcome(train(tiny(epochs=2))) == first
    assert outcome(train(tiny(epochs=2, seed=1))) != first


def test_warming_up_leaves_no_trace_in_the_weights():
    assert outcome(train(tiny(warmup_steps=3))) == outcome(train(tiny(warmup_steps=0)))


def test_workers_change_how_batches_are_made_but_not_what_is_in_them():
    assert outcome(train(tiny(loader_workers=1, warmup_steps=0))) == outcome(train(tiny(warmup_steps=0)))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad"])
def test_every_optimizer_moves_the_weights(optimizer):
    result = train(tiny(optimizer=optimizer, learning_rate=0.01, epochs=3))
    assert result.epochs[-1].train.loss < result.epochs[0].train.loss


def test_the_learning_rate_follows_a_cosine_or_stays():
    rates = [e.learning_rate for e in train(tiny(epochs=4)).epochs]
    assert rates == pytest.approx([0.05 * (1 + np.cos(np.pi * i / 4)) / 2 for i in range(4)])
    assert {e.learning_rate for e in train(tiny(epochs=2, schedule="constant")).epochs} == {0.05}


@pytest.mark.parametrize("changes", [{"precision": "bf16"}, {"precision": "fp16"}, {"channels_last": True}])
def test_precision_and_layout_change_the_arithmetic_a_little(changes):
    ours, plain = (train(tiny(warmup_steps=0, **c)).epochs[0].train.loss for c in (changes, {}))
    assert ours == pytest.approx(plain, rel=0.05)


def test_mixed_precision_runs_the_model_in_the_type_asked_for():
    model = nn.Linear(4, 2)
    types = {
        precision: predictor(model, tiny(precision=precision), (1, 2, 2))(torch.ones(1, 4)).dtype
        for precision in ("fp32", "bf16", "fp16")
    }
    assert types == {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def test_the_threads_of_the_caller_come_back():
    before = torch.get_num_threads()
    train(tiny(threads=before + 1))
    assert torch.get_num_threads() == before


def test_images_are_brought_to_the_input_size():
    assert train(tiny(input_size=16)).macs == pytest.approx(4 * train(TINY).macs, rel=0.01)


def test_a_model_whose_output_wraps_its_scores_can_be_trained(monkeypatch):
    class Output:
        def __init__(self, scores):
            self.logits = scores

    class Wrapped(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.linear = nn.Linear(64, num_classes)

        def forward(self, x):
            return Output(self.linear(x.flatten(1)))

    import types

    monkeypatch.setitem(sys.modules, "wm_wrapped", types.SimpleNamespace(make=Wrapped))
    assert train(tiny(model="wm_wrapped:make", epochs=5)).accuracy > 0.5


def test_int8_gives_nearly_the_scores_of_the_float_model():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    pixels = torch.randn(5, 1, 8, 8)
    exact = predictor(model, TINY, (1, 8, 8))(pixels)
    rough = predictor(model, tiny(backend="int8"), (1, 8, 8))(pixels)
    assert not torch.equal(exact, rough)
    assert torch.allclose(exact, rough, atol=0.1)
    assert type(model[1]) is nn.Linear
    assert train(tiny(backend="int8")).inference.samples == 50


def test_int8_says_where_it_cannot_help(monkeypatch):
    with pytest.raises(ConfigError, match="no linear or recurrent layer"):
        predictor(nn.Conv2d(1, 1, 3), tiny(backend="int8"), (1, 8, 8))
    monkeypatch.setitem(sys.modules, "torch.ao.quantization", None)
    with pytest.raises(ConfigError, match="no dynamic quantisation"):
        predictor(nn.Linear(1, 1), tiny(backend="int8"), (1, 8, 8))


@pytest.mark.slow
def test_onnx_runtime_gives_the_scores_of_torch_for_any_batch():
    for package in ("onnxruntime", "onnx", "onnxscript"):
        pytest.importorskip(package, reason="this backend needs ONNX Runtime and torch's exporter")
    prepared = prepare(TINY, Recorder())
    exact = predictor(prepared.model, TINY, (1, 8, 8))
    exported = predictor(prepared.model, tiny(backend="onnxruntime"), (1, 8, 8))
    for size in (1, 2, 7):
        pixels = torch.randn(size, 1, 8, 8)
        assert torch.allclose(exact(pixels), exported(pixels), atol=1e-4)


def test_onnx_runtime_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match="onnxruntime"):
        predictor(nn.Linear(1, 1), tiny(backend="onnxruntime"), (1, 8, 8))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_processes_train_one_model_and_report_the_stages_of_the_first():
    recorder = Recorder()
    result = train(tiny(processes=2, epochs=2), recorder)
    assert recorder.seen == STAGES
    assert result.epochs[0].train.samples == 50
    assert result.epochs[-1].train.loss < result.epochs[0].train.loss
    # Two halves of each batch, their gradients averaged, are the batch but for its batch norm.
    alone = train(tiny(epochs=2))
    assert result.epochs[0].train.loss == pytest.approx(alone.epochs[0].train.loss, rel=0.2)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_process_that_fails_is_reported_and_no_stage_stays_open():
    recorder = Recorder()
    with pytest.raises(Exception, match="no network named"):
        train(tiny(processes=2, model="no-such"), recorder)
    assert recorder.open == []


def test_a_parallel_model_is_trained_in_place_of_the_plain_one():
    prepared = prepare(TINY, Recorder())
    calls = []
    prepared.model.register_forward_pre_hook(lambda *_: calls.append(1))
    epochs = train_epochs(prepared, Recorder(), rank=1)
    assert epochs[0].test is None
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"loader_workers": -1}, "must not be negative"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"precision": "fp8"}, "precision cannot be 'fp8'"),
        ({"optimizer": "lion"}, "optimizer cannot be 'lion'"),
        ({"schedule": "step"}, "schedule cannot be"),
        ({"device": "tpu"}, "device cannot be 'tpu'"),
        ({"processes": 3}, "shared evenly by 3"),
        ({"backend": "onnxruntime", "precision": "bf16"}, "has no bf16"),
        ({"backend": "int8", "device": "cuda"}, "CPU only"),
        ({"learning_rte": 1}, "no setting 'learning_rte'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_runs(settings, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_mapping(settings)


@pytest.mark.parametrize("device", ["cuda:99", "mps"])
def test_a_device_that_is_not_there_is_refused(device):
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has an mps device")
    with pytest.raises(ConfigError):
        train(tiny(device=device))


def test_batches_cover_every_image_once_per_epoch_in_a_new_order():
    images = Images(np.zeros((10, 1, 1, 1), np.uint8), np.arange(10))
    batches = Batches(images, (np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)), 4, seed=0)
    first, again, second = ([labels.tolist() for _, labels in batches.epoch(n)] for n in (0, 0, 1))
    assert [len(b) for b in first] == [4, 4, 2]
    assert sorted(label for batch in first for label in batch) == list(range(10))
    assert first == again != second


def test_processes_share_every_batch_and_step_equally_often():
    data = load("synthetic:1x2x2,train=11,test=2")
    images = Images(data.train.pixels, np.arange(11))
    shares = [
        [
            labels.tolist()
            for _, labels in Batches(images, data.normalisation(), 5, rank=r, processes=2).epoch(0)
        ]
        for r in range(2)
    ]
    assert shares == [[[0, 2, 4], [5, 7, 9]], [[1, 3], [6, 8]]]
    assert Batches(images, data.normalisation(), 5, processes=2).samples == 10
    assert len(Batches(images, data.normalisation(), 5, processes=2)) == 2
