"""Which provider is asked, and how long its answers are kept."""

from __future__ import annotations

import pytest

from wattmark.errors import ConfigError
from wattmark.workspace.impact import cache_of, configured_provider


@pytest.fixture(autouse=True)
def _data(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_nobody_is_asked_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured_provider(None) is None
    monkeypatch.setenv("WATTMARK_PROVIDER", "uk")
    named = configured_provider(None)
    assert named is not None
    assert named.name == "uk"


def test_options_say_where_and_how_long(tmp_path) -> None:
    (tmp_path / "config.toml").write_text(
        'provider = "proxy"\n[options.proxy]\nurl = "https://carbon.example.org"\nkeep_days = 30\n'
    )
    named = configured_provider(None)
    assert named is not None
    assert named.place == "https://carbon.example.org"
    assert cache_of(named).keep_days == 30
    (tmp_path / "config.toml").write_text('[options.uk]\nkeep_days = "long"\n')
    named = configured_provider("uk")
    assert named is not None
    with pytest.raises(ConfigError, match="keep_days"):
        cache_of(named)
