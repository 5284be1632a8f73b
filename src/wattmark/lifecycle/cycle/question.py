"""``wm.cycle({"teacher": {"training": "run:last", "inference": "0.3 J"}}, uses=1e6)``: the full cycle of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from wattmark.errors import ConfigError
from wattmark.lifecycle.cycle.comparison import Cycle
from wattmark.lifecycle.cycle.origins import Library, energy_of, library_here, per_use, stage_of
from wattmark.lifecycle.cycle.stages import INFERENCE, STAGES, Candidate, Stage, with_bases
from wattmark.quantity import Quantity
from wattmark.runs.view import RunView
from wattmark.tracker.run import Run

Origin = str | Quantity | Run | RunView
Origins = Origin | Sequence[Origin]
Model = Mapping[str, Origins | float]
"""Stage -> where its joules come from; ``from``: the model that it was made from; ``quality``: 0..1."""
BASE, QUALITY = "from", "quality"
MODEL_TAG, STAGE_TAG = "model", "stage"
_SAME = {"train": "training", "serving": "inference", "use": "inference", "experiment": "experiments",
         "distillation": "compression", "quantisation": "compression", "pruning": "compression"}  # fmt: skip


@dataclass(slots=True)
class _Draft:
    stages: dict[str, list[Origin]] = field(default_factory=dict[str, list[Origin]])
    base: str | None = None
    quality: float | None = None


def cycle(
    models: Mapping[str, Model] | None = None,
    *,
    uses: float | str | Iterable[float | str] = (),
    library: Library | None = None,
) -> Cycle:
    """The full cycle of models: what each takes before its use and for every use, which is the cheapest for how much use.

    models: name -> stages (``data``, ``search``, ``experiments``, ``training``, ``compression``, ``storage``,
    ``inference``), each from a run, a quantity in J, or words (``"run:last"``, ``"tag:phase=distil"``, ``"study:NAME"``,
    ``"12 kWh"``, ``"run:serve/samples"`` of inference), or several that add up; ``from``: the model that it was made from,
    whose stages it then has as well; ``quality``: 0..1. Without models: those of the kept runs that have the tags ``model``
    and ``stage``. uses: how much use is expected, ``1e6`` or several with weights, ``["1e4:1", "1e8:3"]``. library: where
    runs and studies are (default: this machine's).

    Raises ConfigError for what is not known or cannot be, RunNotFound.
    """
    doors = library or library_here()
    drafts = (
        _tagged(doors) if models is None else {name: _draft(name, model) for name, model in models.items()}
    )
    candidates: dict[str, Candidate] = {}
    for name, draft in drafts.items():
        stages = {
            stage: tuple(_stage(name, stage, origin, doors) for origin in draft.stages[stage])
            for stage in STAGES
            if draft.stages.get(stage)
        }
        candidates[name] = Candidate(name, stages, draft.base, draft.quality)
    whole = with_bases(candidates)
    return Cycle(list(whole.values()), usage_of(uses))


def usage_of(uses: float | str | Iterable[float | str]) -> list[tuple[float, float]]:
    """``1e6``, ``"1e6:2"`` (a weight) or several of them as (N, weight). Raises ConfigError."""
    words = [uses] if isinstance(uses, int | float | str) else list(uses)
    found: list[tuple[float, float]] = []
    for word in words:
        number, _, weight = str(word).partition(":")
        try:
            found.append((float(number), float(weight or 1)))
        except ValueError as error:
            raise ConfigError(f"{word!r} is no number of uses", hint="1e6, or 1e6:2 with a weight") from error
    return found


def models_of(
    stages: Iterable[str], bases: Iterable[str] = (), qualities: Iterable[str] = ()
) -> dict[str, dict[str, Origins | float]]:
    """Models from words: ``teacher.training=run:last``, ``student=teacher`` and ``student=0.91``. Raises ConfigError."""
    models: dict[str, dict[str, Origins | float]] = {}
    for word in stages:
        place, equals, origin = word.partition("=")
        name, dot, stage = place.rpartition(".")
        if not (equals and dot and name.strip() and origin.strip()):
            raise ConfigError(f"--stage {word!r} is not understood", hint="--stage MODEL.training=run:last")
        own = models.setdefault(name.strip(), {})
        before = own.get(stage.strip())
        own[stage.strip()] = [*before, origin] if isinstance(before, list) else [origin]
    for words, key in ((bases, BASE), (qualities, QUALITY)):
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or name.strip() not in models:
                raise ConfigError(
                    f"--{key} {word!r}: {name.strip()} has no stage",
                    hint=f"--{key} MODEL=..., and its --stage",
                )
            models[name.strip()][key] = value.strip()
    return models


def _draft(name: str, model: Model) -> _Draft:
    draft = _Draft()
    for key, value in model.items():
        if key == BASE:
            draft.base = str(value)
        elif key == QUALITY:
            draft.quality = _quality(name, value)
        else:
            draft.stages.setdefault(_stage_name(name, key), []).extend(_origins(name, key, value))
    return draft


def _origins(name: str, stage: str, value: Origins | float) -> list[Origin]:
    if isinstance(value, str | Quantity | Run | RunView):
        return [value]
    if isinstance(value, int | float):
        raise ConfigError(f"{name}.{stage}: {value} has no unit", hint="12 kWh, 0.3 J, or a Quantity")
    return list(value)


def _stage_name(model: str, word: str) -> str:
    name = _SAME.get(word.lower(), word.lower())
    if name not in STAGES:
        near = get_close_matches(name, STAGES, 1)
        raise ConfigError(
            f"{model}: there is no stage {word!r}", hint=near[0] if near else f"one of {', '.join(STAGES)}"
        )
    return name


def _quality(name: str, value: object) -> float:
    try:
        quality = float(str(value))
    except ValueError:
        quality = -1.0
    if not 0 <= quality <= 1:
        raise ConfigError(f"{name}: a quality of {value} cannot be", hint="0 to 1: 0.91")
    return quality


def _stage(model: str, stage: str, origin: Origin, library: Library) -> Stage:
    if isinstance(origin, str):
        return stage_of(model, stage, origin, library)
    unit = "J/use" if stage == INFERENCE else "J"
    if isinstance(origin, Quantity):
        if origin.unit.partition("/")[0] != "J":
            raise ConfigError(f"{model}.{stage} is in {origin.unit}, not in joules")
        return Stage(stage, origin.with_unit(unit), origin.source or "stated", bool(origin.source))
    view = origin if isinstance(origin, RunView) else origin.view
    energy = per_use([view], "") if stage == INFERENCE else energy_of([view])
    return Stage(stage, energy.with_unit(unit), f"run {view.name}", True)


def _tagged(library: Library) -> dict[str, _Draft]:
    """Models of the kept runs by their tags: the sum of the runs of each stage; of inference all runs together."""
    drafts: dict[str, _Draft] = {}
    uses: dict[str, list[RunView]] = {}
    for run in library.tagged(MODEL_TAG):
        tags = run.record.tags
        if not tags.get(STAGE_TAG):
            continue
        name, stage = tags[MODEL_TAG], _stage_name(run.name, tags[STAGE_TAG])
        draft = drafts.setdefault(name, _Draft())
        draft.base = tags.get(BASE) or draft.base
        if stage == INFERENCE:
            uses.setdefault(name, []).append(run)
        else:
            draft.stages.setdefault(stage, []).append(run)
    for name, views in uses.items():
        drafts[name].stages[INFERENCE] = [per_use(views, "").with_source(f"{len(views)} runs")]
    if not drafts:
        raise ConfigError(
            "no run has the tags model and stage",
            hint="wattmark run --tag model=small --tag stage=training -- CMD, or name stages: --stage small.training=...",
        )
    return dict(sorted(drafts.items()))
