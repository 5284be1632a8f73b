"""Anatomies as data, and as rows for a table."""

from __future__ import annotations

from dataclasses import dataclass

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Layer:
    """One module of the model, with what is its own: nothing in it is counted again in the module around it.

    path: dotted, "" for the model itself. parameters: of this module only, a shared one where it comes first.
    macs: multiply-accumulates run by this module and not by a module inside it, over all ``calls``.
    activations: elements of its outputs over all calls. output_shape: of the first tensor of its first call,
    batch included; None if it was not called.
    """

    path: str
    kind: str
    parameters: int
    trainable_parameters: int
    macs: int
    activations: int
    calls: int
    output_shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class ModelAnatomy:
    """What a ``torch.nn.Module`` is made of, for one forward pass over one input.

    macs: multiply-accumulates of convolutions, linear layers and other matrix products (attention and
    recurrent layers among them); additions of biases, norms, activations and pooling are not counted.
    activations: elements in the outputs of the layers that have MACs, as in arXiv 2003.13678, section 3.1
    (there for convolutions). Bytes are bytes in memory, shared tensors once. warnings: work that ran and may be
    missing in ``macs``.
    """

    kind: str
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    buffer_bytes: int
    macs: int
    activations: int
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...] = ()

    @property
    def macs_per_parameter(self) -> float | None:
        """MACs / trainable parameters (the macs_param of arXiv 2503.23934); None if nothing is trainable."""
        return self.macs / self.trainable_parameters if self.trainable_parameters else None


@dataclass(frozen=True, slots=True)
class EstimatorAnatomy:
    """What a fitted scikit-learn estimator is made of; None where a number has no meaning or no rule.

    coefficients: learned numbers that a prediction reads (weights, intercepts, means, stored samples). nodes,
    depth: of trees, summed over an ensemble and its deepest (for a neural network, depth is the number of
    weight layers). multiply_adds, comparisons: per predicted sample, by the rule of the estimator's kind in
    ``wattmark.anatomy.estimators``.
    """

    kind: str
    nodes: int | None = None
    depth: int | None = None
    coefficients: int | None = None
    support_vectors: int | None = None
    multiply_adds: int | None = None
    comparisons: float | None = None


def rows(anatomy: ModelAnatomy | EstimatorAnatomy) -> list[dict[str, Cell]]:
    """Plain rows for a table: a module's layers that hold parameters or run MACs, then its total.

    An estimator is one row.
    """
    if isinstance(anatomy, EstimatorAnatomy):
        return [
            {
                "layer": "total",
                "kind": anatomy.kind,
                "nodes": anatomy.nodes,
                "depth": anatomy.depth,
                "coefficients": anatomy.coefficients,
                "support_vectors": anatomy.support_vectors,
                "multiply_adds": anatomy.multiply_adds,
                "comparisons": anatomy.comparisons,
            }
        ]
    shown: list[dict[str, Cell]] = [
        {
            "layer": layer.path or "(model)",
            "kind": layer.kind,
            "output": "x".join(map(str, layer.output_shape)) if layer.output_shape is not None else None,
            "parameters": layer.parameters,
            "trainable_parameters": layer.trainable_parameters,
            "macs": layer.macs,
            "activations": layer.activations,
        }
        for layer in anatomy.layers
        if layer.parameters or layer.macs
    ]
    total: dict[str, Cell] = {
        "layer": "total",
        "kind": anatomy.kind,
        "output": None,
        "parameters": anatomy.parameters,
        "trainable_parameters": anatomy.trainable_parameters,
        "macs": anatomy.macs,
        "activations": anatomy.activations,
    }
    return [*shown, total]
