"""A study's design: what is varied, what is held, how often, and how quiet the machine has to be.

Written as a TOML file (JSON Schema: docs/reference/study.schema.json) or made in Python: ``Design(name=..., ...)``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from wattmark.errors import ConfigError
from wattmark.workloads.command import EXTRA_PLACEHOLDERS, placeholders
from wattmark.workloads.registry import check_level, did_you_mean, load

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Level = StrictBool | StrictInt | StrictFloat | StrictStr
Levels = Annotated[list[Level], Field(min_length=1)]

SCHEMA_ID = "https://wattmark.readthedocs.io/reference/study.schema.json"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stop(_Table):
    """Repeat each cell until its mean is known well enough."""

    metric: str = Field(
        "energy_j", description="energy_j, duration_s, or a metric that the workload reports."
    )
    within_pct: float = Field(
        5.0,
        gt=0,
        description="Half the 95 % interval of the mean (Student's t), as a percentage of the mean.",
    )
    max_repeats: int = Field(10, ge=2, description="No cell is repeated more often than this.")
    max_seconds: float | None = Field(
        None, gt=0, description="No more repeats once all trials together took this long."
    )


class Quality(_Table):
    """What says how good a trial's outcome was; energy is weighed against it."""

    metric: str = Field(
        description="A metric that the workload reports. Default: accuracy, else f1, auc, r2 and the like."
    )
    better: Literal["higher", "lower"] = Field("higher", description="lower: an error, a loss, a perplexity.")
    target: float | None = Field(
        None,
        description="Good enough: the report says how many joules of learning each cell needs to come so far. Needs a "
        "workload with a stage evaluation after each stage epoch.",
    )


class Quiet(_Table):
    """How the machine is brought to rest before each trial."""

    baseline_s: float = Field(
        5.0, ge=0, le=3600, description="Seconds for which the idle machine is measured first; 0 for none."
    )
    warmup: bool | None = Field(
        None,
        description="Warm up outside of the measurement: a workload loads its framework and takes a small step, "
        "a command is run once more. Default: workloads do, commands do not.",
    )
    cooldown_within_pct: float = Field(
        10.0,
        gt=0,
        description="Wait before a trial until power is within this percentage of the baseline ...",
    )
    cooldown_max_s: float = Field(
        30.0, ge=0, le=3600, description="... but no longer than this many seconds; the trial then says so."
    )


class Command(_Table):
    """A command line that is the work of every trial."""

    argv: list[str] = Field(
        min_length=1,
        description="Its words; {factor} is replaced by the level, {python} by this Python, {repeat} and {seed} too.",
    )
    shell: bool = Field(False, description="Run the words, joined, by /bin/sh.")
    cwd: str | None = Field(None, description="The folder to run in; default: where the study is started.")
    env: dict[str, str] = Field(
        default_factory=dict, description="Added to its environment; may have placeholders."
    )
    metrics_from: Literal["stdout", "spans"] = Field(
        "stdout",
        description="stdout: the numbers of the last line of standard output that is a JSON object. "
        "spans: the numbers that the command gave to its wattmark spans; a later one replaces an earlier one.",
    )


