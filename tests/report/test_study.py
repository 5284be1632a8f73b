from __future__ import annotations

import csv
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.vision_study import METHODS, vision_study
from wattmark.errors import ConfigError, MissingExtra
from wattmark.quantity import Quantity, QuantityDict
from wattmark.report.drawing import style
from wattmark.report.drawing.charts import points
from wattmark.report.drawing.marks import Point
from wattmark.report.figures.training import Figure
from wattmark.report.html.page import figure_section
from wattmark.report.html.pdf import BROWSERS
from wattmark.report.sections.findings import effects_section, predictors_section, uncertainty_section
from wattmark.report.sections.summary import warnings
from wattmark.report.study import study_figures, write_figures, write_report, write_tables
from wattmark.studies.analysis import analyse
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.results import StudyResults, TrialResult

EVIL = "</script><img src=x onerror=alert(1)>&\"'\x00$x^2$"
NETWORKS = ("LeNet", "MobileNet", "ResNet18", "EfficientNetB0")


class Page(HTMLParser):
    """Elements with their attributes, ids, text by element, and whether the tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.crossed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "hr", "col"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report(results: StudyResults, folder: Path) -> tuple[str, Page]:
    text = write_report(results, folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def small() -> StudyResults:
    return vision_study(NETWORKS, (32, 128), repeats=2, epochs=4)


@pytest.fixture(scope="module")
def written(small: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    return report(small, tmp_path_factory.mktemp("report"))


def test_the_page_loads_nothing(written: tuple[str, Page]) -> None:
    text, page = written
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "data", "action", "poster", "background", "srcdoc"):
            assert name not in attributes, (tag, name)
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    assert not re.search(r"@import|url\((?!#)", text)
    assert not page.named("link")
    (policy,) = [m["content"] for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_page_is_well_formed_with_unique_ids_and_labelled_figures(written: tuple[str, Page]) -> None:
    _, page = written
    assert page.crossed == []
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    svgs = page.named("svg")
    assert len(svgs) > 10
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in svgs)
    anchors = [a["href"] for a in page.named("a")]
    assert {f"#{i}" for i in ids} >= set(anchors)
    references = set(re.findall(r"url\(#([^)]+)\)", str(page.elements))) | {
        str(u["xlink:href"])[1:] for u in page.named("use")
    }
    assert references <= set(ids)
    assert [name for name, _ in page.elements if name == "h1"] == ["h1"]
    assert all(th.get("scope") in ("col", "row") for th in page.named("th"))


def test_every_figure_of_the_study_is_there(small: StudyResults) -> None:
    figures = {figure.key: figure for figure in study_figures(StudyData(small), analyse(small))}
    assert {key for key, figure in figures.items() if figure.absent} == {"overhead"}
    assert figures["overhead"].absent == "no factor is called tool, and the recorder's cost was not kept"
    assert {panel.key for panel in figures["power"].panels} == {"power-cpu", "power-gpu", "power-dram"}
    assert len(figures["makeup"].panels) == 10
    assert "15 runs, 3 to 4 for each model." in figures["power"].lead


def test_names_logs_factors_and_tags_cannot_become_markup(tmp_path: Path) -> None:
    small = vision_study(NETWORKS[:2], (32,), repeats=2, epochs=2)

    def poisoned(trial: TrialResult) -> TrialResult:
        factors = {**trial.factors, "model": f"{trial.factors['model']}{EVIL}"}
        return replace(
            trial, factors=factors, host=EVIL, log=EVIL, error=trial.error and EVIL,
            warnings=({"code": EVIL, "message": EVIL},), stages=[replace(s, name=s.name + EVIL) for s in trial.stages],
        )  # fmt: skip

    environment: dict[str, Any] = {EVIL: {"cpu": {"model": [EVIL]}, "gpus": [EVIL], "packages": {EVIL: EVIL},
                                          "channels": [{"id": EVIL, "accuracy": {"citation": EVIL}}]}}  # fmt: skip
    results = StudyResults(
        EVIL, EVIL, {**small.design, "workload": EVIL}, [*map(poisoned, small.trials)], environment
    )
    text, page = report(results, tmp_path)
    assert "img" not in {name for name, _ in page.elements}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert len(page.named("script")) == 1
    assert "<img" not in text
    assert "\x00" not in text
    assert page.crossed == []
    assert EVIL.replace("\x00", "�") in "".join(page.text)


def test_modelled_joules_are_hatched_and_measured_ones_are_not(tmp_path: Path) -> None:
    measured = {"methods": dict.fromkeys(METHODS, "counter")}
    text, page = report(
        vision_study(NETWORKS[:2], (32,), repeats=2, epochs=2, failed=False, **measured), tmp_path
    )
    assert "pattern" not in {name for name, _ in page.elements}
    assert "Modelled energy." not in text
    text, page = report(
        vision_study(NETWORKS[:2], (32,), repeats=2, epochs=2, gpu=False, failed=False), tmp_path
    )
    assert "pattern" in {name for name, _ in page.elements}
    assert "All joules (CPU, DRAM) come from a model of the hardware" in text
    assert '<span class="tag">modelled</span>' in text


def test_warnings_name_contention_coverage_and_failed_trials(tmp_path: Path) -> None:
    results = vision_study(NETWORKS[:2], (32,), repeats=2, epochs=2, contention=0.3, coverage=0.5)
    text, page = report(results, tmp_path)
    plain = " ".join(page.text)
    assert "other work took over 5% of the CPU time; 30% at worst" in plain
    assert "readings covered less than 98% of the time; 50.0% at worst" in plain
    assert "1 of 4; they are listed below" in plain
    assert "out-of-memory. torch.OutOfMemoryError: CUDA out of memory" in text
    assert "line 12" in text


def test_the_methods_say_what_a_paper_must(written: tuple[str, Page]) -> None:
    plain = " ".join(written[1].text)
    for words in (
        "Intel(R) Xeon(R) Gold 6338",
        "256.0 GiB of memory",
        "±2 % and ±500 mW",
        "Khan et al. 2018",
        "−50 % to +80 %",
        "order drawn with seed 7",
        "idle machine was measured for 5 s",
        "within 10.0 % of the idle baseline, for at most 30 s",
        "Idle power: CPU 48.0 W and GPU 52.0 W.",
        "batch_size (32 and 128)",
        "torch 2.5.1",
        "git commit 0123456789ab",
        "A trial was ended after 1 h 0 min.",
    ):
        assert words in plain, words


def test_a_study_in_which_every_trial_failed_still_reports_why(small: StudyResults, tmp_path: Path) -> None:
    trials = [
        replace(t, status="failed", error="it broke", energy_j=None, stages=()) for t in small.trials[:2]
    ]
    text, _ = report(replace(small, trials=trials), tmp_path)
    assert "it broke" in text
    assert "not measured" in text


def test_a_command_study_without_stages_quality_or_energy(tmp_path: Path) -> None:
    trials = [
        TrialResult(f"{i}", i, i // 2, {"size": 10 ** (i % 2)}, "completed", duration_s=1.0 + i)
        for i in range(6)
    ]
    text, page = report(StudyResults("bare", "", {}, trials), tmp_path)
    assert "the design names no batch size, neither varied nor fixed" in text
    assert "No energy was measured." in text
    assert page.crossed == []


def test_a_study_without_trials_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no trials yet"):
        write_report(StudyResults("empty", "", {}, []), tmp_path / "report.html")


def test_a_name_that_ends_in_pdf_gives_a_pdf(small: StudyResults, tmp_path: Path) -> None:
    if not any(shutil.which(name) for name in BROWSERS):
        pytest.skip("no Chromium here to print it")
    path = write_report(small, tmp_path / "deep" / "report.pdf")
    assert path == tmp_path / "deep" / "report.pdf"
    assert path.read_bytes().startswith(b"%PDF-")


def test_without_a_browser_a_pdf_is_refused_in_words(
    small: StudyResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="none is installed here"):
        write_report(small, tmp_path / "report.pdf")
    assert not (tmp_path / "report.pdf").exists()


def test_a_browser_that_fails_is_quoted(
    small: StudyResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\necho no room for a window >&2\nexit 3\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ConfigError, match=r"exit code 3.*no room for a window"):
        write_report(small, tmp_path / "report.pdf")


@pytest.mark.parametrize("name", ["report.docx", "report", "report.pdf.zip"])
def test_any_other_ending_is_refused_before_the_work(small: StudyResults, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be written as"):
        write_report(small, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_names_in_any_script_are_drawn_without_a_warning(tmp_path: Path) -> None:
    results = vision_study(NETWORKS[:2], (32,), repeats=2, epochs=2, failed=False)
    renamed = [
        replace(t, factors={**t.factors, "model": f"模型 {t.factors['model']}"}) for t in results.trials
    ]
    text, _ = report(replace(results, trials=renamed), tmp_path)
    assert text.count("模型 LeNet") > 5


def test_figures_as_files(tmp_path: Path) -> None:
    results = vision_study(NETWORKS[:2], (32,), repeats=2, epochs=2, failed=False)
    paths = write_figures(results, tmp_path / "figures")
    assert {path.suffix for path in paths} == {".svg", ".png"}
    assert (tmp_path / "figures" / "power-cpu.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "figures" / "power-cpu.svg").read_text()
    assert "LeNet" in svg
    assert "var(--" not in svg
    with pytest.raises(ConfigError, match="'gif'"):
        write_figures(results, tmp_path, ("gif",))


def test_tables_hold_every_trial_and_empty_cells_for_what_is_missing(
    small: StudyResults, tmp_path: Path
) -> None:
    import pyarrow.parquet as parquet

    paths = write_tables(small, tmp_path)
    assert {path.name for path in paths} == {
        f"{name}.{kind}" for name in TABLES for kind in ("csv", "parquet")
    }
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(small.trials)
    failed = rows[-1]
    assert failed["status"] == "out-of-memory"
    assert failed["energy_total_j"] == ""
    first = small.trials[0]
    assert float(rows[0]["energy_total_j"]) == first.total_j
    assert rows[0]["method_dram"] == "modelled"
    cells = parquet.read_table(tmp_path / "cells.parquet").to_pylist()
    assert len(cells) == 8
    own = [t.total_j or 0.0 for t in small.completed if t.factors == {"model": "LeNet", "batch_size": 32}]
    cell = next(c for c in cells if c["model"] == "LeNet" and c["batch_size"] == 32)
    assert cell["total_energy"] == pytest.approx(np.mean(own))
    assert cell["total_energy_low"] < cell["total_energy"] < cell["total_energy_high"]


TABLES = (
    "trials", "metrics", "epochs", "cells", "levels", "effects", "differences", "pareto", "correlations", "guidelines",
)  # fmt: skip


def test_mixed_levels_survive_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    trials = [
        TrialResult(str(i), i, 0, {"depth": level}, "completed", duration_s=1.0)
        for i, level in enumerate((1, "deep"))
    ]
    write_tables(StudyResults("mixed", "", {}, trials), tmp_path, ("parquet",))
    assert parquet.read_table(tmp_path / "trials.parquet")["factor_depth"].to_pylist() == ["1", '"deep"']


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> Any:
        raise ImportError

    monkeypatch.setattr(style.importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match="matplotlib"):
        style.styled()


def shown(results: StudyResults) -> dict[str, Figure]:
    return {figure.key: figure for figure in study_figures(StudyData(results), analyse(results))}


def test_one_epoch_and_one_batch_size_are_drawn_and_told_for_what_they_are() -> None:
    one = vision_study(NETWORKS, (32,), repeats=2, epochs=1, failed=False)
    figures = shown(one)
    assert [panel.key for panel in figures["epochs"].panels] == [
        "epochs-loss", "epochs-accuracy", "epochs-power", "epochs-within",
    ]  # fmt: skip
    assert "no course over epochs" in figures["epochs"].lead
    assert "all runs used 32" in figures["batch"].lead
    assert "no trend" in figures["batch"].lead
    assert all(panel.draw().tips for key in ("epochs", "batch") for panel in figures[key].panels)


def test_without_a_factor_tool_the_recorders_own_cost_stands_under_its_own_title() -> None:
    cost = {"cpu_s": 0.05, "over_s": 20.0, "rss_bytes": 13e6}
    results = vision_study(NETWORKS[:2], (32,), repeats=2, epochs=1, failed=False, recorder=cost)
    figure = shown(results)["overhead"]
    assert figure.title == "What measuring took: the recorder's own cost"
    assert "were not compared" in figure.lead
    assert next(tip for panel in figure.panels for tip in panel.draw().tips.values()).endswith(
        ": 0.250 % [0.250, 0.250]"
    )
    older = shown(vision_study(NETWORKS[:2], (32,), repeats=2, epochs=1, failed=False))["overhead"]
    assert "Not drawn: no factor is called tool, and the recorder" in figure_section(older)


def test_tools_are_compared_within_the_repeat_and_their_own_joules_stand_beside() -> None:
    added = {"none": 0.0, "wattmark": 0.5, "codecarbon": 3.0}
    trials = [
        TrialResult(
            f"{tool}-{repeat}", 0, repeat, {"tool": tool}, "completed", duration_s=20.0 + repeat,
            energy_j={"total": {"value": 250.0, "low": 200.0, "high": 300.0}}, methods={},
            metrics={"whole_s": 10.0 + 5 * repeat + extra, "cpu_s": 4.0 + extra / 10}
            | ({} if tool == "none" else {"tool_energy_j": 100.0}),
        )
        for tool, extra in added.items() for repeat in range(3)
    ]  # fmt: skip
    figure = shown(StudyResults("tools", "Tools", {"factors": {"tool": list(added)}}, trials))["overhead"]
    panels = {panel.key: panel.draw().tips for panel in figure.panels}
    assert list(panels["overhead-added-whole_s"].values()) == [
        "wattmark: 0.500 s [0.500, 0.500]", "codecarbon: 3.00 s [3.00, 3.00]",
    ]  # fmt: skip
    assert next(iter(panels["overhead-reported"].values())).startswith("wattmark: 27.8 mWh")
    assert "not one quantity" in figure.lead


def test_an_unfinished_study_says_so() -> None:
    whole = vision_study(NETWORKS[:2], (32,), repeats=3, epochs=1, failed=False)
    assert "Unfinished." not in str(warnings(StudyData(whole), []))
    begun = StudyData(replace(whole, trials=whole.trials[:4]))
    assert "4 of the 6 trials that the design asks for have ended" in str(warnings(begun, []))


def test_the_measuring_error_reaches_every_number_that_is_made_of_joules(small: StudyResults) -> None:
    data = StudyData(small)
    for name in (
        "total_energy",
        "training_energy_j",
        "energy_per_sample",
        "power",
        "cpu_power",
        "inference_energy_per_sample",
    ):
        mean = data.mean(data.cells[0], name)
        assert mean is not None
        assert mean.high > 1.039 * mean.value, name  # the sensor's own 4 to 6 %
        assert mean.low < 0.971 * mean.value, name


def test_effects_and_predictors_are_tables_of_the_report() -> None:
    many = vision_study((*NETWORKS, "VGG19", "DPN26"), (32, 64), repeats=2, epochs=1, failed=False)
    analysis = analyse(many)
    page = Page(f"<div>{effects_section(StudyData(many), analysis)}{predictors_section(analysis)}</div>")
    assert {"Kruskal-Wallis p, corrected", "error on the one left out"} <= set(page.text)
    assert page.crossed == []


def test_the_report_says_where_the_uncertainty_comes_from() -> None:
    def with_terms(trial: TrialResult) -> TrialResult:
        shifts = {"scale/lab": (-0.3, 0.5), f"character/{trial.factors['model']}": (-0.1, 0.1)}

        def with_shifts(joules: float) -> QuantityDict:
            terms = {name: (down * joules, up * joules) for name, (down, up) in shifts.items()}
            return Quantity(joules, terms=terms).as_dict()

        energy = {name: with_shifts(part["value"]) for name, part in (trial.energy_j or {}).items()}
        return replace(trial, energy_j=energy)

    results = vision_study(["LeNet", "VGG19"], (32,), failed=False)
    data = StudyData(replace(results, trials=[with_terms(trial) for trial in results.trials]))
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", str(uncertainty_section(data)))
    scale, character = (next(row for row in rows if row.startswith(word)) for word in ("scale", "character"))
    assert "−30 / +50 %" in scale
    assert "it cancels between them" in scale
    assert "calibrate it against a meter" in scale
    assert "each cell by itself" in character
    assert rows.index(scale) < rows.index(character)
    assert any(row.startswith("scatter of the repeats") for row in rows)


def test_an_interval_that_reaches_nothing_stands_on_a_logarithmic_axis() -> None:
    wide = Quantity(10.0, 0.0, 30.0, "J")
    other = Quantity(50.0, 0.0, 150.0, "J")  # an error of its own: one that both had would not be a bar
    figure = points([Point("a", wide, wide), Point("b", other, other)], "x", "y", log="xy").figure
    ends = [value for line in figure.axes[0].lines for value in (*line.get_xdata(), *line.get_ydata())]
    assert min(ends) == pytest.approx(1.0)
