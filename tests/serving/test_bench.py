"""Load, joules and CPU times put together: what is the server's, the client's, others', idle, and no one's."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.predict.whatif.rates import rates_at
from wattmark.quantity import Quantity
from wattmark.runs.record import Curve, RunRecord
from wattmark.runs.view import RunView
from wattmark.serving.bench import Bench, Place, Plan, with_figures
from wattmark.serving.energy.measured import CpuMeter, CpuReading, CpuUse, Idle, energy_of, idle_of
from wattmark.serving.figures.steady import Window
from wattmark.serving.load.arrivals import ClosedLoop
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.records import LoadResult, RequestRecord
from wattmark.sources.base import Accuracy, Channel

S = 1_000_000_000
QUIET = Idle({"cpu": 10.0}, 0.0, "test")


def view(watts: float = 50.0, seconds: int = 20, baseline_w: dict[str, float] | None = None) -> RunView:
    """A machine that draws the same power all the time."""
    t_ns = np.arange(0, seconds * S + 1, S // 10)
    channel = Channel(
        "cpu0/package", "cpu", "rapl", "counter", "package", "counter", Accuracy(0.0, 0.0, 0.0, "exact")
    )
    curve = Curve(channel, t_ns, (t_ns / 1e3 * watts).astype(np.int64))
    return RunView(
        RunRecord("r", "r", "completed", 0, 0, 0, seconds * S, curves=(curve,), baseline_w=baseline_w)
    )


def request(index: int, start_s: float, tokens: int | None = 11) -> RequestRecord:
    sent = int(start_s * S)
    chunks = array("q", [sent + S // 2 + n * S // 20 for n in range(11)])
    return RequestRecord(
        index, index, 0, sent, sent, sent, chunks[0], chunks[-1], chunks[-1] + 1_000_000, chunks,
        input_tokens=8, output_tokens=tokens, status=200, outcome="ok",
    )  # fmt: skip


def load(*records: RequestRecord, client_cpu_s: float = 0.0, until_s: float = 10.0) -> LoadResult:
    return LoadResult(
        "http://127.0.0.1:1", "m", "llama.cpp", "closed loop", "synthetic", 0, int(until_s * S), 0, int(until_s * S),
        list(records), Counter(record.outcome for record in records), client_cpu_s, (1,),
    )  # fmt: skip


def test_every_joule_of_the_load_has_one_owner() -> None:
    got = energy_of(
        view(), load(request(0, 1), request(1, 5), client_cpu_s=1.0), QUIET, CpuUse(10.0, 8.0, 5.0)
    )
    assert got is not None
    part = got.serving.components[0]
    assert part.idle is not None
    assert got.client_j is not None
    assert got.others_j is not None
    pots = (part.requests, part.idle, part.unattributed, got.client_j, got.others_j)
    assert sum(pot.value for pot in pots) == pytest.approx(50.0 * 10)
    assert part.idle.value == pytest.approx(10.0 * 10)
    # above idle are 400 J: by CPU time 5/8 are the server's, 1/8 the client's, 2/8 those of others
    assert got.client_j.value == pytest.approx(50.0)
    assert got.others_j.value == pytest.approx(100.0)
    assert part.measured.value == pytest.approx(500 - 150)


def test_work_that_went_on_while_idle_was_measured_is_idle_and_not_others() -> None:
    idle = Idle({"cpu": 10.0}, 0.2, "test")
    got = energy_of(view(), load(request(0, 1)), idle, CpuUse(10.0, 7.0, 5.0))
    assert got is not None
    assert got.others_j is not None
    assert got.others_j.value == pytest.approx(0.0)


def test_what_a_server_that_was_not_started_here_uses_is_all_but_the_clients() -> None:
    got = energy_of(view(), load(request(0, 1), client_cpu_s=2.0), QUIET, CpuUse(10.0, 8.0, None))
    assert got is not None
    assert got.client_j is not None
    assert got.client_j.value == pytest.approx(400 / 4)
    assert got.others_j is None  # which process serves is not known, so neither is what the others used
    (note,) = [note for note in got.notes if "--server-pid" in note]
    assert "0.6 cores were busy beside the load client" in note


def test_busy_cores_beside_an_unknown_server_are_named() -> None:
    cpu = CpuUse(10.0, 18.0, None, busiest=("python3 (71) 1.0 cores",))
    got = energy_of(view(), load(request(0, 1)), QUIET, cpu)
    assert got is not None
    assert any("1.8 cores" in note and "python3 (71) 1.0 cores" in note for note in got.notes)


def test_cpu_times_are_those_of_the_window() -> None:
    readings = tuple(
        CpuReading(t * S, busy, own) for t, busy, own in ((0, 0.0, 0.0), (5, 10.0, 5.0), (10, 10.0, 10.0))
    )
    use = CpuUse(10.0, 10.0, 10.0, readings).within(0, 5 * S)
    assert (use.seconds, use.busy_s, use.server_s) == (5.0, 10.0, 5.0)
    assert CpuUse(10.0, 10.0, 10.0).within(0, S).busy_s == 10.0


def test_joules_of_requests_are_found_by_their_index() -> None:
    uncounted = request(0, 1, tokens=None)
    got = energy_of(view(), load(uncounted, request(7, 5)), QUIET, CpuUse(10.0, 5.0, 5.0))
    assert got is not None
    assert set(got.request_j) == {0, 7}
    assert got.request_j[0] == pytest.approx(got.request_j[7])  # as many chunks, so as much work
    assert any("1 of 2 answers have no token counts" in note for note in got.notes)


@pytest.mark.parametrize("counted", [0, 1, 5, 10])
def test_joules_per_request_are_over_all_answers_and_per_token_over_those_with_counts(counted: int) -> None:
    records = [request(n, 0.9 * n, tokens=11 if n < counted else None) for n in range(10)]
    got = energy_of(view(), load(*records), QUIET, CpuUse(10.0, 5.0, 5.0))
    assert got is not None
    figures = got.serving.with_idle
    assert figures is not None
    assert figures.j_per_request is not None
    assert figures.j_per_request.value == pytest.approx(500 / 10)
    assert got.serving.counted == counted
    if counted:
        assert figures.j_per_output_token is not None
        assert figures.j_per_output_token.value == pytest.approx(500 / 110, rel=0.1)
    else:
        assert figures.j_per_output_token is None


def test_work_for_requests_that_were_given_up_is_not_charged_to_the_others() -> None:
    whole = [request(n, 0.9 * n) for n in range(8)]
    dropped = [
        replace(request(8 + n, 0.9 * n + 0.45, tokens=None), outcome="abandoned", input_tokens=None)
        for n in range(8)
    ]
    alone = energy_of(view(), load(*whole), QUIET, CpuUse(10.0, 5.0, 5.0))
    beside = energy_of(view(), load(*whole, *dropped), QUIET, CpuUse(10.0, 5.0, 5.0))
    assert alone is not None
    assert beside is not None
    assert beside.serving.without_idle is not None
    assert beside.serving.without_idle.j_per_request is not None
    assert alone.serving.without_idle is not None
    assert beside.serving.given_up_j is not None
    part = beside.serving.components[0]
    assert part.requests.value == pytest.approx(
        beside.serving.without_idle.energy_j.value + beside.serving.given_up_j.value
    )
    # half of the work was for those that were given up
    assert beside.serving.given_up_j.value == pytest.approx(part.requests.value / 2, rel=0.02)
    assert set(beside.request_j) == set(range(8))


def test_the_figures_are_of_the_window_and_the_whole_is_beside_them() -> None:
    """Full batch for 4 of 10 s at 50 W, one straggler afterwards: its idle is not the others'."""
    records = [request(n, 0.25 * n) for n in range(20)]
    window = Window(0, 5 * S, "steady: test")
    got = energy_of(view(), load(*records), QUIET, CpuUse(10.0, 5.0, 5.0), window=window)
    assert got is not None
    assert got.whole is not None
    assert got.serving.duration_s == 5
    assert got.whole.duration_s == 10
    assert got.serving.with_idle is not None
    assert got.serving.with_idle.energy_j.value == pytest.approx(250)
    assert got.whole.with_idle is not None
    assert got.whole.with_idle.energy_j.value == pytest.approx(500)
    data = got.as_dict()
    assert data["window"] == "steady: test"
    assert data["whole"]["duration_s"] == 10


