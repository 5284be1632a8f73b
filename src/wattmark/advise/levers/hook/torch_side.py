"""Levers inside PyTorch, and what is seen of a network, without an edit of the script. Needs torch only.

They act where a script calls a network: the outermost ``Module.__call__``. Inside it everything runs as it would; so losses,
optimizers and steps see the same parameters, and outputs come back in float32.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Report(Protocol):
        """What ``sitecustomize`` writes down."""

        applied: list[str]
        refused: dict[str, str]
        torch: dict[str, Any]


_AT_CALL = ("autocast", "compile", "channels_last", "inference_mode", "int8")


def apply(torch: Any, asked: dict[str, Any], report: Report) -> None:
    """Do what is asked for; of what cannot be done the reason is reported."""
    report.torch["version"] = str(torch.__version__)
    report.torch["cuda"] = bool(torch.cuda.is_available())
    for name, level in asked.items():
        act = _AT_ONCE.get(name)
        if act is not None:
            try:
                act(torch, level, report)
            except Exception as error:  # noqa: BLE001 - the work goes on without it
                report.refused[name] = f"{type(error).__name__}: {error}"[:300]
    wanted = {name for name in _AT_CALL if asked.get(name)}
    _Calls(torch, wanted, report).install()
    _see_loaders(torch, report)


# --- once, after import ---


def _flush_denormal(torch: Any, level: Any, report: Report) -> None:
    if torch.set_flush_denormal(bool(level)):
        report.applied.append("flush_denormal")
    else:
        report.refused["flush_denormal"] = "this CPU does not flush denormal numbers"


def _matmul_precision(torch: Any, level: Any, report: Report) -> None:
    torch.set_float32_matmul_precision(str(level))
    report.applied.append("matmul_precision")


def _fused_optimizer(torch: Any, level: Any, report: Report) -> None:
    """``fused=True`` where an optimizer of torch.optim knows it and the script does not say otherwise."""
    for name in ("SGD", "Adam", "AdamW", "Adagrad"):
        kind = getattr(torch.optim, name)
        plain: Callable[..., None] = kind.__init__

        def begin(self: Any, *given: Any, _plain: Callable[..., None] = plain, **more: Any) -> None:
            if more.get("fused") is None and not more.get("foreach") and not more.get("differentiable"):
                try:
                    _plain(self, *given, **{**more, "fused": True})
                except (RuntimeError, TypeError, ValueError) as error:
                    report.refused["fused_optimizer"] = f"{type(error).__name__}: {error}"[:300]
                else:
                    if "fused_optimizer" not in report.applied:
                        report.applied.append("fused_optimizer")
                    return
            _plain(self, *given, **more)

        kind.__init__ = begin


def _workers(torch: Any, level: Any, report: Report) -> None:
    """So many workers for every DataLoader."""
    kind = torch.utils.data.DataLoader
    plain: Callable[..., None] = kind.__init__

    def begin(self: Any, *given: Any, **more: Any) -> None:
        if len(given) < 6:  # dataset, batch_size, shuffle, sampler, batch_sampler, num_workers
            more["num_workers"] = int(level)
            if int(level) == 0:
                for name in ("prefetch_factor", "persistent_workers", "timeout", "multiprocessing_context"):
                    more.pop(name, None)
            elif "persistent_workers" not in more:
                more["persistent_workers"] = True
            if "workers" not in report.applied:
                report.applied.append("workers")
        plain(self, *given, **more)

    kind.__init__ = begin


_AT_ONCE: dict[str, Callable[[Any, Any, Report], None]] = {
    "flush_denormal": _flush_denormal,
    "matmul_precision": _matmul_precision,
    "fused_optimizer": _fused_optimizer,
    "workers": _workers,
}


# --- at every call of a network ---


class _Calls:
    """What happens around the outermost call of a network.

    Seen of it: whether it trains, whether it is asked without gradients, which kinds of layers it has, where it is.
    """

    def __init__(self, torch: Any, wanted: set[str], report: Report) -> None:
        import threading

        self._torch, self._wanted, self._report = torch, wanted, report
        self._inside = threading.local()
        self._seen: dict[int, Any] = {}
        self._quantised: dict[int, tuple[int, Any]] = {}
        self._facts = report.torch
        self._facts.update(
            training_calls=0, inference_calls=0, graph_in_inference=0, layers=[], devices=[], dtypes=[]
        )

    def install(self) -> None:
        """Take the place of ``Module.__call__``."""
        kind = self._torch.nn.Module
        plain: Callable[..., Any] = kind.__call__
        self._plain = plain
        inside = self._inside
        inside.now = False

        def call(module: Any, *given: Any, **more: Any) -> Any:
            if getattr(inside, "now", False):
                return plain(module, *given, **more)
            inside.now = True
            try:
                return self._outermost(plain, module, given, more)
            finally:
                inside.now = False

        kind.__call__ = call

    def _outermost(
        self, plain: Callable[..., Any], module: Any, given: tuple[Any, ...], more: dict[str, Any]
    ) -> Any:
        if id(module) not in self._seen:
            self._look(module)
        facts, training = self._facts, bool(module.training)
        if self._seen[id(module)] is None:  # a loss, an activation: nothing to gain
            return plain(module, *given, **more)
        facts["training_calls" if training else "inference_calls"] += 1
        torch = self._torch
        if not training and torch.is_grad_enabled():
            facts["graph_in_inference"] += 1
        if not self._wanted:
            return plain(module, *given, **more)
        if "channels_last" in self._wanted:
            given, more = self._widths_last(given), {name: self._last(one) for name, one in more.items()}
        network = self._in_int8(module) if "int8" in self._wanted and not training else module
        # layers in 8 bits take float32 only
        work = self._under_autocast if "autocast" in self._wanted and network is module else plain
        if "inference_mode" in self._wanted and not training and torch.is_grad_enabled():
            self._applied("inference_mode")
            with torch.inference_mode():
                return work(network, *given, **more)
        return work(network, *given, **more)

    def _under_autocast(self, module: Any, *given: Any, **more: Any) -> Any:
        device = self._facts["devices"][0] if self._facts["devices"] else "cpu"
        with self._torch.autocast(device, dtype=self._torch.bfloat16):
            result = self._plain(module, *given, **more)
        self._applied("autocast")
        return self._in_float32(result)

    def _look(self, module: Any) -> None:
        """What kind of network it is; changes that are made once are made now."""
        self._seen[id(module)] = None
        parameters = list(module.parameters())
        if not parameters:
            return
        self._seen[id(module)] = module  # kept, so that its id stays its own
        facts = self._facts
        for name in sorted({type(one).__name__ for one in module.modules()}):
            if name not in facts["layers"] and len(facts["layers"]) < 200:
                facts["layers"].append(name)
        for key, found in (
            ("devices", {one.device.type for one in parameters}),
            ("dtypes", {str(one.dtype).removeprefix("torch.") for one in parameters}),
        ):
            facts[key] = sorted({*facts[key], *found})
        for name, act in (("channels_last", self._reorder), ("compile", self._compile)):
            if name in self._wanted:
                try:
                    act(module)
                except Exception as error:  # noqa: BLE001 - the work goes on without it
                    self._report.refused[name] = f"{type(error).__name__}: {error}"[:300]
                    self._wanted.discard(name)

    def _reorder(self, module: Any) -> None:
        if any(one.dim() == 4 for one in module.parameters()):
            module.to(memory_format=self._torch.channels_last)
            self._applied("channels_last")

    def _compile(self, module: Any) -> None:
        dynamo = __import__("torch._dynamo", fromlist=["config"])
        dynamo.config.suppress_errors = True
        module.compile()
        self._applied("compile")

    def _widths_last(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(self._last(one) for one in given)

    def _last(self, one: Any) -> Any:
        if isinstance(one, self._torch.Tensor) and one.dim() == 4:
            return one.contiguous(memory_format=self._torch.channels_last)
        return one

    def _in_int8(self, module: Any) -> Any:
        """The network with its linear layers in 8 bits; made anew when a parameter has changed."""
        version = sum(int(one._version) for one in module.parameters())
        known = self._quantised.get(id(module))
        if known is not None and known[0] == version:
            return known[1]
        import copy

        torch = self._torch
        try:
            kinds = {torch.nn.Linear, torch.nn.LSTM, torch.nn.GRU}
            small = torch.ao.quantization.quantize_dynamic(copy.deepcopy(module), kinds, dtype=torch.qint8)
            self._applied("int8")
        except Exception as error:  # noqa: BLE001 - the work goes on without it
            self._report.refused["int8"] = f"{type(error).__name__}: {error}"[:300]
            small = module
        self._quantised[id(module)] = (version, small)
        return small

    def _in_float32(self, result: Any) -> Any:
        torch, kind = self._torch, type(result).__name__
        if isinstance(result, torch.Tensor):
            return result.float() if result.dtype == torch.bfloat16 else result
        if kind in ("tuple", "list"):
            return type(result)(self._in_float32(one) for one in result)
        if kind == "dict":
            return {key: self._in_float32(one) for key, one in result.items()}
        if hasattr(result, "items") and hasattr(result, "to_tuple"):  # outputs of transformers
            for key, one in list(result.items()):
                if isinstance(one, torch.Tensor):
                    result[key] = self._in_float32(one)
        return result

    def _applied(self, name: str) -> None:
        if name not in self._report.applied:
            self._report.applied.append(name)


def _see_loaders(torch: Any, report: Report) -> None:
    """How many workers the script's DataLoaders have."""
    kind = torch.utils.data.DataLoader
    plain: Callable[..., None] = kind.__init__
    seen: list[int] = []
    report.torch["loader_workers"] = seen

    def begin(self: Any, *given: Any, **more: Any) -> None:
        plain(self, *given, **more)
        if len(seen) < 20:
            seen.append(int(self.num_workers))

    kind.__init__ = begin
