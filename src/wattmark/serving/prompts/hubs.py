"""Data sets of Hugging Face and ModelScope by name: ``owner/name``, ``owner/name:split`` or ``owner/name:file.jsonl``.

None of their packages is among our dependencies. Of Hugging Face a file is had through ``huggingface_hub``, rows through
``datasets``; of ModelScope both through ``modelscope``. Tokens and caches are their own business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.prompts.rows import Skipped, rows_of
from wattmark.serving.server.hub import failures, said

FILES = (".jsonl", ".json", ".parquet", ".csv", ".tsv", ".txt", ".gz", ".ndjson")
SPLITS = ("train", "test", "validation")
BY_HAND = "download a file of it by other means and give --data PATH"
MOST_SHOWN = 8


def hugging_face_rows(name: str, most: int | None, skipped: Skipped) -> Iterator[tuple[str, Any]]:
    """Where a row is, and the row. most: no more are asked for. Raises ConfigError and ServerError."""
    repo, _, part = name.partition(":")
    if part.endswith(FILES):
        return rows_of(_hub_file(repo, part), skipped)
    try:
        datasets = import_module("datasets")
    except ImportError:
        return rows_of(_hub_file(repo, _only_file(repo, part)), skipped)
    return _rows_of_datasets(datasets, repo, part, most)


def modelscope_rows(name: str, most: int | None, skipped: Skipped) -> Iterator[tuple[str, Any]]:
    """Where a row is, and the row. Raises ConfigError and ServerError."""
    repo, _, part = name.partition(":")
    try:
        scope = import_module("modelscope")
    except ImportError as error:
        raise ConfigError(
            "names of ModelScope need the package modelscope", hint=f"pip install modelscope; or {BY_HAND}"
        ) from error
    try:
        if part.endswith(FILES):
            folder = scope.dataset_snapshot_download(repo, allow_patterns=[part])
            return rows_of(Path(folder) / part, skipped)
        rows: Iterable[Mapping[str, Any]] = scope.MsDataset.load(repo, split=part or SPLITS[0])
        return iter([(f"row {number}", dict(row)) for number, row in enumerate(islice(rows, most), 1)])
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _unreachable(repo, "ModelScope", error) from error


def _rows_of_datasets(datasets: Any, repo: str, split: str, most: int | None) -> Iterator[tuple[str, Any]]:
    wrong = (OSError, ValueError, KeyError, RuntimeError, *_http_failures())
    try:
        whole = datasets.load_dataset(repo, streaming=True)
        names = [str(name) for name in whole]
        chosen = split or next((name for name in SPLITS if name in names), names[0])
        if chosen not in names:
            raise ConfigError(f"{repo} has no split {chosen}", hint=f"it has {', '.join(names[:MOST_SHOWN])}")
        rows: Iterable[Mapping[str, Any]] = whole[chosen]
        return iter([(f"row {number}", dict(row)) for number, row in enumerate(islice(rows, most), 1)])
    except wrong as error:
        raise _unreachable(repo, "Hugging Face", error) from error


def _hub_file(repo: str, file: str) -> Path:
    hub = _hub()
    try:
        return Path(hub.hf_hub_download(repo, file, repo_type="dataset"))
    except failures(hub) as error:
        raise _unreachable(repo, "Hugging Face", error) from error


def _only_file(repo: str, split: str) -> str:
    """The file to take where ``datasets`` is not there to choose. Raises ConfigError if that is not clear."""
    hub = _hub()
    try:
        siblings = hub.HfApi().dataset_info(repo).siblings or ()
    except failures(hub) as error:
        raise _unreachable(repo, "Hugging Face", error) from error
    files = sorted(str(each.rfilename) for each in siblings if str(each.rfilename).endswith(FILES))
    fitting = [file for file in files if split in file] if split else files
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(files[:MOST_SHOWN]) or "none"
    raise ConfigError(
        f"{repo} has {len(fitting)} files of rows{f' like {split}' if split else ''}: {shown}",
        hint=f"name one, as hf:{repo}:{files[0] if files else 'FILE'}; or pip install datasets",
    )


def _hub() -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise ConfigError(
            "names of Hugging Face need the package datasets or huggingface_hub",
            hint=f"pip install datasets; or {BY_HAND}",
        ) from error


def _http_failures() -> tuple[type[BaseException], ...]:
    try:
        return failures(import_module("huggingface_hub"))
    except (ImportError, AttributeError):
        return ()


def _unreachable(repo: str, place: str, error: BaseException) -> ServerError:
    return ServerError(
        f"{repo} cannot be had from {place}: {said(error)}",
        hint=f"is the name right, and is there a network? Else {BY_HAND}",
    )
