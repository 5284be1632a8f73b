"""The report of a study: one HTML file, its figures as SVG and PNG, its tables as CSV and Parquet."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from wattmark._version import __version__
from wattmark.advise.changes.advice import advice_for, again
from wattmark.errors import ConfigError
from wattmark.predict.profile import profile
from wattmark.predict.whatif.rates import Rates
from wattmark.report import tables as study_tables
from wattmark.report.drawing.label import label_svg
from wattmark.report.drawing.style import file_bytes
from wattmark.report.figures import analysis as figures_analysis
from wattmark.report.figures import batch_size as figures_more
from wattmark.report.figures import densities as figures_densities
from wattmark.report.figures import epochs as figures_epochs
from wattmark.report.figures import reach as figures_reach
from wattmark.report.figures import tasks as figures_tasks
from wattmark.report.figures import tools as figures_tools
from wattmark.report.figures import training as figures_first
from wattmark.report.figures.serving import load as figures_serving
from wattmark.report.figures.training import Figure
from wattmark.report.html.markup import Html, join, tag
from wattmark.report.html.page import Section, figure_section, page
from wattmark.report.html.pdf import write_pdf
from wattmark.report.sections import findings, summary
from wattmark.report.sections.methods import methods_section
from wattmark.report.sections.published import published_section
from wattmark.report.sections.tasks import task_table
from wattmark.studies.analysis import Analysis, analyse
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.analysis.guidelines.training import Guideline
from wattmark.studies.analysis.tasks import rated, task_costs
from wattmark.studies.results import StudyResults
from wattmark.text import clean

FIGURE_FORMATS = ("svg", "png", "pdf")
_HOW_TO_READ = (
    "In the figures a thin line or a band is the 95 % interval of what a comparison rests on: scatter of the runs, edges, "
    "character of the work. What all of its numbers err by together, such as the scale of one sensor, is shaded, and told "
    "below the figure. Solid bars and filled points are "
    "measured, hatched bars and hollow points are modelled, half-filled points are both. Rest the pointer on a bar or a "
    "point to read its numbers."
)


def write_report(
    results: StudyResults,
    path: str | os.PathLike[str],
    analysis: Analysis | None = None,
    rates: Rates | None = None,
) -> Path:
    """The study as one self-contained file, HTML, or PDF if the name ends in .pdf; gives its path.

    analysis: what :func:`~wattmark.studies.analysis.analyse` found, if it is at hand. rates: carbon and money of a
    joule, for the table of a study of tasks. Raises ConfigError for a study without trials, another ending, or a PDF where
    no Chromium prints it, and MissingExtra without the extra ``study``.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in (".html", ".htm", ".pdf"):
        raise ConfigError(
            f"a report cannot be written as {target.name!r}", hint="the name ends in .html or .pdf"
        )
    if not results.trials:
        raise ConfigError(
            f"the study {results.name} has no trials yet", hint="run it first: wattmark study run NAME"
        )
    findings = analyse(results) if analysis is None else analysis
    data = StudyData(results, findings.frame)
    document = _document(data, findings, rates)
    if kind == ".pdf":
        return write_pdf(document, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(document, encoding="utf-8")
    return target


def write_figures(
    results: StudyResults,
    folder: str | os.PathLike[str],
    formats: Sequence[str] = ("svg", "png"),
    analysis: Analysis | None = None,
) -> list[Path]:
    """Every panel of every figure that the data carry, as ``folder/<figure>.<format>``; gives the paths."""
    unknown = [kind for kind in formats if kind not in FIGURE_FORMATS]
    if unknown:
        raise ConfigError(
            f"a figure cannot be written as {unknown[0]!r}", hint=f"one of {', '.join(FIGURE_FORMATS)}"
        )
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    findings = analyse(results) if analysis is None else analysis
    for figure in study_figures(StudyData(results, findings.frame), findings):
        for panel in figure.panels:
            drawing = panel.draw()
            for kind in formats:
                path = target / f"{panel.key}.{kind}"
                path.write_bytes(file_bytes(drawing.figure, kind))
                written.append(path)
    return [*written, *_write_labels(StudyData(results, findings.frame), target)]


def _write_labels(data: StudyData, folder: Path) -> list[Path]:
    """The label of each cell of a study of tasks, as ``label-1.svg`` and so on in the order of the cells."""
    written: list[Path] = []
    machine = ", ".join(sorted({trial.host for trial in data.trials if trial.host}))
    for number, (cost, stars) in enumerate(rated(task_costs(data)), 1):
        path = folder / f"label-{number}.svg"
        path.write_text(label_svg(cost, stars, machine), encoding="utf-8")
        written.append(path)
    return written


def write_tables(
    results: StudyResults,
    folder: str | os.PathLike[str],
    formats: Sequence[str] = study_tables.FORMATS,
    analysis: Analysis | None = None,
) -> list[Path]:
    """Every table of :func:`wattmark.report.tables.tables` as ``folder/<table>.<format>``; gives the paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    tables = study_tables.tables(results, analyse(results) if analysis is None else analysis)
    return [
        study_tables.write(name, columns, target, kind)
        for name, columns in tables.items()
        for kind in formats
    ]


_PLAIN: tuple[Callable[[StudyData], Figure], ...] = (
    figures_first.quality_and_duration,
    figures_tools.overhead,
    figures_first.training_and_inference,
    figures_more.composition,
    figures_first.power,
    figures_more.batch_size,
    figures_epochs.epochs,
    figures_first.makeup,
    figures_first.utilisation,
)


def study_figures(data: StudyData, analysis: Analysis) -> list[Figure]:
    """All figures, absent ones with their reason. A study of serving or of tasks has its own, and of the others
    those that it can fill."""
    own = figures_serving.figures(data) or figures_tasks.figures(data)
    others = [
        figures_analysis.pareto(data, analysis.pareto, analysis.pareto_metric),
        *figures_reach.figures(data),
        *figures_densities.figures(data),
        *(figure(data) for figure in _PLAIN),
        figures_analysis.correlations(analysis.correlations),
        figures_analysis.profiling(profile(data.trials)),
    ]
    return [*own, *(figure for figure in others if not (own and figure.absent))]


def _document(data: StudyData, analysis: Analysis, rates: Rates | None = None) -> Html:
    results = data.results
    title = clean(results.title or results.name)
    figures = study_figures(data, analysis) if data.trials else []
    effects, predictors = findings.effects_section(data, analysis), findings.predictors_section(analysis)
    uncertainty = findings.uncertainty_section(data)
    costs = task_costs(data) if data.trials else []
    sections = [
        *((Section("tasks", "What a thousand inferences cost", task_table(costs, rates)),) if costs else ()),
        Section("results", "Results", summary.main_table(data)),
        Section("guidelines", "What follows from it", _guidelines(analysis, results.name)),
        *((Section("uncertainty", "Where the uncertainty comes from", uncertainty),) if uncertainty else ()),
        *((Section("effects", "Effects of the factors", effects),) if effects else ()),
        *((Section("predictors", "What foretells energy", predictors),) if predictors else ()),
        *(
            Section(f"figure-{figure.key}", figure.title, figure_section(figure), absent=bool(figure.absent))
            for figure in figures
        ),
        *((Section("published", "A published table beside it", published_section(costs)),) if costs else ()),
        Section("methods", "Methods", methods_section(data)),
        Section("failed", "Trials that did not complete", summary.failures(data)),
    ]
    intro = join(
        tag("p", _sentence(data), class_="lead"),
        summary.facts(data),
        summary.warnings(data, _flags(analysis)),
        tag("p", _HOW_TO_READ, class_="lead"),
    )
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return page(
        title,
        intro,
        sections,
        f"Written by Wattmark {__version__} on {now} from the study {results.name}.",
    )


def _sentence(data: StudyData) -> str:
    design = data.results.design
    workload = f" of the workload {design['workload']}" if design.get("workload") else ""
    varied = " and ".join(data.factors) or "one setting"
    return f"A study{workload}: what each level of {varied} costs in energy and time, and what it achieves."


def _guidelines(analysis: Analysis, study: str) -> Html:
    if not analysis.guidelines:
        return tag(
            "p",
            "The data do not carry a guideline: no difference is larger than its noise and its measuring error.",
        )
    return tag(
        "ol",
        (
            tag("li", *_advised(guideline, study), tag("small", f"evidence: {_strength(guideline)}"))
            for guideline in analysis.guidelines
        ),
        class_="guidelines",
    )


def _advised(guideline: Guideline, study: str) -> tuple[Html, ...]:
    """What to do, why, and what must stay so: the list of ``wattmark advise``."""
    one = advice_for(guideline, again(study))
    if one is None:
        return (join(guideline.text),)
    guard = tag("small", f"guard rail: {one.guard}") if one.guard else None
    return (join(tag("strong", one.do), " ", guideline.text, guard),)


def _strength(guideline: Guideline) -> str:
    limits = "; ".join(guideline.limits)
    return f"{guideline.strength} (not stronger, because {limits})" if limits else guideline.strength


def _flags(analysis: Analysis) -> list[str]:
    """One sentence a trial, on the metric in which it is furthest off."""
    worst = {flag.trial_id: flag for flag in sorted(analysis.outliers, key=lambda flag: abs(flag.score))}
    return [
        f"{flag.cell}, trial {flag.trial_id}: {_FLAGGED.get(flag.metric, flag.metric)} "
        f"{flag.value / flag.cell_median:.2f} times its cell's median"
        for flag in sorted(worst.values(), key=lambda flag: -abs(flag.score))
    ]


_FLAGGED = {
    "total_energy": "energy",
    "training_energy_j": "training energy",
    "epoch_duration": "duration of an epoch",
}
