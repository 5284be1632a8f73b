from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from fakes.records import example_record, rapl_record
from wattmark.runs.record import RunRecord
from wattmark.store import open_store
from wattmark.workspace.runs import keep

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/run.schema.json").read_text())
NIGHT = 10**18


def constant(run_id: str, watts: float, seconds: int = 10, **changes) -> RunRecord:
    """A run of constant power, exact to the microjoule."""
    base = rapl_record(3)
    curve = base.curves[0]
    t_ns = (curve.t_ns[:1] * 0).repeat(seconds + 1)
    t_ns += [second * 10**9 for second in range(seconds + 1)]
    record = replace(
        base,
        run_id=run_id,
        start_ns=0,
        end_ns=seconds * 10**9,
        curves=(replace(curve, t_ns=t_ns, energy_uj=(t_ns // 1000 * watts).astype("int64")),),
        environment={"host": "node1"},
    )
    return replace(record, **changes)


@pytest.fixture
def store(cli):
    with open_store(str(cli.data / "store.db")) as store:
        yield store


@pytest.fixture
def two(store):
    keep(store, constant("aa-1", 50, name="small", started_wall_ns=NIGHT))
    keep(
        store,
        constant("ab-2", 100, name="large", started_wall_ns=NIGHT + 10**9, tags={"model": "big", "x": ""}),
    )
    return store


def test_help_has_one_example_for_every_command(here) -> None:
    from wattmark.cli.app import COMMANDS

    _, out, _ = here("--help")
    for command in COMMANDS:
        assert f"  {command} " in out
        code, text, _ = here(command, "--help")
        assert code == 0
        assert text.count("Example: wattmark " + command) == 1
    for word in ("get", "set", "list", "path"):
        assert here("config", word, "--help")[1].count(f"Example: wattmark config {word}") == 1
    assert here("--version")[1].startswith("wattmark ")


def test_an_unknown_command_is_a_usage_error_with_a_suggestion(here) -> None:
    code, _, err = here("shwo")
    assert code == 2
    assert "Did you mean" in err


def test_ls_filters_and_lists_the_newest_first(here, two) -> None:
    code, out, _ = here("ls", "--json", "-")
    assert code == 0
    rows = json.loads(out)
    assert [row["name"] for row in rows] == ["large", "small"]
    assert rows[1]["energy_j"] == pytest.approx(500, rel=0.01)

    def names(*arguments: str) -> list[str]:
        return [row["name"] for row in json.loads(here("ls", *arguments, "--json", "-")[1])]

    assert names("--tag", "model=big") == ["large"]
    assert names("--name", "sm*") == ["small"]
    assert names("--status", "failed") == []
    assert names("--limit", "1") == ["large"]
    assert names("--limit", "0") == ["large", "small"]
    assert names("--since", "2001-01-01") == ["large", "small"]
    assert names("--since", "1h") == []
    table = here("ls")[1]
    assert "aa-1" in table
    assert "model=big x" in table


def test_a_run_is_one_line_of_ls_at_any_width(here, store, monkeypatch) -> None:
    tags = {"model": "resnet18", "dataset": "cifar10", "note": "a longer word about it"}
    keep(store, constant("20260301T120000-1f2e3d", 50, name="train-resnet18-on-cifar10.py", tags=tags))
    monkeypatch.delenv("COLUMNS")
    (row,) = [line for line in here("ls")[1].splitlines() if "20260301T120000" in line]
    for word in ("train-resnet18-on-cifar10.py", "completed", "500 J", "note=a longer word about it"):
        assert word in row
    for width in (40, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        out = here("ls")[1]
        assert sum("2026030" in line for line in out.splitlines()) == 1
        assert max(len(line) for line in out.splitlines()) <= width


def test_an_empty_store_is_said_and_not_an_error(here) -> None:
    assert here("ls")[:2] == (0, "No runs. `wattmark run -- COMMAND` makes one.\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ls", "--status", "odd"], 2),
        (["ls", "--since", "yesterday"], 2),
        (["ls", "--since", "99999999999d"], 2),
        (["show", "zz"], 1),
        (["show", "a"], 1),
        (["compare", "aa-1"], 2),
        (["compare", "--by", "name", "small", "large"], 1),
        (["export", "aa-1", "-o", "x", "--format", "xml"], 2),
        (["export", "aa-1", "-o", "no/such/folder/x.json"], 1),
        (["import", "none.csv"], 1),
        (["import", "x.csv", "--timezone", "Mars/Olympus"], 2),
        (["rm", "aa-1"], 2),
        (["rm", "aa-1", "zz", "--yes"], 1),
        (["tag", "aa-1", "="], 2),
        (["prune"], 2),
        (["prune", "--max-size", "many"], 2),
        (["prune", "--older-than", "long"], 2),
        (["config", "get", "colour"], 2),
        (["config", "set", "pue", "0.3"], 2),
        (["config", "set", "zone", "Atlantis"], 2),
        (["config", "set", "store", "mysql://x"], 2),
        (["config", "get", "zone"], 1),
        (["ls", "--json", "no/such/folder/x"], 2),
        (["sources", "--sources", "nonsense"], 2),
    ],
)
def test_mistakes_have_an_exit_code_and_no_traceback(here, two, arguments, code) -> None:
    got, out, err = here(*arguments)
    assert got == code
    assert "Traceback" not in out + err
    assert len(err.splitlines()) <= 4
    assert len(json.loads(here("ls", "--json", "-")[1])) == 2


def test_show_draws_power_and_explains_the_numbers(here, two) -> None:
    code, out, _ = here("show", "last")
    assert code == 0
    assert "large" in out
    assert "█" in out
    assert "made up" in out
    assert "node1" in out
    code, out, _ = here("show", "aa", "--zone", "FR", "--pue", "2", "--json", "-")
    data = json.loads(out)
    jsonschema.validate(data, SCHEMA)
    assert data["name"] == "small"
    assert data["carbon_g"]["pue"]["value"] == 2


def test_a_run_with_everything_can_be_shown_and_validates(here, store) -> None:
    record = example_record()
    keep(store, record)
    code, out, err = here("show", record.run_id, "--json", "-")
    assert code == 0, err
    jsonschema.validate(json.loads(out), SCHEMA)
    code, out, err = here("show", record.run_id)
    assert code == 0, err


def test_what_a_run_is_called_is_never_taken_for_markup_or_a_command_to_the_terminal(here, store) -> None:
    keep(store, constant("ee-1", 5, name="[red]x[/nope] \x1b[2J:smile:", tags={"[b]": "\x1b]0;title\x07"}))
    for arguments in (
        ["ls"],
        ["show", "ee-1"],
        ["tag", "ee-1"],
        ["compare", "ee-1", "ee-1"],
        ["prune", "--keep", "0"],
    ):
        code, out, err = here(*arguments)
        assert code == 0, err
        assert "\x1b" not in out + err
        assert "\x07" not in out + err
        assert "[red]x[/nope]" in out or arguments[0] == "tag"


def test_compare_says_whether_the_difference_is_more_than_the_intervals(here, two) -> None:
    keep(two, constant("ac-3", 50.5, name="nearly", started_wall_ns=NIGHT))
    rows = json.loads(here("compare", "small", "large", "nearly", "--json", "-")[1])["rows"]
    assert [row["verdict"].rpartition(": ")[2] for row in rows] == [
        "the reference",
        "more, clearly",
        "not distinguishable",
    ]
    gap = rows[1]["difference"]
    assert gap["energy_j"]["value"] == pytest.approx(500, rel=0.01)
    assert gap["energy_j"]["percent"]["value"] == pytest.approx(100, rel=0.01)
    assert gap["power_w"]["value"] == pytest.approx(50, rel=0.01)
    out = here("compare", "small", "large")[1]
    assert "more, clearly" in out
    assert "+100.0" in out


def test_compare_warns_of_runs_that_are_not_alike(here, two) -> None:
    other = constant("ad-4", 50, name="other", environment={"host": "node2"})
    curve = other.curves[0]
    modelled = replace(curve, channel=curve.channel._replace(method="modelled"))
    keep(two, replace(other, curves=(modelled,)))
    notes = json.loads(here("compare", "small", "other", "--json", "-")[1])["rows"][1]["notes"]
    assert "cpu is modelled here and counter in the reference" in notes
    assert any("node2" in note for note in notes)
    assert "node2" in here("compare", "small", "other")[1]


def test_compare_divides_by_the_counts_that_both_have(here, store) -> None:
    record = example_record()
    keep(store, record)
    keep(store, replace(record, run_id="other-1"))
    row = json.loads(here("compare", record.run_id, "other-1", "--json", "-")[1])["rows"][1]
    counted = [name for name in row["difference"] if name.startswith("energy_j/")]
    assert counted
    assert row["difference"][counted[0]]["value"] == pytest.approx(0, abs=1e-9)


def test_groups_of_runs_are_compared_by_their_spread(here, store) -> None:
    for index, watts in enumerate((50, 51, 49)):
        keep(store, constant(f"s-{index}", watts, name="small", tags={"model": "s"}))
    for index, watts in enumerate((55, 56, 54)):
        keep(store, constant(f"l-{index}", watts, name="large", tags={"model": "l"}))
    for index, watts in enumerate((40, 70, 50)):
        keep(store, constant(f"n-{index}", watts, name="noisy", tags={"model": "n"}))
    rows = json.loads(here("compare", "--by", "model", "s", "l", "n", "--json", "-")[1])["rows"]
    assert [row["verdict"].rpartition(": ")[2] for row in rows[1:]] == [
        "more, clearly",
        "not distinguishable",
    ]
    # Welch, worked out by hand: equal variances of 100 J^2, n = 3, so 4 degrees of freedom and t = 2.776
    gap = rows[1]["difference"]["energy_j"]
    assert gap["high"] - gap["value"] == pytest.approx(2.776 * (200 / 3) ** 0.5, rel=0.01)
    assert "3 runs" in here("compare", "--by", "name", "small", "large")[1]


def test_export_and_import_bring_a_run_back(here, two, cli) -> None:
    code, out, _ = here("export", "small", "last", "-o", "both.json")
    assert (code, out) == (0, "both.json\n")
    assert here("rm", "small", "large", "--yes")[0] == 0
    code, out, _ = here("import", "both.json", "--json", "-")
    told = json.loads(out)
    assert (told["imported"], told["known_before"]) == (["aa-1", "ab-2"], [])
    file = {"file": "both.json", "format": "wattmark", "runs": ["aa-1", "ab-2"], "problems": []}
    assert told["files"] == [file]
    code, out, _ = here("import", "both.json", "--timezone", "UTC")
    assert out == "0 imported, 2 known before\n"
    assert here("export", "small", "-o", "tables", "--format", "csv")[0] == 0
    assert "aa-1" in (cli.folder / "tables/runs.csv").read_text()


def test_one_bad_file_does_not_keep_the_others_out(here, two, cli) -> None:
    here("export", "small", "-o", "good.json")
    here("rm", "small", "--yes")
    (cli.folder / "bad.csv").write_text("nothing,known\n1,2\n")
    code, out, err = here("import", "bad.csv", "good.json")
    assert code == 1
    assert "1 imported" in out
    assert "bad.csv" in err


def test_lines_that_cannot_be_imported_are_named_and_the_others_are_kept(here, cli) -> None:
    rows = "".join(f"2024/01/01 10:00:{s:02}, {'broken' if s == 4 else '100 W'}\n" for s in range(10))
    (cli.folder / "gpu.csv").write_text("timestamp, power.draw [W]\n" + rows + "an error message\n")
    code, out, err = here("import", "gpu.csv", "--json", "-")
    assert code == 1
    (file,) = json.loads(out)["files"]
    assert [problem["line"] for problem in file["problems"]] == [6, 12]
    assert "gpu.csv, line 6: 'broken' is no number" in err
    assert "gpu.csv (nvidia-smi): 1 run, 2 things left out" in err


def test_rm_asks_and_takes_no_for_an_answer(here, two, monkeypatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self, *_: object) -> str:
            return "n\n"

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    assert here("rm", "small")[0] == 1
    assert len(json.loads(here("ls", "--json", "-")[1])) == 2
    _, out, _ = here("rm", "small", "aa-1", "--yes", "--json", "-")
    assert json.loads(out) == {"removed": ["aa-1"]}


def test_tags_are_set_and_removed(here, two) -> None:
    code, out, _ = here("tag", "large", "+paper", "-x", "model=other", "--json", "-")
    assert code == 0
    assert json.loads(out) == {"model": "other", "paper": ""}
    assert here("tag", "large")[1] == "model=other\npaper\n"


def test_prune_says_first_what_it_would_remove(here, two) -> None:
    _, out, _ = here("prune", "--keep", "1", "--dry-run")
    assert "would remove 1 runs" in out
    assert "aa-1" in out
    assert json.loads(here("prune", "--max-size", "1 TB", "--json", "-")[1])["removed"] == []
    gone = json.loads(here("prune", "--older-than", "30d", "--keep", "1", "--json", "-")[1])["removed"]
    assert [run["run_id"] for run in gone] == ["aa-1"]


def test_settings_are_kept_shown_and_said_where_they_come_from(here, cli, monkeypatch) -> None:
    assert here("config", "path")[1].strip() == str(cli.data / "config.toml")
    for name, value in (
        ("zone", "FR"),
        ("pue", "1.2"),
        ("sources", "rapl,!nvml"),
        ("options.cpu-model.tdp_w", "125"),
        ("options.cpu-model.turbo", "true"),
        ("options.replay.file", 'a "b".csv'),
    ):
        assert here("config", "set", name, value)[0] == 0
    assert here("config", "get", "zone")[1] == "FR\n"
    assert here("config", "get", "sources")[1] == "rapl,!nvml\n"
    assert here("config", "get", "options.cpu-model.tdp_w")[1] == "125\n"
    assert here("config", "get", "options.replay.file")[1] == 'a "b".csv\n'
    (cli.folder / "pyproject.toml").write_text("[tool.wattmark]\npue = 1.5\n")
    monkeypatch.setenv("WATTMARK_ZONE", "DE")
    rows = {row["name"]: row for row in json.loads(here("config", "list", "--json", "-")[1])}
    assert (rows["zone"]["value"], rows["zone"]["origin"]) == ("DE", "WATTMARK_ZONE")
    assert (rows["pue"]["value"], rows["pue"]["origin"]) == (1.5, str(cli.folder / "pyproject.toml"))
    assert rows["sources"]["origin"] == str(cli.data / "config.toml")
    assert rows["period_s"]["origin"] is None
    assert "WATTMARK_ZONE" in here("config", "list")[1]
    assert here("config", "set", "options.cpu-model.tdp_w")[0] == 0
    assert here("config", "get", "options.cpu-model.tdp_w")[0] == 1
    assert here("config", "set", "options", "x")[0] == 2


def test_a_broken_settings_file_is_named(here, cli) -> None:
    (cli.data / "config.toml").write_text("zone = [")
    code, _, err = here("config", "list")
    assert code == 2
    assert "config.toml" in err


def test_sources_explains_what_is_here(here, cli) -> None:
    from fakes.powercap import PowercapTree

    with PowercapTree(cli.sysfs) as tree:
        tree.add_package(0)
        code, out, _ = here("sources")
        assert code == 0
        assert "cpu0/package" in out
        assert "counter (rapl)" in out
        rows = json.loads(here("sources", "--json", "-")[1])["sources"]
    assert {"cpu0/package", "cpu0/core"} <= {row["channel"] for row in rows if row["chosen"]}
    assert "udevadm" in here("sources", "--fix")[1]


def test_sources_says_what_it_doubts_and_what_it_does_not_use(here, cli) -> None:
    from fakes.hwmon import chip
    from fakes.powercap import PowercapTree

    chip(cli.sysfs, 0, "power_meter", power1_average=0)
    with PowercapTree(cli.sysfs) as tree:
        tree.add_package(0, ())  # its counter never moves
        tree.add("intel-rapl:1", "soc-extra", uj=5)
        code, out, _ = here("sources")
        rows = json.loads(here("sources", "--json", "-")[1])["sources"]
    assert code == 0
    text = " ".join(out.split())
    assert "! doubted: cpu0/package stands still at 1000000 µJ" in text
    assert "! doubted: hwmon/power_meter_1 read 0 W, less than any such device draws" in text
    doubts = {row["channel"]: row["doubt"] for row in rows if row["channel"]}
    assert "stands still" in doubts["cpu0/package"]
    assert "read 0 W" in doubts["hwmon/power_meter_1"]
    assert doubts.get("dram/model") is None
    assert "a domain named 'soc-extra' holds is not known" in text
    unused = next(row for row in rows if "soc-extra" in row["what"])
    assert not unused["counted"]
    assert "soc-extra" in unused["problem"]


def test_calibration_keeps_the_idle_watts_of_this_host(here, cli, powercap) -> None:
    import os

    from wattmark.runs.baseline import load_baseline

    powercap()
    code, out, err = here("calibrate", "--seconds", "1", "--json", "-")
    assert code == 0, err
    assert json.loads(out)["idle_w"]["cpu"] == pytest.approx(50, rel=0.02)
    kept = load_baseline(os.uname().nodename)
    assert kept is not None
    assert kept["idle_w"]["cpu"] == pytest.approx(50, rel=0.02)
    assert kept["methods"]["cpu"] == "counter"
    assert list((cli.data / "journals").iterdir()) == []


def test_recover_reads_what_was_put_aside_and_says_what_stays(here, cli) -> None:
    code, out, _ = here("recover")
    assert (code, out) == (0, "nothing lies in journals/damaged\n")
    folder = cli.data / "journals" / "damaged" / "s1"
    folder.mkdir(parents=True)
    (folder / "recorder-000000.wmj").write_bytes(b"nonsense")
    code, out, _ = here("recover")
    assert code == 1
    assert f"{folder}: " in out
    assert json.loads(here("recover", "--json", "-")[1])["folders"][0]["runs"] == []


def test_whatif_totals_and_health_give_what_python_gives(here, two, monkeypatch) -> None:
    import wattmark as wm

    def said(*arguments: str):
        code, out, err = here(*arguments, "--json", "-")
        assert code == 0, err
        return json.loads(out)

    monkeypatch.setenv("WATTMARK_ZONE", "FR")
    moved = said("whatif", "large", "--zone", "PL", "--pue", "1.5", "--price", "0.3")
    there = wm.what_if("large", zone="PL", pue=1.5, price_per_kwh=0.3)
    assert moved["alternative"]["carbon_g"]["value"] == there.alternative.carbon_g.value
    assert moved["original"]["energy_j"]["value"] == wm.load("large").energy.value
    sums = said("totals", "--by", "name", "--period", "day")
    assert {group["key"]: group["runs"] for group in sums["groups"]} == {"small": 1, "large": 1}
    assert sums["all"]["energy"]["value"] == wm.totals(by="name").all.energy.value
    assert sums["slices"][0]["start"] == "2001-09-09"
    assert said("health", "small")["coverage"] == wm.health("small").coverage
    for command in (
        ["whatif", "large", "--zone", "PL"],
        ["totals", "--by", "tag:model", "--period", "month"],
        ["health"],
    ):
        code, out, err = here(*command)
        assert code == 0, err
        assert len(out.splitlines()) > 2
    assert here("whatif", "large")[0] == 2
    assert here("whatif", "large", "--epochs", "0")[0] == 2
    assert here("totals", "--by", "moon")[0] == 2
    assert here("totals", "--period", "year")[0] == 2


def test_python_m_wattmark_is_the_command(cli) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "wattmark", "--version"], env=cli.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("wattmark ")


