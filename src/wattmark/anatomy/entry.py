"""The single entry: find out what kind of model it is and describe it."""

from __future__ import annotations

import sys
from typing import Any

from wattmark.anatomy.estimators import describe_estimator, is_estimator
from wattmark.anatomy.factory import call_factory, load_factory
from wattmark.anatomy.records import EstimatorAnatomy, ModelAnatomy
from wattmark.errors import ConfigError


def describe(
    obj: Any, input_shape: Any = None, *, dtype: str | Any | None = None
) -> ModelAnatomy | EstimatorAnatomy:
    """What ``obj`` is made of.

    ``obj`` is a ``torch.nn.Module``, a fitted scikit-learn estimator, or ``"package.module:factory"``, a
    callable that returns one of them. ``input_shape`` (modules only) is the shape of one sample without the
    batch, as (3, 32, 32); or several shapes for several arguments; or example tensors, batch included; or a
    mapping of argument names to either. ``dtype`` is the type of the inputs that are made from shapes, as
    ``"int64"`` for token ids; by default that of the model's first floating-point parameter.

    Raises ConfigError if ``obj`` is neither, is not fitted, or does not accept such an input.
    """
    if isinstance(obj, str):
        obj = call_factory(obj, load_factory(obj))
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(obj, torch.nn.Module):
        from wattmark.anatomy.modules import describe_module

        if input_shape is None:
            raise ConfigError(
                f"the MACs of {type(obj).__name__} depend on its input, and no input shape was given",
                hint="give the shape of one sample, for example 3,32,32",
            )
        return describe_module(obj, input_shape, dtype=dtype)
    if is_estimator(obj):
        return describe_estimator(obj)
    raise ConfigError(
        f"{type(obj).__name__} is neither a torch.nn.Module nor a scikit-learn estimator",
        hint="give a model, or package.module:factory of a function that returns one",
    )
