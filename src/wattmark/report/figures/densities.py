"""Pictures of what models of densities learnt: the data, each model's density and its samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wattmark.report.drawing.maps import MapCell, maps
from wattmark.report.drawing.marks import Drawing
from wattmark.report.figures.training import Figure, Panel
from wattmark.studies.analysis.data.study_data import Group, StudyData, show_level
from wattmark.studies.results import TrialResult
from wattmark.workloads.ebm.picture import Picture

MOST_SETS = 12


def figures(data: StudyData) -> list[Figure]:
    """The figure, where trials left pictures (the workload ``ebm``)."""
    first = {cell.label: (cell, picture) for cell in data.cells if (picture := _first(data, cell))}
    if not first:
        return []
    sets: dict[str, dict[str, Picture]] = {}
    for cell, picture in first.values():
        others = {name: level for name, level in cell.levels.items() if name != data.subject}
        method = show_level(cell.levels[data.subject]) if data.subject else data.results.name
        sets.setdefault(data.label(others) if others else "", {})[method] = picture
    panels = [
        Panel(
            f"densities-{number}",
            name or "What was learnt",
            f"Maps of the plane: the data, and by method the density and the samples. {name}",
            _drawn(by_method),
            wide=True,
        )
        for number, (name, by_method) in enumerate(list(sets.items())[:MOST_SETS])
    ]
    lead = (
        "Darker squares are likelier (by the root, so that faint parts are seen). The density is the model's own, where "
        "the words can be gone through one by one; the samples are as the method draws them. Of each cell the first run."
    )
    return [Figure("densities", "What was learnt", lead, panels)]


def _first(data: StudyData, cell: Group) -> Picture | None:
    rows: list[int] = cell.rows.tolist()
    trials: list[TrialResult] = [data.trials[row] for row in rows]
    found = (Picture.read(stage.attrs) for trial in trials for stage in trial.stages_named("picture"))
    return next((picture for picture in found if picture is not None), None)


def _drawn(by_method: Mapping[str, Picture]) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        columns = ["data", *by_method]
        data = next(iter(by_method.values())).data
        cells = [MapCell(0, 0, data), MapCell(0, 1, data)]
        for column, picture in enumerate(by_method.values(), 1):
            if picture.density is not None:
                cells.append(MapCell(column, 0, picture.density))
            cells.append(MapCell(column, 1, picture.samples))
        return maps(columns, ["density", "samples"], cells)

    return draw
