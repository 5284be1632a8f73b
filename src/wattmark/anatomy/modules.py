"""Anatomy of a ``torch.nn.Module``: a forward pass under FlopCounterMode, read at module boundaries."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from wattmark.anatomy.formulas import missing_formulas
from wattmark.anatomy.products import UncountedProducts, tensors_in
from wattmark.anatomy.records import Layer, ModelAnatomy
from wattmark.errors import ConfigError


def describe_module(
    model: nn.Module, input_shape: Any, *, dtype: str | torch.dtype | None = None
) -> ModelAnatomy:
    """Count ``model`` over one input (see ``wattmark.anatomy.describe`` for its forms).

    The pass runs in evaluation mode, without gradients, on the model's own device and in its own types;
    inputs made from shapes are a batch of one, filled with ones (integers with zeros), and example tensors
    are copied. Mode, gradients, buffers and the random state of the CPU and of the model's CUDA device are as
    before afterwards. Where the work depends on the values of the input (early exits, experts), so do the
    counts.

    Raises ConfigError if parameters are not initialised yet (lazy modules) or the model rejects the input.
    """
    model = _unwrapped(model)
    if isinstance(model, torch.jit.ScriptModule):
        raise ConfigError(
            "a scripted module cannot be watched layer by layer", hint="give the module before torch.jit"
        )
    if any(nn.parameter.is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        raise ConfigError(
            f"{type(model).__name__} has lazy parameters whose sizes are not known yet",
            hint="run one batch through it first",
        )
    args, kwargs = _inputs(model, input_shape, dtype)
    unknown = UncountedProducts(model)
    with _left_as_it_was(model), unknown, _counting(model) as tally:
        try:
            model(*args, **kwargs)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            shapes = ", ".join(str(tuple(t.shape)) for t in (*args, *kwargs.values()))
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigError(
                f"{type(model).__name__} cannot run an input of shape {shapes}: {reason}",
                hint="a shape is of one sample, without the batch; token ids are int64; tensors do, too",
            ) from error
    layers = _layers(model, tally)
    return ModelAnatomy(
        kind=type(model).__name__,
        parameters=sum(layer.parameters for layer in layers),
        trainable_parameters=sum(layer.trainable_parameters for layer in layers),
        parameter_bytes=sum(t.numel() * t.element_size() for t in model.parameters()),
        buffer_bytes=sum(t.numel() * t.element_size() for t in model.buffers()),
        macs=sum(layer.macs for layer in layers),
        activations=sum(layer.activations for layer in layers if layer.macs),
        layers=layers,
        warnings=unknown.warnings(),
    )


def _unwrapped(model: nn.Module) -> nn.Module:
    """The module inside what torch.compile or data parallelism wrapped around it."""
    while True:
        parallel = isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel)
        inner: Any = getattr(model, "module" if parallel else "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


# --- inputs


def _inputs(
    model: nn.Module, given: Any, dtype: str | torch.dtype | None
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Positional and keyword arguments, from shapes or example tensors."""
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    device = next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    if isinstance(dtype, str):
        named = getattr(torch, dtype, None)
        if not isinstance(named, torch.dtype):
            raise ConfigError(f"torch has no type {dtype!r}", hint="for example float32, bfloat16 or int64")
        dtype = named
    made_type = dtype or (first.dtype if first is not None else torch.float32)

    def tensor(item: Any) -> Tensor:
        if isinstance(item, Tensor):
            return item.detach().clone()
        if not _is_shape(item):
            raise ConfigError(f"{item!r} is neither a shape nor a tensor", hint="for example (3, 32, 32)")
        fill = 1 if made_type.is_floating_point or made_type.is_complex else 0
        return torch.full((1, *item), fill, dtype=made_type, device=device)

    if isinstance(given, Mapping):
        named_items = cast("Mapping[str, Any]", given)
        return [], {name: tensor(item) for name, item in named_items.items()}
    if isinstance(given, Tensor) or _is_shape(given):
        return [tensor(given)], {}
    if isinstance(given, Sequence) and not isinstance(given, str):
        return [tensor(item) for item in cast("Sequence[Any]", given)], {}
    raise ConfigError(f"{given!r} is neither a shape nor a tensor", hint="for example (3, 32, 32)")


