"""The networks against the published counts, and how they are named."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch")

from torch import nn  # noqa: E402

from wattmark.anatomy import describe  # noqa: E402
from wattmark.errors import ConfigError, MissingExtra  # noqa: E402
from wattmark.workloads.vision import zoo  # noqa: E402

# Parameters, and MACs for one 3x32x32 image, of the networks in arXiv 2503.23934.
PUBLISHED = {
    "LeNet": (62006, 651720),
    "SimpleDLA": (15142970, 913495040),
    "VGG19": (20040522, 398136320),
    "ResNet18": (11173962, 555422720),
    "PreActResNet18": (11171146, 555422720),
    "GoogLeNet": (6166250, 1521756160),
    "DenseNet121": (6956298, 888350720),
    "ResNeXt29_2x64d": (9128778, 1409492992),
    "MobileNet": (3217226, 46354432),
    "MobileNetV2": (2296922, 91154944),
    "SENet18": (11260354, 555509760),
    "EfficientNetB0": (3599686, 30331392),
    "RegNetX_200MF": (2321946, 223317600),
    "DPN26": (11574842, 665050880),
}


def test_the_fourteen_are_those_of_the_study():
    assert zoo.names() == tuple(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_macs_are_the_published_ones(name):
    parameters, macs = PUBLISHED[name]
    found = describe(zoo.build(name), (3, 32, 32))
    assert found.parameters == found.trainable_parameters == parameters
    assert found.macs == macs
    assert found.layers[0].output_shape == (1, 10)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_network_takes_other_sizes_channels_and_classes(name):
    model = zoo.build(name.upper(), num_classes=7, in_channels=1).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 1, 40, 40)).shape == (1, 7)


def test_stochastic_depth_drops_blocks_in_training_only():
    model = zoo.build("EfficientNetB0").eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(model(x), model(x))
    block = next(m for m in model.modules() if getattr(m, "drop", 0) and m.skips).train()
    block.drop, block.body = 0.5, nn.Identity()
    block.expands = False
    scale = block(torch.ones(64, 1, 2, 2)).unique()
    assert scale.tolist() == [1, 3]  # dropped: the shortcut alone; kept: the branch, doubled to keep its mean


def test_a_plain_network_scales_in_width_and_depth():
    small, wide = zoo.build("cnn:width=0.5,depth=1"), zoo.build("CNN:width=1,depth=1")
    deep = zoo.build("CNN:depth=3")
    macs = [describe(m, (3, 32, 32)).macs for m in (small, wide, deep)]
    assert macs == sorted(macs)
    assert macs[1] == 1024 * 3 * 16 * 9 + 256 * 16 * 32 * 9 + 64 * 32 * 64 * 9 + 640
    assert describe(zoo.build("MLP:width=2,depth=3"), (3, 32, 32)).macs == 3072 * 256 + 2 * 256**2 + 2560


def test_an_mlp_is_built_for_the_size_of_its_input():
    assert zoo.build("mlp", input_size=8)(torch.ones(2, 3, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ResNet19", "no network named"),
        ("CNN:width", "is not an option"),
        ("CNN:breadth=2", "no option 'breadth'"),
        ("LeNet:width=2", "no option 'width'"),
        ("fractions:Fraction", "returned a Fraction"),
        ("no_such_package.models:f", "no module named"),
    ],
)
def test_a_name_that_cannot_be_built_is_refused_with_the_reason(spec, message):
    with pytest.raises(ConfigError, match=message):
        zoo.build(spec)


def test_a_factory_of_the_users_own_gets_the_arguments_that_it_takes(monkeypatch):
    seen = {}

    def own(num_classes):
        seen["own"] = num_classes
        return nn.Identity()

    def any_of_them(**sizes):
        seen["any"] = sizes
        return nn.Identity()

    monkeypatch.setitem(
        sys.modules, "wm_zoo", SimpleNamespace(own=own, any_of_them=any_of_them, nothing=nn.Identity)
    )
    zoo.build("wm_zoo:own", 5)
    zoo.build("wm_zoo:any_of_them", 5, 1)
    assert isinstance(zoo.build("wm_zoo:nothing"), nn.Identity)
    assert seen == {"own": 5, "any": {"num_classes": 5, "in_channels": 1, "input_size": 32}}


@pytest.mark.parametrize(("spec", "package"), [("timm:resnet18", "timm"), ("hf:x/y", "transformers")])
def test_a_library_that_is_not_installed_is_named(spec, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=package):
        zoo.build(spec)


def test_timm_models_are_built_without_pretrained_weights(monkeypatch):
    made = {}

    def create_model(name, **options):
        made[name] = options
        return nn.Identity()

    fake = SimpleNamespace(
        is_model=lambda name: name == "resnet18",
        list_models=lambda _: ["resnet18"],
        create_model=create_model,
    )
    monkeypatch.setitem(sys.modules, "timm", fake)
    zoo.build("timm:resnet18", 5, 1)
    assert made == {"resnet18": {"pretrained": False, "num_classes": 5, "in_chans": 1}}
    with pytest.raises(ConfigError, match="no model 'resnet'") as caught:
        zoo.build("timm:resnet")
    assert "resnet18" in (caught.value.hint or "")


def test_hugging_face_models_are_built_from_their_configuration_alone(monkeypatch):
    def from_pretrained(name, **options):
        if name != "there":
            raise OSError("not a folder and not a name on the hub\nmore")
        return options

    fake = SimpleNamespace(
        AutoConfig=SimpleNamespace(from_pretrained=from_pretrained),
        AutoModelForImageClassification=SimpleNamespace(from_config=lambda o: nn.Linear(1, o["num_labels"])),
    )
    monkeypatch.setitem(sys.modules, "transformers", fake)
    assert zoo.build("hf:there", 7).out_features == 7
    with pytest.raises(ConfigError, match=r"not a folder and not a name on the hub$"):
        zoo.build("hf:absent")