def test_a_request_counts_by_the_part_of_its_work_that_lies_in_the_window() -> None:
    records = [request(n, 0.5 * n) for n in range(20)]
    got = energy_of(
        view(), load(*records), QUIET, CpuUse(10.0, 5.0, 5.0), window=Window(2 * S, 8 * S, "steady: test")
    )
    assert got is not None
    figures = got.serving.with_idle
    assert figures is not None
    assert figures.j_per_request is not None
    assert figures.j_per_request.value == pytest.approx(50 * 0.5, rel=0.01)  # two a second at 50 W
    assert figures.j_per_output_token is not None
    assert figures.j_per_output_token.value == pytest.approx(50 * 0.5 / 11, rel=0.01)


def test_a_load_that_is_too_short_says_how_many_requests_would_do() -> None:
    from wattmark.serving.bench import _too_few
    from wattmark.serving.figures.latency import measure

    short = replace(load(*[request(n, 0.1 * n) for n in range(20)]), concurrency=16)
    (warning,) = _too_few(short, measure(short))
    assert "161 requests would give one" in warning


def test_the_server_is_known_by_its_socket_or_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from wattmark.serving import bench as module
    from wattmark.serving.load.client import Target
    from wattmark.serving.server.local import RunningServer
    from wattmark.serving.server.owner import Owner

    url = "http://127.0.0.1:8123"
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(module, "owner_of", lambda host, port: asked.append((host, port)) or Owner((7,)))
    assert module._owner(RunningServer(url, "s"), Target(url), ()) == Owner((7,))
    assert asked == [("127.0.0.1", 8123)]
    assert module._owner(RunningServer(url, "s"), Target(url), (os.getpid(),)) == Owner((os.getpid(),))
    assert module._owner(RunningServer(url, "s", pid=5), Target(url), ()) == Owner()
    with pytest.raises(ConfigError, match="no process"):
        module._owner(RunningServer(url, "s"), Target(url), (2**22 + 5,))