def logged(record: RunRecord, **metrics: list[float]) -> RunRecord:
    """The run with metrics logged at even times, the last at its end."""
    series = {
        name: {
            "t_s": [record.duration_s * (row + 1) / len(values) for row in range(len(values))],
            "step": list(range(len(values))),
            "value": values,
        }
        for name, values in metrics.items()
    }
    return replace(record, extra={"metrics": series})


def test_compare_says_what_it_took_to_reach_a_value(here, read, store) -> None:
    keep(
        store,
        logged(constant("aa-1", 50, name="slow"), accuracy=[0.5, 0.8, 0.9, 0.95, 0.96], loss=[3, 2, 1, 1, 1]),
    )
    keep(
        store,
        logged(
            constant("ab-2", 100, name="quick"), accuracy=[0.8, 0.95, 0.9, 0.9, 0.9], loss=[2, 1, 1, 1, 1]
        ),
    )
    keep(store, constant("ac-3", 70, name="silent"))
    for words, joules, seconds in (
        ("accuracy>=0.95", (400, 400), (8, 4)),
        ("accuracy=0.95", (400, 400), (8, 4)),
        ("loss=2", (200, 200), (4, 2)),
        ("loss <= 1.0", (300, 400), (6, 4)),
    ):
        rows = read("compare", "slow", "quick", "--reach", words)["rows"]
        (energy,) = {name for name in rows[0] if name.startswith("energy_j to ")}
        assert [row[energy]["value"] for row in rows] == pytest.approx(joules)
        assert [
            row[f"duration_s{energy.removeprefix('energy_j')}"]["value"] for row in rows
        ] == pytest.approx(seconds)
    out = here("compare", "slow", "quick", "silent", "--reach", "accuracy>=0.96")[1]
    assert "energy to accuracy>=0.96" in out
    assert "quick: accuracy>=0.96 was not reached" in out
    assert "silent: accuracy>=0.96 was not reached" in out
    for wrong in ("f1>=0.5", "accuracy", "accuracy>=much", "accuracy>=nan", "=0.5"):
        code, _, err = here("compare", "slow", "quick", "--reach", wrong)
        assert code == 2, wrong
        assert len(err.splitlines()) == 2
