"""Stand-ins for training frameworks: their hooks in their order, and nothing else.

The orders were written down from the frameworks themselves (Lightning 2.6, Transformers 5, Keras 3), and where those are
installed tests hold them against what is here.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

Work = Callable[[int], None]
BATCH = 8


class Hooks:
    """Every hook that is not there does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_") or name in ("setup", "teardown"):
            return lambda *_args, **_kwargs: None
        raise AttributeError(name)


class HooksOfKeras(Hooks):
    """A callback of Keras knows its model and parameters."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.model: Any = None


def stand_in(monkeypatch: Any, module: str, **names: object) -> None:
    """Put a module into place, with the packages above it."""
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for name, value in names.items():
        setattr(sys.modules[module], name, value)


@dataclass
class LightningTrainer:
    """``Trainer.fit`` of Lightning with one callback and a validation in each epoch."""

    callback: Any
    max_epochs: int
    loggers: Sequence[Any] = ()
    checkpoint: dict[str, Any] = field(default_factory=dict)
    current_epoch: int = 0
    global_step: int = 0
    should_stop: bool = False
    is_global_zero: bool = True
    world_size: int = 1
    log_every_n_steps: int = 2
    estimated_stepping_batches: float = 0
    logged_metrics: dict[str, Any] = field(default_factory=dict)

    def fit(self, work: Work, steps: int, resume: Mapping[str, Any] | None = None) -> None:
        self.state = SimpleNamespace(fn="fit")
        self.strategy = SimpleNamespace(launcher=None)
        self.estimated_stepping_batches = self.max_epochs * steps
        module, hooks = SimpleNamespace(), self.callback
        try:
            hooks.setup(self, module, "fit")
            if resume is not None:
                hooks.load_state_dict(dict(resume["callbacks"]))
            hooks.on_fit_start(self, module)
            if resume is not None:
                self.current_epoch, self.global_step = resume["epoch"], resume["step"]
            hooks.on_sanity_check_start(self, module)
            hooks.on_validation_start(self, module)
            hooks.on_validation_end(self, module)
            hooks.on_sanity_check_end(self, module)
            hooks.on_train_start(self, module)
            while self.current_epoch < self.max_epochs and not self.should_stop:
                hooks.on_train_epoch_start(self, module)
                for index in range(steps):
                    batch = np.zeros((BATCH, 2))
                    hooks.on_train_batch_start(self, module, batch, index)
                    work(self.global_step + 1)
                    self.global_step += 1
                    self.logged_metrics = {"loss": 1.0 / self.global_step}
                    hooks.on_train_batch_end(self, module, None, batch, index)
                    if self.should_stop:
                        break
                hooks.on_validation_start(self, module)
                hooks.on_validation_end(self, module)
                hooks.on_train_epoch_end(self, module)
                self.current_epoch += 1
            hooks.on_train_end(self, module)
            self.checkpoint = {
                "callbacks": hooks.state_dict(),
                "epoch": self.current_epoch,
                "step": self.global_step,
            }
            hooks.on_fit_end(self, module)
            hooks.teardown(self, module, "fit")
        except BaseException as error:
            hooks.on_exception(self, module, error)
            raise


@dataclass
class HuggingFaceTrainer:
    """``Trainer.train`` of Transformers that evaluates and saves after each epoch and logs every second step."""

    callback: Any
    epochs: int
    checkpoint: dict[str, Any] = field(default_factory=dict)

    def train(self, work: Work, steps: int, resume: Mapping[str, Any] | None = None) -> None:
        args = SimpleNamespace(
            num_train_epochs=self.epochs, world_size=1, train_batch_size=BATCH, gradient_accumulation_steps=1,
            report_to=[], output_dir="",
        )  # fmt: skip
        state = SimpleNamespace(
            global_step=0, epoch=0.0, max_steps=self.epochs * steps, is_world_process_zero=True,
            stateful_callbacks={},
        )  # fmt: skip
        if resume is not None:
            state.global_step, state.epoch = resume["global_step"], resume["epoch"]
            state.stateful_callbacks = dict(resume["stateful_callbacks"])
        control = SimpleNamespace(should_training_stop=False, should_evaluate=False, should_save=False)

        def call(hook: str, **kwargs: Any) -> None:
            getattr(self.callback, hook)(args, state, control, model=object(), **kwargs)

        call("on_train_begin")
        while state.epoch < self.epochs and not control.should_training_stop:
            call("on_epoch_begin")
            first = state.epoch
            for index in range(steps):
                call("on_step_begin")
                work(state.global_step + 1)
                state.global_step += 1
                state.epoch = first + (index + 1) / steps
                call("on_step_end")
                if state.global_step % 2 == 0:
                    call("on_log", logs={"loss": 1.0 / state.global_step})
                if control.should_training_stop:
                    break
            control.should_evaluate = control.should_save = True
            call("on_epoch_end")
            control.should_evaluate = False
            call("on_prediction_step")
            call("on_log", logs={"eval_loss": 1.0})
            call("on_evaluate", metrics={})
            control.should_save = False
            state.stateful_callbacks = {type(self.callback).__name__: self.callback.state()}
            self.checkpoint = {
                "global_step": state.global_step,
                "epoch": state.epoch,
                "stateful_callbacks": state.stateful_callbacks,
            }
            call("on_save")
        call("on_log", logs={"train_runtime": 1.0})
        call("on_train_end")


@dataclass
class KerasModel:
    """``Model.fit`` of Keras with validation data."""

    name: str = "sequential"
    stop_training: bool = False

    def fit(self, callback: Any, work: Work, epochs: int, steps: int, initial_epoch: int = 0) -> None:
        callback.model = self
        callback.params = {"verbose": 0, "epochs": epochs, "steps": steps}
        callback.on_train_begin()
        step = initial_epoch * steps
        for epoch in range(initial_epoch, epochs):
            callback.on_epoch_begin(epoch)
            for batch in range(steps):
                callback.on_train_batch_begin(batch)
                step += 1
                work(step)
                callback.on_train_batch_end(batch, {"loss": 1.0 / step})
                if self.stop_training:
                    break
            callback.on_test_begin()
            callback.on_test_end({})
            callback.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 2.0})
            if self.stop_training:
                break
        callback.on_train_end({})
