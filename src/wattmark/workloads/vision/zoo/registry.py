"""Networks by name: the study's fourteen, two that scale, those of timm and Hugging Face, the user's own."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from wattmark.anatomy import call_factory, load_factory
from wattmark.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from torch import nn

# In the order of the table in the study arXiv 2503.23934.
_STUDY = {
    "LeNet": "lenet:lenet",
    "SimpleDLA": "dla:simpledla",
    "VGG19": "vgg:vgg19",
    "ResNet18": "residual.resnet:resnet18",
    "PreActResNet18": "residual.preact_resnet:preact_resnet18",
    "GoogLeNet": "googlenet:googlenet",
    "DenseNet121": "densenet:densenet121",
    "ResNeXt29_2x64d": "residual.resnext:resnext29_2x64d",
    "MobileNet": "mobile.mobilenet:mobilenet",
    "MobileNetV2": "mobile.mobilenetv2:mobilenetv2",
    "SENet18": "residual.senet:senet18",
    "EfficientNetB0": "mobile.efficientnet:efficientnetb0",
    "RegNetX_200MF": "residual.regnet:regnetx_200mf",
    "DPN26": "dpn:dpn26",
}
_SCALABLE = {"CNN": "plain:cnn", "MLP": "plain:mlp"}
_FOUND = {name.casefold(): home for name, home in (_STUDY | _SCALABLE).items()}


def names() -> tuple[str, ...]:
    """The study's fourteen networks."""
    return tuple(_STUDY)


def scalable_names() -> tuple[str, ...]:
    """Networks that take ``width`` (a factor) and ``depth``: ``build("CNN:width=0.5,depth=2")``."""
    return tuple(_SCALABLE)


def build(spec: str, num_classes: int = 10, in_channels: int = 3, *, input_size: int = 32) -> nn.Module:
    """A new network with random weights from torch's global generator, in training mode.

    ``spec`` is a name of ``names`` or ``scalable_names`` (case does not matter; options follow a colon),
    ``timm:NAME``, ``hf:NAME`` (a configuration on the Hugging Face hub or in a folder; weights are not
    loaded), or ``package.module:factory`` of the user's, which is given those of num_classes, in_channels and
    input_size that it takes.

    Raises ConfigError for an unknown name or option, MissingExtra where a library is not installed.
    """
    if find_spec("torch") is None:
        raise MissingExtra("torch", "study")
    sizes = {"num_classes": num_classes, "in_channels": in_channels, "input_size": input_size}
    head, _, rest = spec.partition(":")
    key = head.strip().casefold()
    if key == "timm":
        return _timm(rest, sizes)
    if key == "hf":
        return _hugging_face(rest, sizes)
    if key in _FOUND:
        module, _, function = _FOUND[key].partition(":")
        factory = getattr(importlib.import_module(f"wattmark.workloads.vision.zoo.{module}"), function)
        return _call(spec, factory, sizes, _options(spec, rest))
    if "." in head or rest:
        return _call(spec, load_factory(spec), sizes, {})
    model_names = ", ".join((*_STUDY, *_SCALABLE))
    raise ConfigError(
        f"no network named {spec!r}",
        hint=f"one of {model_names}; timm:NAME, hf:NAME or package.module:factory",
    )


def _options(spec: str, text: str) -> dict[str, int | float]:
    """``width=0.5,depth=2`` as numbers."""
    options: dict[str, int | float] = {}
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"\s*([a-z_]+)\s*=\s*([0-9.]+)\s*", part)
        if match is None:
            raise ConfigError(
                f"{part!r} in {spec!r} is not an option", hint="write name=number, as width=0.5"
            )
        options[match[1]] = int(match[2]) if match[2].isdigit() else float(match[2])
    return options


def _call(
    spec: str, factory: Callable[..., Any], sizes: dict[str, int], options: dict[str, int | float]
) -> nn.Module:
    from torch import nn

    parameters = inspect.signature(factory).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    unknown = [name for name in options if name not in parameters]
    if unknown:
        takes = [name for name in parameters if name not in sizes]
        raise ConfigError(
            f"{spec.partition(':')[0]} has no option {unknown[0]!r}",
            hint=f"it takes {', '.join(takes)}" if takes else "it takes no options",
        )
    wanted = {name: size for name, size in sizes.items() if takes_any or name in parameters}
    model = call_factory(spec, factory, **(wanted | options))
    if not isinstance(model, nn.Module):
        raise ConfigError(f"{spec} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _optional(package: str) -> Any:
    """An optional library; what it lacks itself (timm needs torchvision) is named in the error."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or package, "vision") from error


def _timm(name: str, sizes: dict[str, int]) -> nn.Module:
    timm = _optional("timm")
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name}*")[:8])
        raise ConfigError(f"timm has no model {name!r}", hint=f"it has {close}" if close else None)
    return timm.create_model(
        name, pretrained=False, num_classes=sizes["num_classes"], in_chans=sizes["in_channels"]
    )


def _hugging_face(name: str, sizes: dict[str, int]) -> nn.Module:
    transformers = _optional("transformers")
    try:
        config = transformers.AutoConfig.from_pretrained(
            name,
            num_labels=sizes["num_classes"],
            num_channels=sizes["in_channels"],
            image_size=sizes["input_size"],
        )
        return transformers.AutoModelForImageClassification.from_config(config)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{name} is not an image classifier that Hugging Face gives: {str(error).splitlines()[0]}",
            hint="a name on the hub, or a folder with a config.json",
        ) from error
