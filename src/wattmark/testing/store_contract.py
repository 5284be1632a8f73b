"""What every database behind a :class:`wattmark.store.Store` must do, as tests that anyone can run.

Subclass :class:`StoreContract` in a test module and give it a ``url`` fixture: an empty database's address.
"""

# ruff: noqa: D102 (the tests' names say what they hold)

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from wattmark.errors import RunNotFound, StoreError
from wattmark.runs.record import Anchor, Curve, RunRecord, RunWarning, SeriesData, Spans
from wattmark.sources.base import Accuracy, Channel, Series
from wattmark.store import Store, open_store
from wattmark.store.predictions.rows import StoredPrediction

S = 1_000_000_000
_MONDAY_NS = 1_700_000_000 * S
_MONDAY = datetime.fromtimestamp(_MONDAY_NS // S, timezone.utc)


def example_record(run_id: str = "a1b2c3d4e5f6", **changes: Any) -> RunRecord:
    """A run with something of everything: two channels, one clock, a hole, a failed reading, nested spans."""
    start = 5_000 * S
    t_ns = start + np.arange(50, dtype=np.int64) * 100_000_000
    accuracy = Accuracy(0.02, 0.03, 0.5, "a data sheet")
    package = Channel(
        "cpu0/package", "cpu", "rapl", "counter", "package", "counter", accuracy, 2**38, inside=("psys",)
    )
    dram = Channel("dram", "dram", "dram-model", "modelled", "host", "energy", accuracy, resolution_uj=61.035)
    holes = np.array([[t_ns[10], t_ns[20]]], np.int64)
    utilisation = np.linspace(0, 99.5, 50, dtype=np.float32)
    utilisation[3] = np.nan
    record = RunRecord(
        run_id=run_id,
        name="digits",
        status="completed",
        exit_code=0,
        started_wall_ns=_MONDAY_NS + 123_456_789,
        start_ns=start + 1,
        end_ns=start + 5 * S + 7,
        parent_id="f00",
        tags={"model": "small", "baseline": ""},
        environment={"host": "node7", "packages": {"numpy": "2.0"}, "argv": ["python", "train.py"]},
        baseline_w={"cpu": 12.5},
        curves=(
            Curve(package, t_ns, np.arange(50, dtype=np.int64) ** 2 * 1_000_003, holes),
            Curve(dram, t_ns, np.floor(np.arange(50) * 813 * 61.035).astype(np.int64)),
        ),
        series=(SeriesData(Series("gpu0/utilisation", "%", "nvml"), t_ns, utilisation),),
        spans=Spans(
            names=("epoch", "step"),
            name_ids=np.array([0, 1, 1], np.int32),
            start_ns=np.array([start + 3, start + 5, start + 9], np.int64),
            end_ns=np.array([start + 4 * S, start + 8, start + 11], np.int64),
            parents=np.array([-1, 0, 0], np.int32),
            pids=np.array([4, 4, 4], np.int64),
            tids=np.array([2**40, 2**40, 5], np.int64),
            open=np.array([True, False, False]),
            details={0: {"counts": {"samples": 50_000}, "attrs": {"lr": 0.1}}, 2: {"attrs": {"why": "last"}}},
        ),
        anchors=(Anchor(start, start + 17, _MONDAY_NS),),
        tree_cpu=np.column_stack((t_ns[:5].astype(np.float64), np.arange(5) / 100, np.arange(5) / 3)),
        warnings=(RunWarning("gap", "one second is not covered"),),
        recorder={"cpu_s": 0.01, "period_s": 0.1},
        extra={"command": ["x"], "share": 0.25},
    )
    return replace(record, **changes)


def example_summary(energy_j: float = 100.0) -> dict[str, Any]:
    """A summary as ``show --json`` has it, as far as the store looks into it."""
    spread = {"value": energy_j, "low": energy_j * 0.9, "high": energy_j * 1.1}
    return {
        "energy_j": {"total": spread, "cpu": spread, "gpu": None},
        "coverage": 0.8,
        "power_w": {"peak": 7.5},
    }


def assert_same_record(actual: RunRecord, expected: RunRecord) -> None:
    """Every field equal, arrays by value and type (NaN equals NaN)."""
    for name in RunRecord.__slots__:
        _assert_same(getattr(actual, name), getattr(expected, name), name)


def _assert_same(actual: Any, expected: Any, where: str) -> None:
    if isinstance(expected, np.ndarray):
        expected = cast("NDArray[Any]", expected)
        assert actual.dtype == expected.dtype, where
        np.testing.assert_array_equal(actual, expected, err_msg=where)
    elif isinstance(expected, (Curve, SeriesData, Spans)):
        for name in expected.__slots__:
            _assert_same(getattr(actual, name), getattr(expected, name), f"{where}.{name}")
    elif where in ("curves", "series"):
        assert len(actual) == len(expected), where
        for record, other in zip(actual, expected, strict=True):
            _assert_same(record, other, f"{where}[]")
    else:
        assert actual == expected, where


def _open_and_add(url: str, run_id: str) -> tuple[bool, int]:
    """In a process of its own: was it this one that kept the run, and how many samples does it have."""
    with open_store(url) as store:
        added = store.add(example_record(run_id), example_summary())
        return added, len(store.get(run_id).curves[0].t_ns)


class StoreContract:
    """The tests. ``url`` names an empty database for each test."""

    @pytest.fixture
    def url(self) -> str:
        """Override: the address of an empty database."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, url: str) -> Any:
        """A store in that database."""
        with open_store(url) as store:
            yield store

    def test_a_run_comes_back_as_it_went_in(self, store: Store) -> None:
        record = example_record()
        assert store.add(record, example_summary())
        assert_same_record(store.get(record.run_id), record)
        assert store.summary(record.run_id) == example_summary()

    def test_a_run_without_anything_comes_back_too(self, store: Store) -> None:
        record = RunRecord("e0", "", "running", None, 0, 0, 0)
        store.add(record)
        assert_same_record(store.get("e0"), record)
        assert store.summary("e0") is None
        assert store.summaries()[0].energy_j is None

    def test_adding_again_changes_nothing(self, store: Store) -> None:
        assert store.add(example_record(name="first"), example_summary(1.0))
        assert not store.add(example_record(name="second"), example_summary(2.0))
        assert store.get("a1b2c3d4e5f6").name == "first"
        assert store.summaries()[0].energy_j == 1.0

    def test_ten_processes_may_open_an_empty_database_and_add_one_run(self, url: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["wattmark.testing.store_contract"])
        with context.Pool(10) as pool:
            outcomes = pool.starmap(_open_and_add, [(url, "aa")] * 10, chunksize=1)
        assert sorted(added for added, _ in outcomes) == [False] * 9 + [True]
        assert {samples for _, samples in outcomes} == {50}

    def test_a_run_that_fails_on_its_way_in_leaves_nothing(self, store: Store) -> None:
        broken = example_record(tags={"ok": "1", "not text": object()})
        with pytest.raises(AttributeError):
            store.add(broken)
        assert store.summaries() == []
        assert store.add(example_record())

    def test_an_id_that_is_none_is_refused(self, store: Store) -> None:
        for bad in ("", "../../etc", "a b", "x" * 200, "-rf", "a\0"):
            with pytest.raises(StoreError, match="id"):
                store.add(example_record(bad))

    def test_replacing_keeps_note_and_own_tags(self, store: Store) -> None:
        store.replace(example_record(status="interrupted"), example_summary(1.0))
        store.note("last", "keep me")
        store.tag("last", {"mine": "yes"})
        store.replace(example_record(tags={"model": "big"}, curves=()), example_summary(2.0))
        (run,) = store.summaries()
        assert (run.status, run.energy_j, run.note) == ("completed", 2.0, "keep me")
        assert run.tags == {"mine": "yes", "model": "big", "baseline": ""}
        assert store.get("last").curves == ()

    def test_a_run_is_found_by_id_prefix_name_and_age(self, store: Store) -> None:
        for index, (run_id, name) in enumerate([("abc1", "old"), ("abd2", "twice"), ("xyz3", "twice")]):
            store.add(example_record(run_id, name=name, started_wall_ns=_MONDAY_NS + index))
        wanted = {"abc1": "abc1", "abd": "abd2", "old": "abc1", "twice": "xyz3", "x": "xyz3"}
        wanted |= {"last": "xyz3", "@-1": "xyz3", "@-3": "abc1"}
        assert {ref: store.resolve(ref) for ref in wanted} == wanted

    def test_short_ids_are_as_long_as_they_must_be_and_mean_their_run(self, store: Store) -> None:
        """A promise of the contract; its name says which."""
        short = {
            "20260301T120000-abcd1234": "abcd1",
            "20260301T120001-abcd9999": "abcd9",
            "20260301T120002-20260301": "20260301T120002-20260301",  # its digits begin other ids
            "20260301T120003-beef0000": "beef0",  # there is a run of the name "beef"
            "20260301T120004-0123feed": "0123",
            "from-another-tool": "from-another-tool",
        }
        for number, run_id in enumerate(short):
            store.add(example_record(run_id, name="beef" if number == 0 else "x", parent_id=None))
        assert store.short_ids(short) == short
        assert [store.resolve(word) for word in short.values()] == list(short)
        with pytest.raises(RunNotFound, match="fits several"):
            store.resolve("abcd")

    def test_what_is_not_found_says_what_could_be_meant(self, store: Store) -> None:
        with pytest.raises(RunNotFound, match="empty"):
            store.get("last")
        store.add(example_record("abc1", name="train"))
        store.add(example_record("abd2", name="other"))
        with pytest.raises(RunNotFound, match=r"abc1 \(train\)") as ambiguous:
            store.get("ab")
        assert "abd2" in str(ambiguous.value)
        with pytest.raises(RunNotFound) as near:
            store.get("trian")
        assert "train" in (near.value.hint or "")
        for nothing in ("", "%", "ab_", "@-3", "@-0", "zz"):
            with pytest.raises(RunNotFound):
                store.get(nothing)

    def test_text_of_a_run_is_never_read_as_sql(self, store: Store) -> None:
        name = "'; DROP TABLE runs; --\" %s :x {y} \\"
        store.add(example_record(name=name, tags={name: name}))
        assert [run.name for run in store.summaries(name=name, tag=f"{name}={name}")] == [name]
        assert store.resolve(name) == "a1b2c3d4e5f6"
        with pytest.raises(RunNotFound):
            store.resolve("' OR '1'='1")

    def test_text_that_no_database_takes_is_kept_in_the_record(self, store: Store) -> None:
        strange = "nul\0 and \udcff"
        store.add(example_record(name=strange, environment={"host": strange}, extra={strange: [strange]}))
        record = store.get("last")
        assert (record.name, record.host, record.extra) == (strange, strange, {strange: [strange]})
        assert store.summaries()[0].name == "nul\ufffd and \ufffd"

    def test_lists_are_filtered_and_ordered(self, store: Store) -> None:
        for index, (name, status, energy) in enumerate(
            [("train/a", "completed", 3.0), ("train/b", "failed", 9.0), ("serve", "completed", 5.0)]
        ):
            run = example_record(
                f"r{index}", name=name, status=status, tags={"n": str(index), "even"[index % 2 :]: ""}
            )
            hour = _MONDAY_NS + index * 3600 * S
            store.add(
                replace(run, started_wall_ns=hour, environment={"host": f"h{index}"}), example_summary(energy)
            )

        def ids(**filters: Any) -> list[str]:
            return [run.run_id for run in store.summaries(**filters)]

        assert ids() == ["r2", "r1", "r0"]
        assert ids(order="oldest", limit=2) == ["r0", "r1"]
        assert ids(order="energy") == ["r1", "r2", "r0"]
        assert ids(order="name") == ["r2", "r0", "r1"]
        assert ids(status="failed") == ["r1"]
        assert ids(status=["failed", "completed"], host="h2") == ["r2"]
        assert ids(name="train/*") == ["r1", "r0"]
        assert ids(name="train/?") == ["r1", "r0"]
        assert ids(name="Train*") == ids(name="train") == ids(name="*.*") == []
        assert ids(tag="n") == ["r2", "r1", "r0"]
        assert ids(tag="n=1") == ["r1"]
        assert ids(tag=["n", "even"]) == ["r2", "r0"]
        assert ids(since=_MONDAY + timedelta(hours=1)) == ["r2", "r1"]
        assert ids(until=_MONDAY + timedelta(hours=1)) == ["r0"]
        assert ids(since=datetime.fromtimestamp(_MONDAY.timestamp() + 3600)) == ["r2", "r1"]  # local time

    def test_a_line_of_a_list_has_what_lists_show(self, store: Store) -> None:
        store.add(example_record(), example_summary(100.0))
        (run,) = store.summaries()
        assert run.started_at == _MONDAY + timedelta(microseconds=123_456)
        assert (run.duration_s, run.host, run.coverage) == (pytest.approx(5.000000006), "node7", 0.8)
        assert (run.energy_j, run.energy_low_j, run.energy_high_j) == (100.0, 90.0, pytest.approx(110.0))
        assert {key: part.value for key, part in run.energy_by_component.items()} == {"cpu": 100.0}
        assert run.tags == {"model": "small", "baseline": ""}
        assert run.as_dict()["started_at"].startswith("2023-11-14T22:13:20")

    def test_every_write_to_a_run_is_another_revision_of_it_and_of_the_list(self, store: Store) -> None:
        writes: list[tuple[str, Callable[[], object]]] = [
            ("add", lambda: store.add(example_record("a1"), example_summary(100.0))),
            ("tag", lambda: store.tag("a1", {"model": "large"})),
            ("tag of the same length", lambda: store.tag("a1", {"model": "LARGE"})),
            ("note", lambda: store.note("a1", "hot day")),
            ("replace", lambda: store.replace(example_record("a1"), example_summary(100.0))),
            ("remove and come again", lambda: (store.remove(["a1"]), store.add(example_record("a1")))),
        ]
        store.add(example_record("b2"))
        other, stamps, revisions = store.revision("b2"), [store.stamp()], list[int]()
        for name, write in writes:
            write()
            assert store.revision("a1")[1] not in revisions, name
            assert store.stamp() not in stamps, name
            revisions.append(store.revision("a1")[1])
            stamps.append(store.stamp())
        assert store.revision("a1") == ("a1", revisions[-1])
        store.discard(["a1"])
        assert store.stamp() != stamps[-1]
        with pytest.raises(RunNotFound):
            store.revision("a1")
        store.restore(["a1"])
        assert store.stamp() == stamps[-1]
        assert store.revision("b2") == other

    def test_runs_are_removed_all_or_none(self, store: Store) -> None:
        for run_id in ("a1", "b2", "c3"):
            store.add(example_record(run_id))
        with pytest.raises(RunNotFound):
            store.remove(["a1", "nope"])
        assert store.remove(["a", "a1", "b2"]) == ["a1", "b2"]
        assert [run.run_id for run in store.summaries()] == ["c3"]
        assert store.add(example_record("a1"))

    def test_discarded_runs_are_out_of_sight_until_they_come_back(self, store: Store) -> None:
        for run_id in ("a1", "b2"):
            store.add(example_record(run_id))
        store.note("a1", "keep me")
        with pytest.raises(RunNotFound):
            store.discard(["a1", "nope"])
        assert store.discarded() == []
        assert store.discard(["a1"]) == ["a1"]
        assert [run.run_id for run in store.summaries()] == ["b2"]
        for question in (store.get, store.summary, store.resolve):
            with pytest.raises(RunNotFound):
                question("a1")
        ((run, when),) = store.discarded()
        assert (run.run_id, run.note) == ("a1", "keep me")
        assert datetime.now(timezone.utc) - when < timedelta(minutes=1)
        assert store.purge() == []
        with pytest.raises(RunNotFound):
            store.restore(["a1", "b2"])
        store.restore(["a1"])
        assert store.discarded() == []
        assert store.summary("a1") is None
        assert {run.run_id: run.note for run in store.summaries()} == {"a1": "keep me", "b2": ""}

    def test_what_was_discarded_long_ago_goes_for_good(self, store: Store) -> None:
        for run_id in ("a1", "b2"):
            store.add(example_record(run_id))
        store.discard(["a1"])
        assert store.purge(timedelta(0)) == ["a1"]
        with pytest.raises(RunNotFound):
            store.restore(["a1"])
        store.discard(["b2"])
        assert store.add(example_record("b2", name="again"))  # brought in anew: from a file, say
        assert [run.name for run in store.summaries()] == ["again"]
        assert store.discarded() == []

    def test_a_line_of_a_list_tells_measured_from_modelled(self, store: Store) -> None:
        def channel(method: str, value: float, counted: bool = True) -> dict[str, Any]:
            ends = {"energy_j": value, "low": value - 1, "high": value + 1}
            return {"method": method, "counted_in_total": counted, **ends}

        channels = [
            channel("counter", 10.0),
            channel("counter", 5.0),
            channel("counter", 99.0, counted=False),
        ]
        unknown = {
            "method": "integrated",
            "counted_in_total": True,
            "energy_j": None,
            "low": None,
            "high": None,
        }
        summary = {**example_summary(), "channels": [*channels, channel("modelled", 3.0), unknown]}
        store.add(example_record(extra={"settings": {"zone": "FR", "sources": ["rapl"]}}), summary)
        (run,) = store.summaries()
        assert {name: (q.value, q.low, q.high) for name, q in run.energy_by_method.items()} == {
            "counter": (15.0, 13.0, 17.0),
            "modelled": (3.0, 2.0, 4.0),
        }
        assert run.settings == {"zone": "FR"}

    def test_tags_are_set_and_removed(self, store: Store) -> None:
        store.add(example_record())
        assert store.tag("last", {"model": "big", "new": "1"}, ["baseline", "unknown"]) == {
            "model": "big",
            "new": "1",
        }
        assert store.get("last").tags == {"model": "big", "new": "1"}

    def test_pruning_takes_the_old_and_spares_the_newest(self, store: Store) -> None:
        now = datetime.now(timezone.utc)
        for days in range(6):
            started = int((now - timedelta(days=days, hours=1)).timestamp() * S)
            status = "running" if days == 5 else "failed" if days == 4 else "completed"
            store.add(example_record(f"d{days}", started_wall_ns=started, status=status))

        def pruned(**rules: Any) -> list[str]:
            return [run.run_id for run in store.prune(dry_run=True, **rules)]

        size = store.summaries()[0].stored_bytes
        assert pruned(older_than=timedelta(days=3)) == ["d4", "d3"]
        assert pruned(older_than=now - timedelta(days=3)) == ["d4", "d3"]
        assert pruned(older_than=timedelta(days=1), keep=3) == ["d4", "d3"]
        assert pruned(older_than=timedelta(0), status="failed") == ["d4"]
        assert pruned(keep=3) == ["d4", "d3"]
        assert pruned(max_bytes=4 * size + 100) == ["d4", "d3"]
        assert pruned(max_bytes=0, keep=4) == ["d4"]
        assert len(store.summaries()) == 6
        with pytest.raises(ValueError, match="prune needs"):
            store.prune()
        assert [run.run_id for run in store.prune(keep=0)] == ["d4", "d3", "d2", "d1", "d0"]
        assert [run.run_id for run in store.summaries()] == ["d5"]

    def test_a_prediction_is_kept_and_settled_by_the_run_that_is_tagged_so(self, store: Store) -> None:
        made = StoredPrediction(
            "p1", _MONDAY_NS, "llm", "node7", "a server \u2713", 100.0, 80.0, 130.0, details={"basis": "x"}
        )
        store.add_prediction(made)
        assert store.predictions() == [made]
        summary = {"energy_j": {"total": {"value": 120.0, "low": 110.0, "high": 130.0}}}
        store.add(example_record(tags={"prediction": "p1"}), summary)
        (found,) = store.predictions(predictor="llm", host="node7", run_id="a1b2c3d4e5f6")
        assert (found.actual_status, found.actual_energy_j) == ("completed", 120.0)
        store.remove(["a1b2c3d4e5f6"])
        assert store.predictions() == []

    def test_what_was_predicted_of_a_run_while_it_went_on_comes_with_it(self, store: Store) -> None:
        ends = {"value": 100.0, "low": 80.0, "high": 130.0}
        said = [
            {"t_ns": 6 * S, "predictor": "early", "share": share, "energy_j": ends, "time_s": ends}
            for share in (0.02, 0.03, 0.3)
        ]
        store.add(example_record(extra={"predictions": said}), None)
        store.replace(example_record(extra={"predictions": said}), None)
        assert sorted(one.share or 0.0 for one in store.predictions()) == [0.02, 0.3]

    def test_two_stores_see_each_other(self, url: str, store: Store) -> None:
        with open_store(url) as other:
            other.add(example_record())
            assert store.get("last").run_id == "a1b2c3d4e5f6"
            store.remove(["last"])
            assert other.summaries() == []
