from __future__ import annotations

import sys

import pytest

from wattmark.errors import ConfigError
from wattmark.workloads import registry
from wattmark.workloads.command import CommandFailed, CommandWorkload, fill, json_object
from wattmark.workloads.registry import Factor


class Mine:
    """A user's own workload."""

    factors = {"rate": Factor(0.5), "size": Factor(None, kind=int), "kind": Factor("a", choices=("a", "b"))}  # noqa: RUF012


def test_a_workload_of_the_users_is_found_by_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "my_work", sys.modules[__name__])
    assert type(registry.load("my_work:Mine")).__name__ == "Mine"


def test_defaults_are_filled_in_and_levels_checked() -> None:
    mine = Mine()
    assert registry.complete(mine, {"rate": 1}) == {"rate": 1, "size": None, "kind": "a"}  # type: ignore[arg-type]
    for config, words in (
        ({"rat": 1}, "no factor 'rat'"),
        ({"rate": "fast"}, "must be a number"),
        ({"size": 1.5}, "must be a whole number"),
        ({"size": True}, "must be a whole number"),
        ({"kind": "c"}, "cannot be 'c'"),
    ):
        with pytest.raises(ConfigError, match=words):
            registry.complete(mine, config)  # type: ignore[arg-type]


def test_a_workload_that_cannot_be_imported_says_why() -> None:
    with pytest.raises(ConfigError, match="no_such_module"):
        registry.load("no_such_module:Work")


def test_placeholders_are_filled_and_other_braces_left() -> None:
    assert fill("BEGIN { print {n} }", {"n": 3}) == "BEGIN { print 3 }"
    assert fill("{python}", {}) == sys.executable
    assert fill("{on}", {"on": True}) == "true"


def test_levels_in_a_shell_cannot_break_out() -> None:
    command = CommandWorkload(["echo", "{word}"], shell=True).command_line({"word": "a; touch x"})
    assert command == ["/bin/sh", "-c", "echo 'a; touch x'"]


def test_the_last_json_line_has_the_metrics(capfd: pytest.CaptureFixture[str]) -> None:
    script = 'print(\'{"loss": 1}\'); print("words"); print(\'{"loss": 0.5, "note": "x", "ok": true}\')'
    assert CommandWorkload([sys.executable, "-c", script]).run({}, lambda *_: None) == {
        "loss": 0.5,
        "ok": 1.0,
    }  # type: ignore[arg-type,return-value]
    assert "words" in capfd.readouterr().out
    assert json_object(b"{not json}\n") is None


def test_a_command_that_fails_gives_its_exit_code() -> None:
    with pytest.raises(CommandFailed) as caught:
        CommandWorkload(["/bin/sh", "-c", "exit 7"]).warm_up({})
    assert caught.value.exit_code == 7
