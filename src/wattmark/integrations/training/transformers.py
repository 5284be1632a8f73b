"""Hugging Face Trainer: joules of every epoch and step, beside the loss in the trackers that it reports to.

::

    from wattmark.integrations.training.transformers import EnergyCallback

    trainer = Trainer(model=model, args=args, train_dataset=data, callbacks=[EnergyCallback()])

Hooks and their order: huggingface.co/docs/transformers, Callbacks; ``trainer_callback.py`` (version 5). The Trainer has no
hook for an exception: a training that ended with one is over when the next begins, when its notebook cell ends, or with the
process. The pieces of a resumed training come from ``trainer_state.json``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from wattmark.documents import mapping
from wattmark.integrations.frameworks import module_of
from wattmark.integrations.training.callback import EnergyHooks, local_ranks

_callbacks = module_of("transformers", "transformers.trainer_callback")


class EnergyCallback(EnergyHooks, _callbacks.TrainerCallback, _callbacks.ExportableState):
    """Measures ``trainer.train()``; options: :class:`EnergyHooks`."""

    def __init__(self, name: str | None = None, **options: Any) -> None:
        self.set_up(name, **options)
        self._options = {"name": name, **options}
        self._per_step = 0
        self._beside_training = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The run begins; a checkpoint has been loaded by now."""
        kept = mapping(mapping(state.stateful_callbacks).get(EnergyCallback.__name__))
        if kept and state.global_step:
            self.training.restore(mapping(mapping(kept.get("attributes")).get("kept")))
        ranks = min(local_ranks(), max(1, args.world_size))
        self._per_step = args.train_batch_size * args.gradient_accumulation_steps * ranks
        model = kwargs.get("model")
        self.training.reporters = _tensorboard(args) if state.is_world_process_zero else []
        self.training.begin(
            main=bool(state.is_world_process_zero),
            steps=state.max_steps - state.global_step if state.max_steps > 0 else None,
            epochs=None if state.max_steps > 0 else float(args.num_train_epochs),
            details={"stage": "training", "model": type(model).__name__ if model is not None else ""},
            owner=control,
        )

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """An epoch begins."""
        self.training.begin_epoch(int(state.epoch or 0))

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A step of the optimizer begins, with all batches that it accumulates."""
        self.training.begin_step()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """It ends; what the Trainer does next (``control``) is told apart."""
        self.training.end_step(self._per_step)
        if self.must_stop:
            control.should_training_stop = True
        self._what_comes(control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """An epoch ends."""
        self.training.end_epoch(state.global_step)
        self._what_comes(control)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluation goes on; outside a training it is a run of its own."""
        if not self.training.going_on:
            self._beside_training = True
            self.training.begin(
                main=bool(state.is_world_process_zero), details={"stage": "inference"}, owner=control
            )

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluation is over; what follows may be a checkpoint."""
        self._after_prediction()
        if control.should_save and self.training.going_on:
            self.training.begin_part("checkpoint")

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """``trainer.predict`` is over."""
        self._after_prediction()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A checkpoint has been written."""
        self.training.end_part("checkpoint")

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """The Trainer logs: joules of this moment belong to the same step."""
        self.training.log(logs or {}, step=state.global_step, epoch=state.epoch)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The run ends."""
        self.training.end()

    def state(self) -> dict[str, Any]:
        """For ``trainer_state.json``: the pieces of the training so far, and their joules."""
        plain = ("name", "steps", "training", "budget", "stop_over_budget")
        args = {key: value for key, value in self._options.items() if key in plain}
        return {"args": args, "attributes": {"kept": self.training.state()}}

    @property
    def kept(self) -> dict[str, object]:
        """What a checkpoint keeps of this callback."""
        return self.training.state()

    @kept.setter
    def kept(self, state: dict[str, object]) -> None:
        self.training.restore(state)

    def _what_comes(self, control: Any) -> None:
        if control.should_evaluate:
            self.training.begin_part("evaluate")
        elif control.should_save:
            self.training.begin_part("checkpoint")

    def _after_prediction(self) -> None:
        if self._beside_training:
            self._beside_training = False
            self.training.end()
        else:
            self.training.end_part("evaluate")


def _tensorboard(args: Any) -> list[Any]:
    """TensorBoard's folder of the Trainer, where it reports there: files of one folder are one run."""
    report_to = {args.report_to} if isinstance(args.report_to, str) else set(map(str, args.report_to or ()))
    folder = _tensorboard_folder(args) if {"tensorboard", "all"} & report_to else None
    if folder is None:
        return []
    from wattmark.integrations.trackers.tensorboard import TensorBoardTracker

    return [TensorBoardTracker.in_folder(folder)]


def _tensorboard_folder(args: Any) -> str | None:
    """Where the Trainer's own callback, which comes before this one, has begun to write (version 4 says it, version 5 makes
    a folder below ``output_dir/runs``)."""
    given = os.environ.get("TENSORBOARD_LOGGING_DIR") or getattr(args, "logging_dir", None)
    if given:
        return str(Path(given).expanduser())
    own = f".{os.uname().nodename}.{os.getpid()}."
    files = [
        path for path in Path(args.output_dir, "runs").glob("*/events.out.tfevents.*") if own in path.name
    ]
    newest = max(files, key=lambda path: path.stat().st_mtime_ns, default=None)
    return None if newest is None else str(newest.parent)
