"""What the shell is told on <TAB>."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.records import rapl_record
from wattmark.store import open_store
from wattmark.workspace.runs import keep


@pytest.fixture
def completed(here, cli, monkeypatch):
    """Words for a line, its last word unfinished, as bash gets them."""
    base = rapl_record(3)
    with open_store(str(cli.data / "store.db")) as store:
        for run_id, name, tags in (
            ("20260301T120000-abcd1234", "train", {"model": "resnet18", "project": "vision"}),
            ("20260301T120001-abcd9999", "serve", {}),
        ):
            keep(store, replace(base, run_id=run_id, name=name, tags=tags))

    def complete(line: str) -> set[str]:
        words = line.split(" ")
        for name, value in (
            ("_WATTMARK_COMPLETE", "complete_bash"),
            ("COMP_WORDS", line),
            ("COMP_CWORD", str(len(words) - 1)),
        ):
            monkeypatch.setenv(name, value)
        code, out, err = here()
        assert code == 0, err
        return set(out.split())

    return complete


def test_runs_by_their_short_ids_and_names(completed) -> None:
    assert completed("wattmark show ") == {"last", "abcd1", "abcd9", "train", "serve"}
    assert completed("wattmark show tr") == {"train"}


def test_options_of_run_and_their_values(completed) -> None:
    assert {"--zone", "--tag", "--project", "--predict"} <= completed("wattmark run --")
    assert completed("wattmark run --zone NZ") == {"NZ"} | {
        zone for zone in completed("wattmark run --zone NZ") if zone.startswith("NZ-")
    }
    assert completed("wattmark ls --tag m") == {"model", "model=resnet18"}
    assert completed("wattmark ls --project ") == {"vision"}


def test_studies_and_commands(completed) -> None:
    assert "vision-quick" in completed("wattmark study show v")
    assert completed("wattmark comp") == {"compare"}


def test_a_store_that_cannot_be_opened_completes_to_nothing(completed, monkeypatch) -> None:
    monkeypatch.setenv("WATTMARK_STORE", "mysql://nowhere")
    assert completed("wattmark show ") == set()
