"""Keras 3, whatever its backend: joules of every epoch and step.

::

    from wattmark.integrations.training.keras import EnergyCallback

    model.fit(x, y, epochs=3, callbacks=[EnergyCallback()])

Hooks and their order: keras.io/api/callbacks (version 3). Keras has no hook for an exception (as Hugging Face's Trainer) and
keeps no state of callbacks: ``EnergyCallback(training="mnist")`` joins the runs of one name when ``BackupAndRestore`` or
``initial_epoch`` goes on.
"""

from __future__ import annotations

from typing import Any

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.training.callback import EnergyHooks

_callbacks = module_of("keras", "keras.callbacks")


class EnergyCallback(EnergyHooks, _callbacks.Callback):
    """Measures ``fit``, and ``evaluate`` and ``predict`` as runs of their own; options: :class:`EnergyHooks`.

    batch_size: samples of a step, which Keras does not tell its callbacks; for joules a sample.
    """

    def __init__(self, name: str | None = None, *, batch_size: int | None = None, **options: Any) -> None:
        _callbacks.Callback.__init__(self)
        self.set_up(name, **options)
        self._batch_size = batch_size
        self._first = True
        self._global_step = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """The run begins."""
        self._first = True
        self._global_step = 0
        self.training.begin(details={"stage": "training", "model": self._model_name()}, owner=self.model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """An epoch begins; the first one says how many are left."""
        if self._first:
            self._first = False
            steps = self.params.get("steps") or None
            epochs = max(0, int(self.params.get("epochs") or 0) - epoch) or None
            self._global_step = epoch * steps if steps else 0
            self.training.expect(epochs=epochs, steps=epochs * steps if steps and epochs else None)
        self.training.begin_epoch(epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch begins."""
        self.training.begin_step()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """A batch ends."""
        self._global_step += 1
        self.training.end_step(self._batch_size)
        if self.must_stop and self.model is not None:
            self.model.stop_training = True

    def on_test_begin(self, logs: Any = None) -> None:
        """Within ``fit`` a part of it, else a run of its own."""
        if self.training.going_on:
            self.training.begin_part("evaluate")
        else:
            self.training.begin(
                details={"stage": "experiments", "model": self._model_name()}, owner=self.model
            )

    def on_test_end(self, logs: Any = None) -> None:
        """It is over."""
        self._end_or_part("evaluate")

    def on_predict_begin(self, logs: Any = None) -> None:
        """A run of its own."""
        if not self.training.going_on:
            self.training.begin(details={"stage": "inference", "model": self._model_name()}, owner=self.model)

    def on_predict_end(self, logs: Any = None) -> None:
        """It is over."""
        self._end_or_part("")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """An epoch ends, its validation included."""
        self.training.end_epoch(self._global_step)
        self.training.log(logs or {}, step=self._global_step, epoch=epoch)

    def on_train_end(self, logs: Any = None) -> None:
        """The run ends."""
        self.training.end()

    def _end_or_part(self, part: str) -> None:
        run = self.run
        if run is not None and run.tags.get("stage") == "training":
            self.training.end_part(part)
        else:
            self.training.end()

    def _model_name(self) -> str:
        return str(getattr(self.model, "name", "") or "")
