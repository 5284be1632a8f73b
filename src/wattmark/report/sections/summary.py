"""The top of a report: what was studied, on what, the main table, what it means, and what to beware of."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.quantity import Quantity
from wattmark.report.html.markup import Html, join, tag
from wattmark.studies.analysis.data.plain import FILES, plain_list, plain_mapping
from wattmark.studies.analysis.data.study_data import StudyData, show_level
from wattmark.studies.results import TrialResult
from wattmark.units import format_duration, format_energy, significant

MOST_CELLS = 60
CONTENTION_FROM = 0.05
COVERAGE_FROM = 0.98
LOG_TAIL = 4_000
_MEANS = (
    "Means over the runs of a cell; below each its 95 % interval (scatter of the runs, and error of the sensors). Beside "
    "the cheapest cell each is told by itself: what errs alike in both cancels, and it is clear where the interval of the "
    "ratio leaves out 1."
)


def facts(data: StudyData) -> Html:
    """The study in five numbers."""
    trials = data.results.trials
    failed = len(trials) - len(data.trials)
    energies = [trial.energy_j["total"] for trial in trials if trial.energy_j and "total" in trial.energy_j]
    joules = sum(energy["value"] for energy in energies)
    hosts = sorted({trial.host for trial in trials if trial.host})
    ended = [f"{failed} did not complete"] if failed else []
    missing = [f"{data.planned} planned"] if data.planned is not None and len(trials) < data.planned else []
    items = [
        ("Runs completed", str(len(data.trials)), "; ".join([*ended, *missing]) or "all of them"),
        ("Cells", str(len(data.cells)), f"varied: {', '.join(data.factors) or 'nothing'}"),
        (
            "Energy of all runs",
            format_energy(joules) if energies else "not measured",
            data.method_words("total") if energies else "",
        ),
        ("Time in runs", format_duration(sum(trial.duration_s for trial in trials)), ""),
        (
            "Machine",
            hosts[0] if len(hosts) == 1 else f"{len(hosts)} machines" if hosts else "not recorded",
            _machine(data),
        ),
    ]
    return tag(
        "dl",
        (tag("div", tag("dt", a), tag("dd", b, tag("small", c) if c else None)) for a, b, c in items),
        class_="facts",
    )


def _machine(data: StudyData) -> str:
    if len(data.results.environment) != 1:
        return ""
    environment = next(iter(data.results.environment.values()))
    models = plain_list(plain_mapping(environment.get("cpu")).get("model"))
    return ", ".join(str(name) for name in [*models[:2], *plain_list(environment.get("gpus"))[:2]])


def main_table(data: StudyData) -> Html:
    """Per cell: runs, energy, duration, quality, energy per sample, each with its interval."""
    cells = data.cells[:MOST_CELLS]
    quality = data.quality
    columns: list[tuple[str, str, bool]] = [
        ("total_energy", "energy of a run", True),
        ("total_duration_s", "duration", False),
    ]
    if quality:
        columns.append((quality, quality, False))
    per_sample = (
        ("energy_per_sample", "training per sample"),
        ("inference_energy_per_sample", "inference per sample"),
    )
    means = {
        name: [data.mean(cell, name) for cell in cells]
        for name in [*(c[0] for c in columns), *(c[0] for c in per_sample)]
    }
    columns += [(name, title, True) for name, title in per_sample if any(means[name])]
    most = max((mean.value for mean in means["total_energy"] if mean), default=0.0)
    verdicts = [data.beside_cheapest(cell)[1] for cell in cells]
    told = any(verdicts)
    names = [name for name in data.factors if name != data.subject]
    first = data.subject or "study"
    head = tag(
        "tr",
        tag("th", first, scope="col"),
        (tag("th", name, scope="col", class_="n") for name in names),
        tag("th", "runs", scope="col", class_="n"),
        (tag("th", title, scope="col", class_="n") for _, title, _ in columns),
        tag("th", "beside the cheapest", scope="col") if told else None,
        tag("th", "joules", scope="col"),
    )
    rows = [
        tag(
            "tr",
            tag("th", show_level(cell.levels[first]) if data.subject else data.results.name, scope="row"),
            (tag("td", show_level(cell.levels[name]), class_="n") for name in names),
            tag("td", cell.count, class_="n"),
            (
                _cell_of(name, means[name][row], energy, most, data.modelled_share("total", cell))
                for name, _, energy in columns
            ),
            tag("td", verdicts[row]) if told else None,
            tag("td", tag("span", data.method_words("total", cell), class_="tag")),
        )
        for row, cell in enumerate(cells)
    ]
    caption = tag("caption", "Mean of each cell with its 95 % interval", class_="sr")
    table = tag("table", caption, tag("thead", head), tag("tbody", rows))
    more = len(data.cells) - len(cells)
    return join(
        tag("p", _MEANS, class_="lead"),
        tag("div", table, class_="scroll tall", tabindex="0", role="region", aria_label="Main table"),
        tag("p", f"{more} more cells are in cells.csv ({FILES}).", class_="muted") if more > 0 else None,
    )


def _cell_of(name: str, mean: Quantity | None, energy: bool, most: float, modelled: float | None) -> Html:
    if mean is None:
        return tag("td", tag("span", "–", aria_label="not known"), class_="n")
    written = {"total_duration_s": format_duration}.get(name, format_energy if energy else _plain)

    def show(value: float) -> str:
        return written(value) if value else "0"

    interval = tag("small", f"{show(mean.low)} to {show(mean.high)}") if mean.high > mean.low else None
    bar = None
    if name == "total_energy" and most > 0:
        width = 100 * mean.value / most
        parts = (("bar", 1 - (modelled or 0.0)), ("bar modelled", modelled or 0.0))
        bar = tag(
            "span",
            (tag("span", class_=kind, style=f"width:{width * part:.1f}%") for kind, part in parts),
            class_="bars",
        )
    return tag("td", show(mean.value), interval, bar, class_="n")


def _plain(value: float) -> str:
    return significant(value) if abs(value) >= 0.001 or value == 0 else f"{value:.2e}"


def warnings(data: StudyData, flagged: Sequence[str]) -> Html | None:
    """What a reader must know before believing a number; None where there is nothing. flagged: sentences on outliers."""
    trials = data.results.trials
    items: list[Html] = []

    def warn(title: str, text: str) -> None:
        items.append(tag("li", tag("strong", title), f" {text}"))

    if data.planned is not None and len(trials) < data.planned:
        warn(
            "Unfinished.",
            f"{len(trials)} of the {data.planned} trials that the design asks for have ended. Comparisons may be "
            "unbalanced, and what is said here may change.",
        )
    modelled = sorted(
        {name for t in data.trials for name, method in t.methods.items() if method == "modelled"}
    )
    if modelled:
        names = ", ".join(name.upper() for name in modelled)
        what = (
            f"All joules ({names})" if data.method_words("total") == "modelled" else f"The joules of {names}"
        )
        warn(
            "Modelled energy.",
            f"{what} come from a model of the hardware, not from a sensor. Compare the cells of this study with one "
            "another rather than with a meter.",
        )
    unmeasured = sum(trial.total_j is None for trial in data.trials)
    if unmeasured:
        warn("No energy.", f"{unmeasured} completed runs have none.")
    holes = [
        trial.coverage
        for trial in data.trials
        if trial.total_j is not None and trial.coverage < COVERAGE_FROM
    ]
    if holes:
        warn(
            "Coverage.",
            f"In {len(holes)} runs readings covered less than {COVERAGE_FROM:.0%} of the time; {min(holes):.1%} at worst.",
        )
    busy = [
        trial.contention
        for trial in data.trials
        if trial.contention is not None and trial.contention > CONTENTION_FROM
    ]
    if busy:
        warn(
            "Contention.",
            f"In {len(busy)} runs other work took over {CONTENTION_FROM:.0%} of the CPU time; {max(busy):.0%} at worst.",
        )
    if flagged:
        shown = "; ".join(flagged[:5]) + (f"; and {len(flagged) - 5} more" if len(flagged) > 5 else "")
        warn("Outliers.", f"Marked, not dropped: {shown}.")
    failed = len(trials) - len(data.trials)
    if failed:
        warn(
            "Trials that did not complete.",
            f"{failed} of {len(trials)}; they are listed below and count in no mean.",
        )
    single = sum(cell.count == 1 for cell in data.cells)
    if single:
        warn(
            "No repeats.",
            f"{single} of {len(data.cells)} cells have one run, so that their intervals hold the error of the sensors only.",
        )
    for message, count in _messages(data.trials):
        warn("From the runs.", f"{message} ({count} run{'s' if count > 1 else ''})")
    if not items:
        return None
    return tag(
        "div", tag("strong", "Before you quote a number"), tag("ul", items), class_="notice", role="note"
    )


def _messages(trials: Sequence[TrialResult]) -> list[tuple[str, int]]:
    """The runs' own warnings, one of each code, with the number of runs that had it."""
    count: dict[str, int] = {}
    text: dict[str, str] = {}
    for trial in trials:
        for warning in trial.warnings:
            code = str(warning.get("code", ""))
            text.setdefault(code, str(warning.get("message", code)))
        for code in {str(warning.get("code", "")) for warning in trial.warnings}:
            count[code] = count.get(code, 0) + 1
    return [(text[code], number) for code, number in sorted(count.items(), key=lambda item: -item[1])][:8]


def failures(data: StudyData) -> Html:
    """Trials that did not complete, each with its error and the end of its log."""
    failed = [trial for trial in data.results.trials if trial.status != "completed"]
    if not failed:
        return tag("p", "Every trial completed.")
    items: list[Html] = []
    for trial in failed[:100]:
        levels = data.label({name: trial.factors.get(name) for name in data.factors})
        title = tag(
            "summary",
            tag("strong", levels),
            f", repeat {trial.repeat}: {trial.status}. {trial.error or 'No error was recorded.'}",
        )
        log = (
            tag("pre", trial.log[-LOG_TAIL:], tabindex="0")
            if trial.log
            else tag("p", "It left no log.", class_="muted")
        )
        items.append(tag("details", title, log))
    more = len(failed) - 100
    return join(
        items,
        tag("p", f"{more} more are in trials.csv ({FILES}).", class_="muted") if more > 0 else None,
    )
