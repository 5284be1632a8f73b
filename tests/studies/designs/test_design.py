from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.studies.designs.builtin import builtin_names, builtin_text, find_design
from wattmark.studies.designs.design import Design, changed, json_schema, parse_design, to_toml, tomllib

ROOT = Path(__file__).parents[3]

MINIMAL = """
name = "small"
repeats = 2

[factors]
size = [1, 2]

[command]
argv = ["echo", "{size}"]
"""


def problem(text: str, *changes: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_design(text, "s.toml", changes)
    return caught.value


def test_a_small_file_is_enough() -> None:
    design = parse_design(MINIMAL)
    assert design.factors == {"size": [1, 2]}
    assert design.workload == "command"
    assert not design.warm_up


@pytest.mark.parametrize(
    ("old", "new", "line", "words", "hint"),
    [
        ("repeats = 2", "repeets = 2", 3, "repeets", "'repeats'"),
        ("repeats = 2", 'repeats = "2x"', 3, "repeats", None),
        ("repeats = 2", "repeats = 0", 3, "greater than or equal to 1", None),
        ("size = [1, 2]", "size = []", 6, "factors.size", None),
        ("size = [1, 2]", "sise = [1, 2]", 6, "does not use the factor 'sise'", "'size'"),
        ('argv = ["echo", "{size}"]', 'argw = ["echo"]', 9, "command.argw", "'argv'"),
    ],
)
def test_errors_point_at_the_line_and_name_what_is_near(
    old: str, new: str, line: int, words: str, hint: str | None
) -> None:
    error = problem(MINIMAL.replace(old, new))
    assert f"s.toml, line {line}: " in str(error)
    assert words in str(error)
    if hint:
        assert hint in (error.hint or "")


def test_a_broken_file_names_the_line_of_the_syntax_error() -> None:
    assert "line 3" in str(problem(MINIMAL.replace("repeats = 2", "repeats = = 2")))


def test_factors_of_a_workload_are_checked_without_running_it() -> None:
    text = 'name = "x"\nworkload = "vision"\n[factors]\nbatchsize = [4]\n'
    error = problem(text)
    assert "line 4" in str(error)
    assert "'batch_size'" in (error.hint or "")
    error = problem(text.replace("batchsize = [4]", "batch_size = [4, '8']"))
    assert "must be a whole number" in str(error)
    error = problem(text.replace("batchsize = [4]", "precision = ['fp23']"))
    assert "'fp32'" in (error.hint or "")


def test_an_unknown_workload_suggests_a_near_one() -> None:
    assert "'vision'" in (problem('name = "x"\nworkload = "visoin"\n').hint or "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "x"\nworkload = "vision"\n[command]\nargv = ["a"]\n', "belong together"),
        ('name = "x"\ncombinations = "listed"\n[command]\nargv = ["a"]\n', "needs [[trial]]"),
        ('name = "x"\n[[trial]]\na = 1\n[command]\nargv = ["{a}"]\n', 'combinations = "listed"'),
        ('name = "x"\n[factors]\na = [1, 1]\n[command]\nargv = ["{a}"]\n', "a level twice"),
        (
            'name = "x"\n[factors]\na = [1]\n[fixed]\na = 2\n[command]\nargv = ["{a}"]\n',
            "both varied and fixed",
        ),
        ('name = "../x"\n[command]\nargv = ["a"]\n', "name"),
        ('name = "x"\n[factors]\nrepeat = [1]\n[command]\nargv = ["{repeat}"]\n', "meaning of its own"),
    ],
)
def test_contradictions_are_refused(text: str, words: str) -> None:
    assert words in str(problem(text))


def test_levels_of_other_types_are_other_levels() -> None:
    design = parse_design(MINIMAL.replace("[1, 2]", "[1, 1.0, true, 'a']"))
    assert [type(level) for level in design.factors["size"]] == [int, float, bool, str]


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ("repeats=5", ("repeats",), 5),
        ("size=7", ("factors", "size"), [7]),
        ("size=7,8", ("factors", "size"), [7, 8]),
        ("size=[7,8]", ("factors", "size"), [7, 8]),
        ("model=LeNet,MLP", ("factors", "model"), ["LeNet", "MLP"]),
        ("epochs=1", ("fixed", "epochs"), 1),
        ("device=cuda", ("fixed", "device"), "cuda"),
        ("quiet.baseline_s=0", ("quiet", "baseline_s"), 0),
        ("name=5", ("name",), "5"),
    ],
)
def test_settings_are_changed_from_the_command_line(change: str, place: tuple[str, ...], value: Any) -> None:
    data: Any = changed(tomllib.loads(MINIMAL), [change])
    for key in place:
        data = data[key]
    assert data == value


def test_a_change_without_a_value_is_refused() -> None:
    assert "write name=value" in str(problem(MINIMAL, "repeats"))


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.one_of(
            st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False), st.text(max_size=12)
        ),
        max_size=4,
    )
)
def test_any_levels_survive_the_way_through_toml(levels: dict[str, Any]) -> None:
    data = {"fixed": levels, "trial": [levels] if levels else [{"a": 1}]}
    assert tomllib.loads(to_toml(data)) == data


def test_a_design_survives_its_own_file() -> None:
    design = parse_design(MINIMAL, changes=['title=a \\ " title', "timeout_s=3"])
    assert parse_design(design.as_toml()) == design


def test_the_published_schema_is_that_of_the_code() -> None:
    published = json.loads((ROOT / "docs" / "reference" / "study.schema.json").read_text(encoding="utf-8"))
    assert published == json.loads(json.dumps(json_schema()))
    jsonschema.Draft202012Validator.check_schema(published)


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_studies_are_valid_and_fit_the_schema(name: str) -> None:
    design = find_design(name)
    assert design.name == name
    jsonschema.validate(tomllib.loads(builtin_text(name)), json_schema())


def test_the_fourteen_networks_are_those_of_the_zoo() -> None:
    pytest.importorskip("torch")
    from wattmark.workloads.vision.zoo import names

    assert find_design("vision").factors["model"] == list(names())


def test_a_study_can_be_made_in_python() -> None:
    design = Design.model_validate({"name": "py", "command": {"argv": ["true"]}})
    assert design.repeats == 3
