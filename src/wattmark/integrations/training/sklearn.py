"""scikit-learn: ``run = measure_fit(model, X, y)`` fits a model and gives the run of it.

Each step of a pipeline is a span; workers of joblib belong to the run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from wattmark.tracker.measure import measure

if TYPE_CHECKING:
    from wattmark.tracker.run import Run

_OF_A_STEP = ("fit_transform", "fit", "transform")


def measure_fit(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    name: str | None = None,
    tags: Mapping[str, object] | None = None,
    **fit_params: Any,
) -> Run:
    """Fit ``estimator`` (anything with ``fit``) and measure it; the run, whose span ``fit`` counts the samples of X.

    What ``fit`` raises is raised, and the run is kept as failed.
    """
    kind = type(estimator).__name__
    run: Run = measure(name or kind, tags={"stage": "training", "model": kind, **(tags or {})})
    samples = _samples_in(X)
    with run, run.span("fit", counts=None if samples is None else {"samples": samples}), ExitStack() as stack:
        for step_name, step in _steps_of(estimator):
            stack.enter_context(_as_spans(run, str(step_name), step))
        estimator.fit(X, **fit_params) if y is None else estimator.fit(X, y, **fit_params)
    return run


def _samples_in(X: Any) -> int | None:
    shape = getattr(X, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else None
    return len(X) if hasattr(X, "__len__") else None


def _steps_of(estimator: Any) -> list[tuple[str, Any]]:
    """The steps of a pipeline that keeps its own; one with a cache fits copies of them."""
    if getattr(estimator, "memory", None) is not None:
        return []
    pairs: list[tuple[str, Any]] = list(getattr(estimator, "steps", ()))
    return [(name, step) for name, step in pairs if hasattr(step, "fit")]


@contextmanager
def _as_spans(run: Run, name: str, step: Any) -> Generator[None]:
    """Meanwhile the outermost call of a step's methods is a span of the step's name."""
    inside = False

    def spanned(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            if inside:
                return method(*args, **kwargs)
            inside = True
            try:
                with run.span(name, step=type(step).__name__):
                    return method(*args, **kwargs)
            finally:
                inside = False

        return call

    names = [method for method in _OF_A_STEP if hasattr(step, method) and method not in vars(step)]
    for method in names:
        object.__setattr__(step, method, spanned(getattr(step, method)))
    try:
        yield
    finally:
        for method in names:
            object.__delattr__(step, method)
