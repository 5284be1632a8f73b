"""A team's PostgreSQL under load: 1,000 simulated agents that push batches of 10 s, and the list of a million runs.

``python benchmarks/team_store.py agents [--agents 1000] [--minutes 10]``: each agent sends a batch every 10 s (their moments
spread evenly), a share of them twice, as after an answer that got lost. Nothing may be missing, nothing twice, sums exact.
``python benchmarks/team_store.py list [--runs 1000000]``: what ``wattmark ls`` asks, with and without filters.

A server of its own is started, with Debian's settings (fsync on for agents).
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import statistics
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from fakes import postgres
from wattmark.store import open_store
from wattmark.store.team.nodes import Batch, add_batches, streams

RESULTS = Path(__file__).parent / "results"
PERIOD_S, SAMPLES, SENDERS, TWICE = 10.0, 10, 16, 50


def batch(agent: int, number: int) -> Batch:
    seconds = np.arange(SAMPLES + 1, dtype=np.int64) + number * SAMPLES
    rng = np.random.default_rng((agent, number))
    steps = 200_000_000 + rng.integers(0, 50_000_000, SAMPLES)
    energy = np.concatenate(([0], np.cumsum(steps))) + number * 2_250_000_000_000
    host = f"node{agent % 990}"  # ten names are there twice
    return Batch(f"machine-{agent}", "boot-1", number, host, seconds * 10**9 + 1_770_000_000 * 10**9, energy)


def agents(url: str, count: int, minutes: float) -> dict[str, object]:
    work: queue.Queue[tuple[float, int, int] | None] = queue.Queue()
    rounds = round(minutes * 60 / PERIOD_S)
    took: list[float] = []
    late: list[float] = []
    sent_uj = [0] * count
    lock = threading.Lock()
    open_store(url).close()

    def send() -> None:
        with open_store(url) as store:
            while (job := work.get()) is not None:
                due, agent, number = job
                one = batch(agent, number)
                began = time.perf_counter()
                add_batches(store, [one])
                ended = time.perf_counter()
                if (agent + number) % TWICE == 0:
                    assert add_batches(store, [one]) == 0
                with lock:
                    took.append(ended - began)
                    late.append(ended - due)
                    sent_uj[agent] += int(one.energy_uj[-1] - one.energy_uj[0])

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    cpu = time.process_time()
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    for number in range(rounds):
        for agent in range(count):
            due = start + number * PERIOD_S + agent * PERIOD_S / count
            pause = due - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            work.put((due, agent, number))
    for _ in threads:
        work.put(None)
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    cpu_s = time.process_time() - cpu
    with open_store(url) as store:
        came = streams(store)
        with store.reading() as connection:
            size = connection.exec_driver_sql("SELECT pg_total_relation_size('node_batches')").scalar_one()
            data = connection.exec_driver_sql("SELECT sum(length(data)) FROM node_batches").scalar_one()
    by_agent = {one.node_id: one for one in came}
    samples = count * rounds * SAMPLES
    return {
        "agents": count,
        "batches": count * rounds,
        "samples": samples,
        "wall_s": round(wall, 1),
        "lost": count * rounds - sum(one.batches for one in came),
        "missing_numbers": sum(one.missing for one in came),
        "sent_twice": sum((a + n) % TWICE == 0 for a in range(count) for n in range(rounds)),
        "sums_exact": all(
            round(by_agent[f"machine-{agent}"].energy_j * 1e6) == sent_uj[agent] for agent in range(count)
        ),
        "ingest_ms": {"p50": _ms(took, 50), "p99": _ms(took, 99), "max": _ms(took, 100)},
        "due_to_kept_ms": {"p50": _ms(late, 50), "p99": _ms(late, 99), "max": _ms(late, 100)},
        "senders_cpu_us_per_sample": round(cpu_s / samples * 1e6, 1),
        "bytes_per_sample": {
            "data": round(float(data) / samples, 1),
            "table_and_indexes": round(size / samples, 1),
        },
    }


def listing(url: str, runs: int) -> dict[str, object]:
    with open_store(url) as store:
        with store.writing() as connection:
            connection.exec_driver_sql(
                "SET LOCAL session_replication_role = replica"
            )  # no foreign keys are looked up
            connection.exec_driver_sql(_RUNS.replace("COUNT", str(runs)).replace("%", "%%"))
            connection.exec_driver_sql(_FACTS)
            connection.exec_driver_sql(_TAGS.replace("%", "%%"))
        with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        since = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=runs - 10_000)
        asked = {
            "newest 50": {},
            "one project": {"tag": "project=p7"},
            "a project and a status": {"tag": ["project=p7", "trial"], "status": "failed"},
            "a name with *": {"name": "train-77*"},
            "a name that no run has": {"name": "nothing*"},
            "of the last hours": {"since": since, "host": "node3"},
            "most energy": {"order": "energy"},
        }
        took = {}
        for words, filters in asked.items():
            times = []
            for _ in range(5):
                began = time.perf_counter()
                found = store.summaries(limit=50, **filters)
                store.short_ids(run.run_id for run in found)
                times.append(time.perf_counter() - began)
            took[words] = {
                "runs": len(found),
                "median_s": round(statistics.median(times), 3),
                "max_s": round(max(times), 3),
            }
        began = time.perf_counter()
        store.stamp()
        stamp_s = round(time.perf_counter() - began, 3)
    return {"runs": runs, "lists": took, "stamp_s": stamp_s}


_RUNS = """INSERT INTO runs SELECT to_char(to_timestamp(1767225600 + n) AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS') || '-' ||
 substr(md5(n::text), 1, 8), 'train-' || n % 1000, CASE n % 20 WHEN 0 THEN 'failed' ELSE 'completed' END, 0,
 'node' || n % 50, NULL, (1767225600 + n) * 1000000000::bigint, 60 + n % 600, n % 9973, n % 9973 * 0.9, n % 9973 * 1.1,
 '{"cpu": {"value": 1.0, "low": 0.9, "high": 1.1}}', 1.0, '', 4000, decode(repeat(md5(n::text), 20), 'hex'),
 NULL FROM generate_series(0, COUNT - 1) n"""
_FACTS = """INSERT INTO run_facts SELECT run_id,
 '{"methods": {"modelled": {"value": 1.0, "low": 0.9, "high": 1.1}}}' FROM runs"""
_TAGS = """INSERT INTO run_tags SELECT run_id, 'project', 'p' || (started_wall_ns / 1000000000) % 40 FROM runs UNION ALL
 SELECT run_id, 'trial', md5(run_id) FROM runs"""


def _ms(seconds: list[float], percentile: float) -> float:
    return round(float(np.percentile(seconds, percentile)) * 1e3, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("agents", "list"))
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=1_000_000)
    asked = parser.parse_args()
    with postgres.server(safe=asked.what == "agents") as address:
        url = address.format(database="postgres")
        result = (
            agents(url, asked.agents, asked.minutes) if asked.what == "agents" else listing(url, asked.runs)
        )
    result |= {"cpus": os.cpu_count(), "load": [round(x, 1) for x in os.getloadavg()]}
    (RESULTS / f"team_store_{asked.what}.json").write_text(
        json.dumps(result, indent=1) + "\n", encoding="utf-8"
    )
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