class Design(_Table):
    """A study: factors x levels x repeats over one workload."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="What the study is called.")
    title: str = Field("", description="A title for its report.")
    workload: str = Field(
        "command", description="vision, tabular, llm, ebm, command, or package.module:Class."
    )
    combinations: Literal["full", "listed"] = Field(
        "full", description="full: every combination of levels. listed: those of the [[trial]] tables."
    )
    repeats: int = Field(3, ge=1, le=10_000, description="How often each combination is run.")
    seed: int = Field(0, description="Decides the order of the trials.")
    timeout_s: float | None = Field(
        None, gt=0, description="A trial that takes longer is ended and recorded."
    )
    factors: dict[str, Levels] = Field(default_factory=dict, description="Factor -> its levels.")
    trial: list[dict[str, Level]] = Field(
        default_factory=list[dict[str, Level]], description="The combinations, if they are listed."
    )
    fixed: dict[str, Level] = Field(default_factory=dict, description="What is the same in every trial.")
    stop: Stop | None = None
    quality: Quality | None = None
    quiet: Quiet = Field(default_factory=lambda: Quiet())  # pyright: ignore[reportCallIssue]
    command: Command | None = None

    @property
    def warm_up(self) -> bool:
        """Whether trials warm up."""
        return self.workload != "command" if self.quiet.warmup is None else self.quiet.warmup

    @property
    def factor_names(self) -> list[str]:
        """The factors that the study sets, in the order of the file."""
        return list(self.factors) if self.combinations == "full" else list(self.trial[0])

    @model_validator(mode="after")
    def _consistent(self) -> Design:
        if self.combinations == "full" and self.trial:
            raise ValueError('[[trial]] tables need combinations = "listed"')
        if self.combinations == "listed":
            if not self.trial:
                raise ValueError('combinations = "listed" needs [[trial]] tables')
            if self.factors:
                raise ValueError('[factors] has no place beside combinations = "listed"')
            if any(set(row) != set(self.trial[0]) for row in self.trial):
                raise ValueError("every [[trial]] must set the same factors")
        for name, levels in self.factors.items():
            if len({(type(level), level) for level in levels}) < len(levels):
                raise ValueError(f"factors.{name} has a level twice")
        both = set(self.factor_names) & set(self.fixed)
        if both:
            raise ValueError(f"{min(both)} cannot be both varied and fixed")
        if (self.command is None) == (self.workload == "command"):
            raise ValueError('a [command] table and workload = "command" belong together')
        return self

    def as_data(self) -> dict[str, Any]:
        """Plain data, as the TOML file would have it; defaults are spelled out."""
        data = self.model_dump(mode="json", exclude_none=True)
        return {key: value for key, value in data.items() if value not in ({}, [])}

    def as_toml(self) -> str:
        """A TOML file of this design."""
        return to_toml(self.as_data())


def load_design(path: str | Path, changes: Sequence[str] = ()) -> Design:
    """The design in a TOML file. changes: ``name=value`` as :func:`changed` takes them.

    Raises ConfigError that names the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return parse_design(text, str(path), changes)


