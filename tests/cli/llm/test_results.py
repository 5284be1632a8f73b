"""What ``wattmark llm bench`` writes, and its answer to the largest load within limits, as a user meets them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from wattmark.store import open_store

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/llm-bench.schema.json").read_text())


@pytest.fixture
def queued() -> Iterator[str]:
    """The URL of a server with two slots: 0.1 s to the first of four tokens and between them, the others wait."""
    words = ("--ttft-ms", "100", "--gap-ms", "100", "--slots", "2", "--metrics")
    program = [sys.executable, "-m", "wattmark.testing.scripted_server", *words]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait()
    process.stdout.close()


@pytest.fixture
def replayed(cli, tmp_path: Path):
    """The command on a machine that draws 40 W."""
    wave = tmp_path / "wave.csv"
    wave.write_text("t_s,cpu0/package:power_w\n0,40\n600,40\n", encoding="utf-8")
    cli.env["WATTMARK_REPLAY"] = str(wave)
    return cli


def bench(cli, *words: str):
    done = cli("llm", "bench", *words, "--baseline", "0.2", "--json", "-")
    data = json.loads(done.stdout) if done.stdout else None
    if data is not None:
        jsonschema.validate(data, SCHEMA)
    return done, data


def test_a_search_answers_with_the_largest_load_and_the_cheapest(
    replayed, queued: str, tmp_path: Path
) -> None:
    words = (
        "--search", "--ttft", "0.4", "--sweep", "concurrency:2-8", "-n", "8", "--output", "4", "--attain", "75",
        "--zone", "FR", "--price", "0.25", "--records", str(tmp_path / "all.jsonl"),
        "--report", str(tmp_path / "sweep.csv"), "--report", str(tmp_path / "sweep.md"),
    )  # fmt: skip
    done, data = bench(replayed, queued, *words)
    assert done.returncode == 0, done.stderr
    best = data["best"]
    # two at a time wait for no one (0.1 s); of four, half wait for a whole answer before theirs (0.5 s)
    assert best["largest"] in (2.0, 3.0)
    assert best["beyond"] in (3.0, 4.0)
    assert best["cheapest"] == best["largest"]  # 40 W all the time, so more answers are fewer joules each
    cost = best["j_per_output_token"]
    assert cost["low"] <= cost["value"] <= cost["high"]
    assert [point["at"] for point in data["points"]] == sorted(point["at"] for point in data["points"])
    assert (
        f"largest load within the limits (75% of the requests): {best['largest']:.0f} at a time"
        in done.stderr
    )
    assert "in your currency per million" in done.stderr
    assert "search: " in done.stderr

    (point,) = [point for point in data["points"] if point["at"] == best["cheapest"]]
    joules = point["energy"]["with_idle"]["j_per_output_token"]["value"]
    assert point["energy"]["with_idle"]["money_per_1m_tokens"]["value"] == pytest.approx(
        joules * 1e6 / 3.6e6 * 0.25
    )
    assert point["energy"]["with_idle"]["gco2e_per_1m_tokens"]["value"] > 0
    assert point["place"] == {"zone": "FR", "pue": None, "price_per_kwh": 0.25}
    assert point["server_metrics"]["latencies"]["ttft"]["count"] == point["metrics"]["ok"]

    with open_store(str(replayed.data / "store.db")) as store:
        kept = store.get(point["run_id"])
    assert kept.extra["settings"]["zone"] == "FR"
    assert kept.extra["serving"]["place"]["price_per_kwh"] == 0.25
    shown = replayed("show", point["run_id"])
    assert "CO2e" in shown.stdout

    rows = list(csv.DictReader((tmp_path / "sweep.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["concurrency"]) for row in rows] == [point["at"] for point in data["points"]]
    assert "largest load within the limits" in (tmp_path / "sweep.md").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 8 * len(data["points"])
    assert all(line["energy_low_j"] <= line["energy_j"] <= line["energy_high_j"] for line in lines)


def test_a_sweep_with_limits_ends_with_the_cheapest_load_within_them(replayed, queued: str) -> None:
    done, data = bench(
        replayed, queued, "--sweep", "concurrency:1,2", "--ttft", "30", "-n", "4", "--output", "2"
    )
    assert done.returncode == 0, done.stderr
    assert (data["best"]["largest"], data["best"]["searched"]) == (2.0, False)
    assert "cheapest within them: 2 at a time" in done.stderr


def test_a_search_without_any_load_within_the_limits_fails_and_says_by_how_much(
    replayed, queued: str
) -> None:
    words = ("--search", "--ttft", "0.001", "-n", "3", "--output", "2")
    done, data = bench(replayed, queued, *words)
    assert done.returncode == 1
    assert data["best"]["largest"] is None
    assert "no load is within the limits: at 1 at a time, 0% of 3 met the limits" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--search",), "--search needs limits"),
        (("--report", "sweep.pdf"), ".csv, .md, .html"),
        (("--report", "no/such/sweep.csv"), "no folder"),
        (("--records", "no/such/r.jsonl"), "no folder"),
    ],
)
def test_what_cannot_be_done_is_told_before_the_load(cli, words: tuple[str, ...], said: str) -> None:
    done = cli("llm", "bench", "http://127.0.0.1:9", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
