from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("torch", reason="the anatomy of networks needs torch")

MODELS = """
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 6 * 6, 5))

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(2, 3)
    def forward(self, a, b):
        return self.left(a) + self.right(b)

def tree():
    from sklearn.tree import DecisionTreeClassifier
    return DecisionTreeClassifier().fit([[0], [1]], [0, 1])

def sized(width):
    return nn.Linear(width, 1)
"""


@pytest.fixture
def models(cli, monkeypatch):
    """A module of the user's in the current folder."""
    (cli.folder / "my_models.py").write_text(MODELS)
    yield
    sys.modules.pop("my_models", None)


def test_a_factory_of_the_users_is_counted_for_an_input(read, models) -> None:
    found = read("anatomy", "my_models:small", "--input", "3,8,8")
    assert found["parameters"] == (3 * 9 + 1) * 2 + (2 * 36 + 1) * 5
    assert found["macs"] == 36 * 2 * 27 + 72 * 5
    assert [layer["kind"] for layer in found["layers"]] == ["Sequential", "Conv2d", "Flatten", "Linear"]
    assert found["macs_per_parameter"] == found["macs"] / found["parameters"]


@pytest.mark.parametrize("shapes", [("4", "2"), ("a=4", "b=2"), ("b=2", "a=4")])
def test_several_inputs_in_order_or_by_name(read, models, shapes) -> None:
    found = read("anatomy", "my_models:Two", "--input", shapes[0], "--input", shapes[1])
    assert found["macs"] == 12 + 6


def test_an_estimator_needs_no_input(read, models) -> None:
    assert read("anatomy", "my_models:tree")["nodes"] == 3


def test_layers_are_shown_for_people(here, models) -> None:
    code, out, _ = here("anatomy", "my_models:small", "--input", "3x8x8", "--layers")
    assert code == 0
    assert "Conv2d" in out
    assert "1x2x6x6" in out
    assert "Conv2d" not in here("anatomy", "my_models:small", "--input", "3,8,8")[1]


def test_a_network_of_ours_takes_the_studys_images_unless_told(read) -> None:
    assert read("anatomy", "lenet")["macs"] == 651_720
    assert read("anatomy", "MLP", "--input", "1,8,8")["macs"] != read("anatomy", "MLP")["macs"]


def test_the_zoo_stands_beside_the_published_counts(here, monkeypatch) -> None:
    from wattmark.workloads.vision.zoo import published

    monkeypatch.setattr(
        published, "PUBLISHED", {"LeNet": (62_006, 651_720), "MobileNetV2": (1_000_000, 91_154_944)}
    )
    code, out, _ = here("anatomy", "--zoo")
    assert code == 0
    assert out.count("62,006") == 2
    assert "MobileNetV2: parameters +129.692 %" in out
    (first, _) = json.loads(here("anatomy", "--zoo", "--json", "-")[1])["networks"]
    assert (first["network"], first["macs"], first["published_macs"]) == ("LeNet", 651_720, 651_720)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "MODEL and --zoo"),
        (("LeNet", "--zoo"), "MODEL and --zoo"),
        (("LeNett",), "no network named 'LeNett'"),
        (("LeNet", "--input", "10"), "takes images"),
        (("my_models:small",), "no input shape"),
        (("my_models:small", "--input", "3,eight"), "not a shape"),
        (("my_models:small", "--input", "3,4,4"), "cannot run an input of shape"),
        (("my_models:Two", "--input", "a=4", "--input", "2"), "name all of the inputs"),
        (("my_models:sized", "--input", "4"), "without width"),
        (("my_models:smal", "--input", "4"), "has no 'smal'"),
        (("not_there:model", "--input", "4"), "no module named 'not_there'"),
    ],
)
def test_what_cannot_be_counted_is_a_line_and_a_hint(here, models, words, why) -> None:
    code, _, err = here("anatomy", *words)
    assert code == 2
    assert why in err
    assert "hint:" in err
    assert "Traceback" not in err