def test_a_failed_request_is_told_of() -> None:
    failed = replace(request(1, 2), outcome="server_error")
    got = energy_of(view(), load(request(0, 1), failed), QUIET, CpuUse(10.0, 5.0, 5.0))
    assert got is not None
    assert got.serving.requests == 1
    assert any("1 failed" in note for note in got.notes)


def test_nothing_measured_is_none_and_not_zero() -> None:
    empty = RunView(RunRecord("r", "r", "completed", 0, 0, 0, 20 * S))
    assert energy_of(empty, load(request(0, 1)), None, CpuUse(10.0, 5.0, 5.0)) is None
    assert idle_of(empty, (0, S), CpuUse(1.0, 0.0, 0.0)) is None


def test_idle_is_measured_where_the_machine_was_at_rest() -> None:
    found = idle_of(view(12.0), (0, 2 * S), CpuUse(2.0, 0.1, 0.0))
    assert found is not None
    assert found.watts["cpu"] == pytest.approx(12.0)
    assert "2.0 s" in found.rule


def test_a_busy_machine_shows_no_idle() -> None:
    busy = CpuUse(2.0, 3.0, 0.0)
    assert idle_of(view(12.0), (0, 2 * S), busy) is None
    found = idle_of(view(12.0, baseline_w={"cpu": 4.0}), (0, 2 * S), busy)
    assert found is not None
    assert found.watts == {"cpu": 4.0}
    got = energy_of(view(), load(request(0, 1)), None, CpuUse(10.0, 5.0, 5.0))
    assert got is not None
    assert got.serving.idle_share is None
    assert got.others_j is None
    assert got.serving.with_idle is not None
    assert got.serving.with_idle.energy_j.value == pytest.approx(500.0)


def test_cpu_times_are_of_the_server_and_of_all() -> None:
    import os

    meter = CpuMeter(os.getpid())
    sum(range(2_000_000))
    used = meter.lap()
    assert used.server_s is not None
    assert used.busy_s is not None
    assert 0 <= used.server_s <= used.busy_s + 0.05
    assert CpuMeter(None).lap().server_s is None


@pytest.mark.parametrize(("url", "here"), [("http://127.0.0.1:1", True), ("http://gpu.example.org", False)])
def test_only_a_server_on_this_machine_is_measured(url: str, here: bool) -> None:
    from wattmark.serving.load.client import ServerProfile, Target
    from wattmark.serving.load.wire.dialects import named
    from wattmark.serving.prompts.synthetic import Filler
    from wattmark.serving.server.local import RunningServer

    known = ServerProfile(named("vllm"), "m")
    assert Bench(RunningServer(url, "server"), Target(url), known, Filler()).here is here


def test_a_load_needs_an_end() -> None:
    with pytest.raises(ConfigError, match="an end"):
        Plan(ClosedLoop.of(1))
    assert Plan(ClosedLoop.of(1), limits=Limits(requests=1)).baseline_s > 0


def test_an_interrupted_load_makes_an_interrupted_run() -> None:
    from wattmark.serving.bench import BenchResult
    from wattmark.serving.figures.latency import measure

    one = load(request(0, 1))
    result = BenchResult(
        "r", {"text_is_noise": True}, replace(one, interrupted=True), measure(one), None, None, ("w",)
    )
    record = with_figures(view().record, result)
    assert record.status == "interrupted"
    assert record.extra["serving"]["load"]["interrupted"] is True
    assert result.noise


