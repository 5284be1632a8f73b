"""The methods section that the program writes from what it knows: in sentences that a paper could use as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from wattmark._version import __version__
from wattmark.report.html.markup import Html, join, tag
from wattmark.studies.analysis.data.plain import plain_list, plain_mapping
from wattmark.studies.analysis.data.study_data import StudyData, show_level
from wattmark.studies.results import StudyResults
from wattmark.units import format_duration, format_power

_METHOD = {
    "counter": "hardware energy counter",
    "integrated": "power sensor, integrated over the real times of its readings",
    "modelled": "model of the hardware (no sensor)",
}


def methods_section(data: StudyData) -> Html:
    """Machine, sources, design, procedure, statistics and versions, under headings."""
    results = data.results
    return join(
        tag("h3", "Machine"),
        (tag("p", _machine(host, facts)) for host, facts in results.environment.items())
        if results.environment
        else tag(
            "p",
            f"Host: {_list(sorted({trial.host for trial in results.trials if trial.host}) or ['not recorded'])}.",
        ),
        tag("h3", "Where the joules come from"),
        _sources(data),
        tag("h3", "Design"),
        tag("p", _design(data)),
        tag("h3", "Procedure"),
        tag("p", _procedure(results)),
        tag("h3", "Statistics"),
        tag("p", _STATISTICS),
        tag("p", _TREE) if results.scope == "tree" else None,
        tag("h3", "Versions"),
        tag("p", _versions(results)),
    )


_STATISTICS = (
    "Energies are those of intervals on one cumulative energy curve per sensor, interpolated at the edges. Means over "
    "repeats are given with 95 % intervals that join, in squares, the scatter of the repeats (Student's t) and the error "
    "that the repeats share (accuracy and resolution of the sensors, gaps in coverage). A row with a single run shows the "
    "measuring error alone. Factors are compared within blocks of equal levels of all other factors, energies "
    "and times as ratios; p-values are corrected for their number by Holm's procedure. Outliers (modified z-score above "
    "3.5, Iglewicz and Hoaglin 1993) are marked and kept."
)


_TREE = (
    "Other work kept the machine busy during trials. All energies here are therefore those of the trials' own process "
    "trees (above idle by their CPU time, idle by the share of the machine's CPU time that they used), not the machine's."
)


def _machine(host: str, facts: Mapping[str, Any]) -> str:
    cpu = plain_mapping(facts.get("cpu"))
    models = [str(name) for name in plain_list(cpu.get("model"))]
    sentences: list[str] = []
    if models:
        counts = [f"{cpu[key]} {key}" for key in ("sockets", "cores", "threads") if cpu.get(key)]
        sentences.append(f"{_list(models)}{f' ({_list(counts)} visible)' if counts else ''}")
    memory = facts.get("memory_bytes")
    if isinstance(memory, int | float):
        sentences.append(f"{memory / 2**30:.1f} GiB of memory")
    gpus = [str(gpu) for gpu in plain_list(facts.get("gpus"))]
    sentences.append(f"GPUs: {_list(gpus)}" if gpus else "no NVIDIA GPU listed by the driver")
    for key, label in (("governor", "frequency governor"), ("turbo", "turbo")):
        if cpu.get(key) is not None:
            sentences.append(f"{label} {show_level(cpu[key])}")
    virtual = plain_mapping(facts.get("virtualisation"))
    if virtual.get("hypervisor"):
        sentences.append("a virtual machine")
    if virtual.get("container"):
        sentences.append(f"inside a container ({virtual['container']})")
    limits = plain_mapping(facts.get("cgroup"))
    if limits.get("cpus"):
        sentences.append(f"limited to {show_level(limits['cpus'])} CPUs")
    system = ", ".join(str(facts[key]) for key in ("os", "kernel") if facts.get(key))
    return f"{host}: {'; '.join(sentences)}{f'. {system}' if system else ''}."


def _sources(data: StudyData) -> Html:
    """A table of the channels with their accuracy and its citation; without them, the methods by component."""
    rows: list[Html] = []
    for host, facts in data.results.environment.items():
        for channel in map(plain_mapping, plain_list(facts.get("channels"))):
            accuracy = plain_mapping(channel.get("accuracy"))
            rows.append(
                tag(
                    "tr",
                    tag("th", channel.get("id"), scope="row"),
                    tag("td", host),
                    tag("td", channel.get("source")),
                    tag("td", _METHOD.get(str(channel.get("method")), str(channel.get("method")))),
                    tag("td", _accuracy(accuracy)),
                    tag("td", str(accuracy.get("citation") or "not stated")),
                )
            )
    by_component: list[str] = []
    for name in data.components:
        methods = sorted({trial.methods[name] for trial in data.trials if name in trial.methods})
        if methods:
            by_component.append(
                f"{name.upper()}: {_list([_METHOD.get(method, method) for method in methods])}"
            )
    sentence = tag(
        "p",
        f"Joules by component are from: {'; '.join(by_component)}."
        if by_component
        else "No energy was measured.",
    )
    if not rows:
        return join(
            sentence, tag("p", "The accuracies of the single sensors were not recorded with these results.")
        )
    head = tag(
        "tr",
        (
            tag("th", name, scope="col")
            for name in ("channel", "host", "source", "method", "accuracy", "stated by")
        ),
    )
    whole = tag(
        "table",
        tag("caption", "Channels, with accuracy at 95 %", class_="sr"),
        tag("thead", head),
        tag("tbody", rows),
    )
    return join(
        sentence, tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label="Channels")
    )


def _accuracy(accuracy: Mapping[str, Any]) -> str:
    low, high = accuracy.get("relative_low"), accuracy.get("relative_high")
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        return "not stated"
    relative = f"±{100 * low:.3g} %" if low == high else f"−{100 * low:.3g} % to +{100 * high:.3g} %"
    absolute = accuracy.get("absolute_w") or 0.0
    return f"{relative} and ±{format_power(absolute)}" if absolute else relative


def _design(data: StudyData) -> str:
    results, design = data.results, data.results.design
    factors = plain_mapping(design.get("factors"))
    levels = {str(name): plain_list(values) for name, values in factors.items()}
    if not levels:
        names = dict.fromkeys(name for trial in results.trials for name in trial.factors)
        levels = {
            name: list({str(t.factors.get(name)): t.factors.get(name) for t in results.trials}.values())
            for name in names
        }
    words = [f"{name} ({_list([show_level(level) for level in values])})" for name, values in levels.items()]
    kind = "listed combinations" if design.get("combinations") == "listed" else "full factorial design"
    workload = f" over the workload {design['workload']}" if design.get("workload") else ""
    sentences = [f"A {kind}{workload}. Factors: {'; '.join(words) or 'none'}."]
    fixed = plain_mapping(design.get("fixed"))
    if fixed:
        sentences.append(
            f"Held fixed: {_list([f'{name} {show_level(level)}' for name, level in fixed.items()])}."
        )
    repeats = sorted({cell.count for cell in data.cells})
    if repeats:
        spread = f"{repeats[0]}" if len(repeats) == 1 else f"{repeats[0]} to {repeats[-1]}"
        sentences.append(
            f"{len(data.cells)} cells were completed, with {spread} runs each, {len(data.trials)} runs in all."
        )
    stop = plain_mapping(design.get("stop"))
    if stop:
        sentences.append(
            f"Cells were repeated until half the 95 % interval of the mean of {stop.get('metric', 'energy_j')} was within "
            f"{stop.get('within_pct', '?')} % of it, at most {stop.get('max_repeats', '?')} times."
        )
    return " ".join(sentences)


def _procedure(results: StudyResults) -> str:
    design = results.design
    quiet = plain_mapping(design.get("quiet"))
    sentences = ["Each trial ran in a process of its own, one at a time."]
    if "seed" in design:
        sentences.append(
            "Trials ran in randomised complete blocks: each repeat of all cells in an order drawn with seed "
            f"{design['seed']}."
        )
    if quiet.get("baseline_s"):
        sentences.append(
            f"The idle machine was measured for {show_level(quiet['baseline_s'])} s before the study."
        )
    idle = [trial.idle_w for trial in results.trials if trial.idle_w]
    if idle:
        names = dict.fromkeys(name for powers in idle for name in powers)
        means = [
            f"{name.upper()} {format_power(fmean([powers[name] for powers in idle if name in powers]))}"
            for name in names
        ]
        sentences.append(f"Idle power: {_list(means)}.")
    if quiet.get("cooldown_max_s"):
        sentences.append(
            "Before a trial began the machine cooled down until its power was within "
            f"{quiet.get('cooldown_within_pct', '?')} % of the idle baseline, for at most "
            f"{show_level(quiet['cooldown_max_s'])} s."
        )
    if quiet.get("warmup") is not None:
        sentences.append(
            "Warm-up was outside the measurement." if quiet["warmup"] else "There was no warm-up."
        )
    if design.get("timeout_s"):
        sentences.append(f"A trial was ended after {format_duration(float(design['timeout_s']))}.")
    others = [trial.contention for trial in results.trials if trial.contention is not None]
    if others:
        sentences.append(
            f"Other work took {100 * fmean(others):.1f} % of the machine's CPU time on average, "
            f"{100 * max(others):.1f} % at most."
        )
    return " ".join(sentences)


def _versions(results: StudyResults) -> str:
    sentences = [f"Report: Wattmark {__version__}."]
    for host, facts in results.environment.items():
        words = [f"Python {facts['python']}"] if facts.get("python") else []
        words += [f"{name} {version}" for name, version in plain_mapping(facts.get("packages")).items()]
        git = plain_mapping(facts.get("git"))
        if git.get("commit"):
            dirty = git.get("dirty")
            state = " with local changes" if dirty else ", cleanness unknown" if dirty is None else ""
            words.append(f"git commit {str(git['commit'])[:12]}{state}")
        if words:
            sentences.append(f"{host}: {_list(words)}.")
    starts = sorted(trial.started_at for trial in results.trials if trial.started_at)
    if starts:
        sentences.append(f"Trials began between {starts[0][:19]} and {starts[-1][:19]} (UTC).")
    return " ".join(sentences)


def _list(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + (f" and {words[-1]}" if len(words) > 1 else "".join(words))