def parse_design(text: str, where: str = "study.toml", changes: Sequence[str] = ()) -> Design:
    """The design in a TOML text; ``where`` is how errors call it. Raises ConfigError that names the line."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not valid TOML: {error}") from error
    if changes:
        data = changed(data, changes)
    try:
        design = Design.model_validate(data)
    except ValidationError as error:
        # a misspelt setting explains the one that is missing, and comes first
        first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        hint = _near_field(first) if first["type"] == "extra_forbidden" else None
        message = "there is no such setting" if hint else first["msg"].removeprefix("Value error, ")
        raise _at(where, text, first["loc"], message, hint) from error
    check_design(design, where, text)
    return design


def check_design(design: Design, where: str = "", text: str = "") -> None:
    """What only the workload can tell: that it has these factors and levels. Raises ConfigError."""
    if design.command is not None:
        _check_command(design, where, text)
        return
    workload = load(design.workload)
    columns: list[tuple[tuple[str | int, ...], str, Any]] = [
        (("factors", name), name, level) for name, levels in design.factors.items() for level in levels
    ]
    columns += [
        (("trial", row, name), name, level)
        for row, cell in enumerate(design.trial)
        for name, level in cell.items()
    ]
    columns += [(("fixed", name), name, level) for name, level in design.fixed.items()]
    for place, name, level in columns:
        try:
            check_level(workload, name, level)
        except ConfigError as error:
            raise _at(where, text, place, str(error), error.hint) from error


def changed(data: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """``data`` with settings replaced: ``epochs=1`` (a factor, else fixed), ``batch_size=16,64``, ``quiet.baseline_s=0``.

    A list, or words with commas, gives a factor its levels. Values are TOML values, else words.
    Raises ConfigError for a change without ``=`` or with a table that does not exist.
    """
    result = json.loads(json.dumps(data))
    for change in changes:
        name, equals, text = change.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ConfigError(f"--set {change}: write name=value")
        table, dot, key = name.partition(".")
        if dot:
            if table not in ("quiet", "stop", "quality", "command", "fixed", "factors"):
                raise ConfigError(f"--set {change}: there is no table {table!r}")
            result.setdefault(table, {})[key] = _value(text)
        elif name in ("repeats", "seed", "timeout_s", "title", "name", "workload", "combinations"):
            result[name] = _value(text) if name not in ("title", "name") else text
        elif name in result.get("factors", {}) or "," in text:
            value = _value(f"[{text}]") if "," in text and not text.lstrip().startswith("[") else _value(text)
            if isinstance(value, str) and "," in text:
                value = [_value(part) for part in text.split(",")]
            result.get("fixed", {}).pop(name, None)
            result.setdefault("factors", {})[name] = value if isinstance(value, list) else [value]
        else:
            result.setdefault("fixed", {})[name] = _value(text)
    return result


def to_toml(data: Mapping[str, Any]) -> str:
    """Plain data of a design as TOML: values, then tables, then arrays of tables."""
    lines = [f"{_key(key)} = {_toml(value)}" for key, value in data.items() if not _is_table(value)]
    for key, value in data.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{_key(key)}]", *_entries(cast("Mapping[str, Any]", value))]
        elif _is_table(value):
            for row in value:
                lines += ["", f"[[{_key(key)}]]", *_entries(row)]
    return "\n".join(lines) + "\n"


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of a study file."""
    schema = Design.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """The line (from 1) on which a setting stands: its key, else its table; None where there is neither."""
    table: list[str] = []
    row = -1
    best: tuple[int, int] | None = None
    keys = [part for part in place if isinstance(part, str)]
    rows = [part for part in place[1:2] if isinstance(part, int)]
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[\[?)\s*([\w.\"'-]+)\s*\]", line)
        if header:
            table = [part.strip("\"'") for part in header[2].split(".")]
            row = row + 1 if header[1] == "[[" else -1
            path = table
        else:
            entry = re.match(r"\s*([\w\"'-]+(?:\.[\w\"'-]+)*)\s*=", line)
            if entry is None:
                continue
            path = [*table, *(part.strip("\"'") for part in entry[1].split("."))]
        fits = path == keys[: len(path)] and (row < 0 or not rows or rows[0] == row)
        if fits and (best is None or len(path) > best[0]):
            best = (len(path), number)
    return best[1] if best else None


def _check_command(design: Design, where: str, text: str) -> None:
    assert design.command is not None
    words = [*design.command.argv, *design.command.env.values(), design.command.cwd or ""]
    used = placeholders(words)
    for name in design.factor_names:
        if name not in used:
            near = did_you_mean(name, sorted(used)) if used else f"write {{{name}}} where its level belongs"
            raise _at(where, text, ("factors", name), f"the command does not use the factor {name!r}", near)
    taken = [name for name in (*design.factor_names, *design.fixed) if name in EXTRA_PLACEHOLDERS]
    if taken:
        raise _at(
            where, text, ("factors", taken[0]), f"{taken[0]!r} has a meaning of its own in commands", None
        )


def _near_field(problem: Any) -> str:
    tables: dict[str, type[BaseModel]] = {
        "stop": Stop,
        "quality": Quality,
        "quiet": Quiet,
        "command": Command,
    }
    *parents, name = problem["loc"]
    model = tables.get(str(parents[0]), Design) if parents else Design
    return did_you_mean(str(name), list(model.model_fields))


def _at(where: str, text: str, place: Sequence[str | int], message: str, hint: str | None) -> ConfigError:
    line = line_of(text, place)
    name = ".".join(
        str(part) for part in place if isinstance(part, str) and part not in ("bool", "int", "float", "str")
    )
    head = f"{where}, line {line}: " if line else f"{where}: " if where else ""
    return ConfigError(f"{head}{name}: {message}" if name else f"{head}{message}", hint=hint)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _is_table(value: Any) -> bool:
    rows = cast("list[Any]", value) if isinstance(value, list) else [value]
    return bool(rows) and all(isinstance(row, dict) for row in rows)


def _entries(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_toml(value)}" for key, value in table.items()]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in cast('list[Any]', value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)} = {_toml(item)}' for key, item in value.items())}}}"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):  # JSON's escapes are TOML's; DEL alone must be escaped too
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
