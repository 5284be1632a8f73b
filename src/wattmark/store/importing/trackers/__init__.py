"""What experiment trackers keep on disk, read without them: the offline file of W&B, TensorBoard's event files, MLflow's
SQLite store. Only power over time is taken from them; a file is told by its first bytes."""

from __future__ import annotations

from wattmark.errors import ImportFileError
from wattmark.store.importing.reading import MOST_BYTES, Reading
from wattmark.store.importing.trackers import mlflow, tensorboard, wandb_file


def reading_of_tracker(path: str) -> Reading | None:
    """The runs with power in a tracker's file; None for a file of another kind. Raises ImportFileError for a file that is
    one but cannot be read, or has no powers."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if mlflow.recognises(head):
                return mlflow.runs(path)
            for kind in (wandb_file, tensorboard):
                if kind.recognises(head):
                    data = head + file.read(MOST_BYTES)
                    if len(data) > MOST_BYTES:
                        raise ImportFileError(
                            f"cannot read {path}: it holds more than {MOST_BYTES // 2**20} MB"
                        )
                    return kind.runs(path, data)
    except (OSError, ValueError):  # told when it is read as text
        return None
    return None
