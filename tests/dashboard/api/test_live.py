from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.dashboard import api
from wattmark.dashboard import live_hub
from wattmark.dashboard.live_hub import LiveHub
from wattmark.errors import RunNotFound
from wattmark.paths import journals_dir
from wattmark.runs.reading.session import SessionData, session_folders
from wattmark.store import open_store
from wattmark.store.ingest import ingest_leftovers

JOB = """
import sys, wattmark as wm
with wm.measure("job") as run:
    with run.span("first", samples=3):
        pass
    print(run.id, flush=True)
    sys.stdin.readline()
    with run.span("second", samples=4):
        pass
    print("more", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def store(tmp_path: Path):
    with open_store(str(tmp_path / "store.db")) as store:
        yield store


@pytest.fixture
def job(fake_machine, data_dir: Path):
    """A measured process of its own, waiting inside its run."""
    process = subprocess.Popen(
        [sys.executable, "-c", JOB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.run_id = process.stdout.readline().strip()
    yield process
    process.kill()
    process.communicate()


def say(job, expects: str = "") -> None:
    job.stdin.write("\n")
    job.stdin.flush()
    if expects:
        assert job.stdout.readline().strip() == expects


def events(text: str) -> list[tuple[str, dict]]:
    parts = [part.split("\n") for part in text.split("\n\n") if part.startswith("event:")]
    return [(part[0].removeprefix("event: "), json.loads(part[1].removeprefix("data: "))) for part in parts]


def test_a_run_of_another_process_is_followed_until_it_is_kept(store, job, monkeypatch):
    monkeypatch.setattr(live_hub, "FRESH_S", 0.0)
    hub = LiveHub(store, journals_dir())
    first = hub.find(job.run_id)
    assert first.status == "running"
    assert [first.spans.names[i] for i in first.spans.name_ids] == ["first"]
    say(job, "more")
    second = hub.find(job.run_id)
    assert [second.spans.names[i] for i in second.spans.name_ids] == ["first", "second"]
    assert second.duration_s >= first.duration_s
    assert hub.find("job").run_id == job.run_id
    say(job)
    job.wait(30)
    hub.tend()
    hub.tend()
    assert hub.find(job.run_id) is None
    assert store.get(job.run_id).status in ("completed", "interrupted")


def test_what_is_followed_is_what_is_read_anew(store, job, monkeypatch):
    monkeypatch.setattr(live_hub, "FRESH_S", 0.0)
    hub = LiveHub(store, journals_dir())
    hub.find(job.run_id)
    say(job, "more")  # the job waits inside its run, so nothing is read into the store meanwhile
    followed = hub.find(job.run_id)
    (folder,) = session_folders(journals_dir())
    (anew,) = SessionData(folder).runs()
    assert [anew.spans.names[i] for i in anew.spans.name_ids] == ["first", "second"]
    assert followed.spans.names == anew.spans.names
    assert followed.spans.details == anew.spans.details


def test_the_api_tells_live_runs_and_their_end(store, job):
    client = api(store)
    (live,) = client.get("/api/v1/runs/live").json()
    assert live["run_id"] == job.run_id
    assert live["live"]
    assert client.get(f"/api/v1/runs/{job.run_id}").json()["live"]
    assert client.get(f"/api/v1/runs/{job.run_id}/spans").json()["spans"][0]["name"] == "first"
    say(job, "more")
    say(job)
    job.wait(30)
    ingest_leftovers(store, journals_dir())
    told = events(client.get(f"/api/v1/runs/{job.run_id}/events").text)
    assert told[-1][0] == "ended"
    assert not client.get(f"/api/v1/runs/{job.run_id}").json()["live"]


def test_streams_end_with_the_dashboard(store):
    client = api(store)
    client.app.state.context.ending.set()
    assert client.get("/api/v1/events").text.startswith("retry:")


def test_an_unknown_run_has_no_events(store):
    answer = api(store).get("/api/v1/runs/nothing/events")
    assert answer.status_code == 404
    assert answer.json()["hint"]


def test_a_folder_that_makes_no_sense_is_left_alone(store, data_dir: Path):
    folder = Path(journals_dir()) / "odd"
    folder.mkdir(parents=True)
    (folder / "recorder-000000.wmj").write_bytes(b"nonsense")
    (folder / "events-1-a.wmj").write_bytes(b"")
    assert LiveHub(store, journals_dir()).records() == ()
    with pytest.raises(RunNotFound):
        store.resolve("odd")