def _is_shape(item: Any) -> bool:
    return isinstance(item, tuple | list) and all(
        isinstance(size, int) for size in cast("Iterable[Any]", item)
    )


# --- leaving no trace


@contextmanager
def _left_as_it_was(model: nn.Module) -> Generator[None]:
    """Evaluation mode without gradients inside; modes, buffers and random states are restored on the way out.

    The mode is set on each module directly, because ``train()`` may be overridden; the fused paths of
    transformer layers are off, because they hide their products from the counter.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    fast_path: bool = torch.backends.mha.get_fastpath_enabled()
    cuda = {t.device.index for t in (*model.parameters(), *model.buffers()) if t.device.type == "cuda"}
    forked: AbstractContextManager[None] = cast("Any", torch.random).fork_rng(devices=sorted(cuda))
    with forked, torch.no_grad():
        try:
            torch.backends.mha.set_fastpath_enabled(False)
            for module, _ in modes:
                module.training = False
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            for module, training in modes:
                module.training = training
            for module, name, buffer, before in buffers:
                if getattr(module, name) is not buffer:
                    setattr(module, name, buffer)
                # Writing only what changed keeps the version of the rest, which a pending backward may check.
                if not buffer.is_meta and not torch.equal(buffer, before):
                    buffer.copy_(before)


# --- counting


@dataclass(slots=True)
class _Count:
    """What one module did over all its calls."""

    flops: int = 0
    activations: int = 0
    calls: int = 0
    output_shape: tuple[int, ...] | None = None


@dataclass(slots=True)
class _Open:
    """A module whose forward is running: FLOPs counted when it began, and by modules inside it since."""

    module: nn.Module
    start: int
    inner: int = 0


@dataclass(slots=True)
class _Tally:
    """Counts by module; ``stack`` holds the modules that are running, outermost first."""

    counter: FlopCounterMode
    counts: dict[nn.Module, _Count] = field(default_factory=dict[nn.Module, _Count])
    stack: list[_Open] = field(default_factory=list[_Open])

    def enter(self, module: nn.Module, _args: Any) -> None:
        """Forward pre-hook."""
        self.stack.append(_Open(module, self.counter.get_total_flops()))

    def leave(self, module: nn.Module, _args: Any, output: Any) -> None:
        """Forward hook."""
        while (opened := self.stack.pop()).module is not module:
            # A module inside this one raised and its caller went on; what ran since was not inside it.
            self.stack[-1].inner += opened.inner
        total = self.counter.get_total_flops() - opened.start
        if self.stack:
            self.stack[-1].inner += total
        tensors = list(tensors_in(output))
        count = self.counts.setdefault(module, _Count())
        count.flops += total - opened.inner
        count.activations += sum(t.numel() for t in tensors)
        count.calls += 1
        if tensors and count.output_shape is None:
            count.output_shape = tuple(tensors[0].shape)


@contextmanager
def _counting(model: nn.Module) -> Generator[_Tally]:
    counter = FlopCounterMode(display=False, custom_mapping=missing_formulas())
    tally = _Tally(counter)
    handles: list[RemovableHandle] = []
    try:
        for module in model.modules():
            # First before, last after: what other hooks compute belongs to the module.
            handles.append(module.register_forward_pre_hook(tally.enter, prepend=True))
            handles.append(module.register_forward_hook(tally.leave))
        with counter:
            yield tally
    finally:
        for handle in handles:
            handle.remove()


def _layers(model: nn.Module, tally: _Tally) -> tuple[Layer, ...]:
    """Every module in the order of definition, with its own parameters and its own work."""
    seen: set[int] = set()
    layers: list[Layer] = []
    named = cast("Iterable[tuple[str, nn.Module]]", model.named_modules())
    for path, module in named:
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(map(id, own))
        count = tally.counts.get(module, _Count())
        layers.append(
            Layer(
                path=path,
                kind=type(module).__name__,
                parameters=sum(p.numel() for p in own),
                trainable_parameters=sum(p.numel() for p in own if p.requires_grad),
                macs=count.flops // 2,
                activations=count.activations,
                calls=count.calls,
                output_shape=count.output_shape,
            )
        )
    return tuple(layers)
