"""PyTorch Lightning: joules of every epoch and step, beside the loss in whatever logger the trainer has.

::

    from wattmark.integrations.training.lightning import EnergyCallback

    trainer = L.Trainer(max_epochs=3, callbacks=[EnergyCallback()])

Hooks and their order: lightning.ai/docs/pytorch/stable, Callback and LightningModule hooks (version 2.6). The pieces of a
resumed training come from the checkpoint (``state_dict``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.trackers.base import Ending, Point, Tracker, summary_values
from wattmark.integrations.training.callback import EnergyHooks, local_ranks, samples_in
from wattmark.recorder.launch import JOB_ENV

_callbacks = module_of("lightning", "lightning.pytorch.callbacks", "pytorch_lightning.callbacks")


class EnergyCallback(EnergyHooks, _callbacks.Callback):
    """Measures fit, and ``validate``, ``test`` and ``predict`` as runs of their own; options: :class:`EnergyHooks`."""

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__()
        self.set_up(name, **options)

    # fit

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The run begins; a checkpoint has been loaded by now."""
        _name_job(trainer)
        steps = _positive(trainer.estimated_stepping_batches)
        left = None if steps is None else max(0.0, steps - trainer.global_step)
        epochs = _positive(trainer.max_epochs)
        self._begin(
            trainer,
            "training",
            steps=left,
            epochs=None if epochs is None else max(0.0, epochs - trainer.current_epoch),
            model=type(pl_module).__name__,
        )

    def on_sanity_check_start(self, trainer: Any, pl_module: Any) -> None:
        """Lightning tries the validation before it trains."""
        self.training.begin_part("sanity check")

    def on_sanity_check_end(self, trainer: Any, pl_module: Any) -> None:
        """It is over."""
        self.training.end_part("sanity check")

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """An epoch begins."""
        self.training.begin_epoch(trainer.current_epoch)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """A batch begins."""
        self.training.begin_step()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A batch ends; where the trainer logs, so do joules."""
        samples = samples_in(batch)
        self.training.end_step(None if samples is None else samples * local_ranks())
        every = trainer.log_every_n_steps
        if every and (trainer.global_step % every == 0 or trainer.global_step == 1):
            self.training.log(trainer.logged_metrics, step=trainer.global_step, epoch=trainer.current_epoch)
        if self.must_stop:
            trainer.should_stop = True

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Within fit a part of it, else a run of its own."""
        if trainer.state.fn == "fit":
            self.training.begin_part("evaluate")
        else:
            self._begin(trainer, "experiments", model=type(pl_module).__name__)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """It is over."""
        if trainer.state.fn == "fit":
            self.training.end_part("evaluate")
        else:
            self.training.end()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """An epoch ends, its validation included."""
        self.training.end_epoch(trainer.global_step)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """The run ends; loggers are told what is left to tell."""
        self.training.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The run ends as what it is."""
        self.training.end(exception)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Whatever has not ended by now has been interrupted in a way that no hook told of."""
        self.training.end()

    # the other stages

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        """A run of its own."""
        self._begin(trainer, "experiments", model=type(pl_module).__name__)

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """It is over."""
        self.training.end()

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        """A run of its own."""
        self._begin(trainer, "inference", model=type(pl_module).__name__)

    def on_predict_end(self, trainer: Any, pl_module: Any) -> None:
        """It is over."""
        self.training.end()

    # the checkpoint

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint: the pieces of the training so far, and their joules."""
        return self.training.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.training.restore(state_dict)

    def _begin(
        self,
        trainer: Any,
        stage: str,
        *,
        steps: float | None = None,
        epochs: float | None = None,
        model: str = "",
    ) -> None:
        main = trainer.is_global_zero
        if main:
            self.training.reporters = trackers_of(trainer)
        self.training.begin(main=main, epochs=epochs, steps=steps, details={"stage": stage, "model": model})


class LightningLogger:
    """A logger of Lightning that is none of those which get more: ``log_metrics`` at the steps, figures at the end."""

    def __init__(self, logger: Any, trainer: Any) -> None:
        self._logger, self._trainer = logger, trainer

    def log(self, points: Sequence[Point]) -> None:
        """Numbers by step."""
        for point in points:
            step = self._trainer.global_step if point.step is None else point.step
            self._logger.log_metrics(dict(point.values), step=step)

    def finish(self, ending: Ending) -> None:
        """The figures of the whole run."""
        self._logger.log_metrics(summary_values(ending), step=self._trainer.global_step)
        self._logger.save()


def trackers_of(trainer: Any) -> list[Tracker]:
    """A tracker for each of the trainer's loggers: the ones that Wattmark knows get pages, tables and series as well."""
    trackers: list[Tracker] = []
    for logger in trainer.loggers:
        kinds = {kind.__name__ for kind in type(logger).__mro__}
        if "TensorBoardLogger" in kinds:
            from wattmark.integrations.trackers.tensorboard import TensorBoardTracker

            trackers.append(TensorBoardTracker(logger.experiment))
        elif "WandbLogger" in kinds:
            from wattmark.integrations.trackers.wandb import WandbTracker

            trackers.append(WandbTracker(logger.experiment, step_name="trainer/global_step"))
        elif "MLFlowLogger" in kinds:
            from wattmark.integrations.trackers.mlflow import MLflowTracker

            trackers.append(MLflowTracker(logger.experiment, logger.run_id))
        else:
            trackers.append(LightningLogger(logger, trainer))
    return trackers


def _name_job(trainer: Any) -> None:
    """Where Lightning itself has started the other ranks, nothing else tells them which job they are of.

    The rank that started them, and was started by the user, is the job's name for the others.
    """
    world = getattr(trainer, "world_size", 1)
    if world <= 1 or JOB_ENV in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:
        return
    started_them = bool(getattr(trainer.strategy.launcher, "procs", None))
    launcher = os.getpid() if started_them else os.getppid()
    os.environ[JOB_ENV] = f"lightning-{launcher}-{os.environ.get('MASTER_PORT', '')}"


def _positive(count: float | None) -> float | None:
    """A number that says how much; -1 and infinity say that nobody knows."""
    return None if count is None or not 0 < count < 1e15 else float(count)
