"""Naming a model as package.module:factory."""

from __future__ import annotations

import sys

import pytest

from wattmark.anatomy import describe, load_factory
from wattmark.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "wm_models.py").write_text(
        "size = 3\nclass Net:\n    @staticmethod\n    def small(): return 'net'\n"
    )
    (tmp_path / "wm_needy.py").write_text("import wm_not_there\n")
    (tmp_path / "wm_broken.py").write_text("def (:\n")
    (tmp_path / "wm_late.py").write_text("def build():\n    import wm_not_there.models\n")
    (tmp_path / "wm_parts").mkdir()
    (tmp_path / "wm_parts" / "__init__.py").write_text("")
    (tmp_path / "wm_parts" / "net.py").write_text("import wm_parts.blocks\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield tmp_path
    sys.modules.pop("wm_models", None)


def test_a_factory_in_the_current_folder_is_found_and_the_path_is_as_before(folder):
    before = list(sys.path)
    assert load_factory("wm_models:Net.small")() == "net"
    assert sys.path == before


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("wm_models", "does not name a factory", "package.module:factory"),
        ("wm_models:", "does not name a factory", "package.module:factory"),
        ("a b:c", "does not name a factory", "package.module:factory"),
        ("wm_absent.sub:f", "no module named 'wm_absent'", "spelling"),
        ("wm_needy:f", "'wm_not_there', which wm_needy imports", "install wm_not_there"),
        ("wm_parts.net:f", "'wm_parts.blocks', which wm_parts.net imports", "no such part of its own"),
        ("wm_broken:f", "cannot be imported", None),
        ("wm_models:Nett", "has no 'Nett'", "Net"),
        ("wm_models:size", "is a int, not a function", None),
    ],
)
def test_each_mistake_has_its_own_message(folder, spec, message, hint):
    with pytest.raises(ConfigError, match=message) as caught:
        load_factory(spec)
    if hint:
        assert hint in (caught.value.hint or "")


def test_a_dependency_that_is_missing_only_when_the_model_is_built_is_named(folder):
    with pytest.raises(ConfigError, match="'wm_not_there', which wm_late imports") as caught:
        describe("wm_late:build")
    assert caught.value.hint == "install wm_not_there"
