"""FLOPs of operators that torch's FlopCounterMode does not know, or gets wrong.

Each function gets the shapes in place of the operator's tensors and returns FLOPs, two to a
multiply-accumulate, as FlopCounterMode's own formulas do. What it lacks in torch 2.13: attention on the CPU
and other fused attention (its own formulas reject grouped heads), fused recurrent layers, matrix-vector
products, ``Bilinear``, fused and quantised linear layers, the experts of a mixture in one operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch

Shape = Sequence[int]
Formula = Callable[..., int]


def attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Q K^T and the product with V, masked or not: 2 b h l_q l_k (e_k + e_v); h counts the query's heads."""
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def fused_layer(input_: Shape, weight_ih: Shape, weight_hh: Shape, *_: Any, **__: Any) -> int:
    """One layer and direction of a recurrent network: both weight matrices once per step and sequence."""
    return 2 * prod(input_[:-1]) * (prod(weight_ih) + prod(weight_hh))


def fused_network(input_: Shape, weights: Sequence[Shape], *_: Any, **__: Any) -> int:
    """A whole recurrent network in one operator: every weight matrix (not the biases) once per step."""
    return 2 * prod(input_[:-1]) * sum(prod(w) for w in weights if len(w) == 2)


def lstm_mps(input_: Shape, _state: Any, weights: Sequence[Shape], *_: Any, **__: Any) -> int:
    """As ``fused_network``, with the state before the weights."""
    return fused_network(input_, weights)


def matrix_vector(matrix: Shape, *_: Any, **__: Any) -> int:
    """A matrix times a vector."""
    return 2 * prod(matrix)


def added_matrix_vector(_bias: Shape, matrix: Shape, *_: Any, **__: Any) -> int:
    """A matrix times a vector, plus a vector."""
    return 2 * prod(matrix)


def added_matrix_product(_bias: Shape, a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """(m, k) times (k, n), plus a bias; with a batch in front where there is one."""
    return 2 * prod(a) * b[-1]


def matrix_product(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """(..., m, k) times (..., k, n)."""
    return 2 * prod(a) * b[-1]


def grouped_matrix_product(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """Experts in one operator: each row of ``a`` meets one of the matrices of ``b``.

    (m, k) times (g, k, n), (g, m, k) times (k, n) and (m, k) times (k, n) share rows, columns or sums out among the
    groups (``offs``), which is 2 m k n however they are shared; (g, m, k) times (g, k, n) is that in each group.
    """
    return 2 * prod(a if len(b) == 3 else a[-2:]) * b[-1]


def packed_matrix_product(a: Shape, b: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """(..., k) times weights that are packed in fewer bits: sizes from input and output."""
    return 2 * prod(a) * out_shape[-1]


def linear(input_: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    """(..., k) times the transpose of (n, k)."""
    return 2 * prod(input_) * weight[0]


def trilinear(
    i1: Shape,
    i2: Shape,
    i3: Shape,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    sumdim: Sequence[int],
    *_: Any,
    **__: Any,
) -> int:
    """``Bilinear``: x1^T A x2, one multiply-accumulate for each element of the common shape."""
    rank = len(i1) + len(expand1)
    shapes = [_expanded(s, e, rank) for s, e in ((i1, expand1), (i2, expand2), (i3, expand3))]
    return 2 * prod(max(sizes) for sizes in zip(*shapes, strict=True))


def _expanded(shape: Shape, at: Sequence[int], rank: int) -> list[int]:
    sizes = iter(shape)
    return [1 if i in at else next(sizes) for i in range(rank)]


def packed_linear(input_: Shape, _packed: Any, *_: Any, out_shape: Shape, **__: Any) -> int:
    """A quantised linear layer, whose weights are an opaque object: sizes from input and output."""
    return 2 * prod(input_) * out_shape[-1]


_ATTENTION = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
    "_scaled_dot_product_attention_math_for_mps",
)

_PACKED = (
    "_weight_int4pack_mm",
    "_weight_int4pack_mm_for_cpu",
    "_weight_int4pack_mm_with_scales_and_zeros",
    "_weight_int8pack_mm",
    "_dyn_quant_matmul_4bit",
)

_ATEN: tuple[tuple[str, Formula], ...] = (
    *((name, attention) for name in _ATTENTION),
    ("mkldnn_rnn_layer", fused_layer),
    ("_cudnn_rnn", fused_network),
    ("miopen_rnn", fused_network),
    ("_lstm_mps", lstm_mps),
    ("mv", matrix_vector),
    ("dot", matrix_vector),
    ("vdot", matrix_vector),
    ("addmv", added_matrix_vector),
    ("addbmm", added_matrix_product),
    ("_addmm_activation", added_matrix_product),
    ("_int_mm", matrix_product),
    ("_scaled_mm_v2", matrix_product),
    ("_grouped_mm", grouped_matrix_product),
    ("_scaled_grouped_mm", grouped_matrix_product),
    ("_scaled_grouped_mm_v2", grouped_matrix_product),
    *((name, packed_matrix_product) for name in _PACKED),
    ("linear", linear),
    ("_trilinear", trilinear),
)


def missing_formulas() -> dict[Any, Formula]:
    """Operator -> formula, for those operators that the installed torch has."""
    formulas: dict[Any, Formula] = {}
    for name, formula in _ATEN:
        if hasattr(torch.ops.aten, name):
            formulas[getattr(torch.ops.aten, name)] = formula
    for name in ("linear_dynamic", "linear", "linear_relu", "linear_relu_dynamic"):
        if hasattr(torch.ops.quantized, name):
            formulas[getattr(torch.ops.quantized, name)] = packed_linear
    return formulas