@pytest.mark.parametrize(("busy_looks", "at_rest"), [(0, True), (3, True), (1000, False)])
def test_other_work_is_waited_for_before_idle_is_measured(
    busy_looks: int, at_rest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wattmark.serving.energy import measured as bench_energy

    now, used, looks = [0.0], [0.0], [0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        used[0] += (1.0 if looks[0] < busy_looks else 0.1) * seconds
        looks[0] += 1

    monkeypatch.setattr(bench_energy.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(bench_energy, "host_busy_s", lambda: used[0])
    assert bench_energy.wait_for_rest(2.0, sleep=sleep) is at_rest
    assert now[0] < 2.2
    assert looks[0] >= min(busy_looks, 13)


def test_where_cpu_times_are_not_told_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from wattmark.serving.energy import measured as bench_energy

    monkeypatch.setattr(bench_energy, "host_busy_s", lambda: None)
    assert bench_energy.wait_for_rest(60.0, sleep=lambda _: None)


def test_a_window_within_the_load_is_no_gap_in_the_measurement() -> None:
    records = [request(n, 0.5 * n) for n in range(20)]
    window = Window(2 * S, 8 * S, "steady: test")
    got = energy_of(view(), load(*records), QUIET, CpuUse(10.0, 5.0, 5.0), window=window)
    assert got is not None
    assert got.serving.covered == pytest.approx(1.0)
    assert not any("fall into measured time" in note for note in got.notes)


def test_joules_per_image_second_of_sound_and_input_are_over_those_that_were_answered() -> None:
    images = [replace(request(n, 0.9 * n), images=2) for n in range(9)]
    failed = replace(request(9, 9 * 0.9, tokens=None), outcome="server_error", images=2)
    got = energy_of(view(), load(*images, failed), QUIET, CpuUse(10.0, 5.0, 5.0))
    assert got is not None
    figures = got.serving.with_idle
    assert figures is not None
    assert figures.j_per_request is not None
    assert list(figures.j_per_unit) == ["image"]
    assert figures.j_per_unit["image"].value == pytest.approx(figures.j_per_request.value / 2)
    assert figures.as_dict()["j_per_unit"]["image"]["value"] == figures.j_per_unit["image"].value


def test_vectors_are_told_by_their_inputs_and_input_tokens() -> None:
    sent = [replace(request(n, n), output_tokens=0, inputs=4, input_tokens=20, chunk_ns=array("q"), first_token_ns=None,
                    last_token_ns=None) for n in range(10)]  # fmt: skip
    got = energy_of(view(), load(*sent), QUIET, CpuUse(10.0, 5.0, 5.0))
    assert got is not None
    figures = got.serving.with_idle
    assert figures is not None
    assert figures.j_per_output_token is None
    assert figures.j_per_unit["input"].value == pytest.approx(500 / 40, rel=1e-3)
    assert figures.j_per_unit["input token"].value == pytest.approx(500 / 200, rel=1e-3)


def test_longer_sound_is_more_work_where_no_tokens_are_counted() -> None:
    def heard(index: int, seconds: float) -> RequestRecord:
        return replace(request(index, 1, tokens=None), audio_s=seconds, inputs=1, input_tokens=None, chunk_ns=array("q"),
                       first_token_ns=None, last_token_ns=None, wanted_output_tokens=None)  # fmt: skip

    got = energy_of(view(), load(heard(0, 30.0), heard(1, 10.0)), QUIET, CpuUse(10.0, 5.0, 5.0))
    assert got is not None
    assert got.request_j[0] / got.request_j[1] == pytest.approx(3, rel=0.01)
    assert got.serving.with_idle is not None
    assert got.serving.with_idle.j_per_unit["second of sound"].value == pytest.approx(500 / 40)


ENERGY = Quantity(7.2e6, 7.0e6, 7.5e6, "J", "counter", error="own/run")


@pytest.mark.parametrize("price", [0.25, "0.25-0.35", 0.0])
@pytest.mark.parametrize("pue", [None, 1.4, "1.2-1.5"])
def test_a_benchmark_and_a_what_if_give_one_bill(price, pue):
    rates = rates_at("FR", None, pue, price, None)
    bill, grams = Place("FR", pue, price).cost(ENERGY), Place("FR", pue, price).grams(ENERGY)
    expected, carbon = rates.cost(ENERGY), rates.carbon(ENERGY)
    assert bill is not None
    assert expected is not None
    assert carbon is not None
    assert bill.interval() == pytest.approx(expected.interval())
    assert bill.value == pytest.approx(
        2 * 0.30 * 1.0 if (price, pue) == ("0.25-0.35", None) else expected.value
    )
    assert grams is not None
    assert grams.interval() == pytest.approx(carbon.grams.interval())


def test_what_is_not_known_gives_no_figure():
    assert Place().cost(ENERGY) is None
    assert Place().grams(ENERGY) is None


@pytest.mark.parametrize("price", ["-1", "cheap", "0.4-0.3", -0.1])
def test_what_is_no_price_is_refused(price):
    with pytest.raises(ConfigError):
        Place(price_per_kwh=price)
