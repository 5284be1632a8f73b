"""The networks of discrete energy-based models: the energy, a density that is made bit by bit, and an editor of words.

Words are float tensors (n, bits) of 0 and 1.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear, logsigmoid

WIDTH = 256


class Energy(nn.Module):
    """f of p(x) ~ exp f(x): three hidden layers of 256 with ELU (arXiv 2011.05363, appendix). Gives (n,)."""

    def __init__(self, bits: int, width: int = WIDTH) -> None:
        super().__init__()
        self.bits = bits
        self.layers = dense((bits, width, width, width, 1))

    def forward(self, words: Tensor) -> Tensor:
        """f of words (n, bits): (n,)."""
        return run(self.layers, 2 * words - 1)[:, 0]


class Autoregressive(nn.Module):
    """A density in which each bit depends on those before it, with two masked hidden layers (Germain et al., arXiv
    1502.03509)."""

    def __init__(self, bits: int, width: int = WIDTH) -> None:
        super().__init__()
        self.bits = bits
        widths = tuple(pairwise((bits, width, width, bits)))
        self.first, self.second, self.third = (nn.Linear(before, after) for before, after in widths)
        last_seen = (torch.arange(width) % max(1, bits - 1)).sort().values
        self.seeing = [int(count) for count in torch.searchsorted(last_seen, torch.arange(bits))]
        """For each bit, how many hidden units see none but those before it: they come first."""
        given = torch.arange(bits)
        seen = (given, last_seen, last_seen, given)
        self.masks = [
            (after[:, None] > before[None] if last else after[:, None] >= before[None]).float()
            for last, (before, after) in zip((False, False, True), pairwise(seen), strict=True)
        ]

    def logits(self, words: Tensor) -> Tensor:
        """Of each bit being 1, given those before it: (n, bits)."""
        hidden = 2 * words - 1
        layers = (self.first, self.second, self.third)
        for layer, mask in zip(layers, self.masks, strict=True):
            hidden = linear(
                hidden if layer is self.first else torch.relu(hidden), layer.weight * mask, layer.bias
            )
        return hidden

    def forward(self, words: Tensor) -> Tensor:
        """log q(x), (n,), in nats."""
        return -binary_cross_entropy_with_logits(self.logits(words), words, reduction="none").sum(1)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Words drawn bit by bit: (count, bits). A hidden unit is worked out once, as soon as all bits that it may see are
        there, so that all of it costs about as much as :meth:`logits` once."""
        layers = (self.first, self.second, self.third)
        first, second, third = (layer.weight * mask for layer, mask in zip(layers, self.masks, strict=True))
        words = torch.zeros(count, self.bits)
        chance = torch.rand(count, self.bits, generator=generator)
        hidden, further = torch.zeros(2, count, first.shape[0])
        ready = 0
        for bit, seeing in enumerate(self.seeing):
            if seeing > ready:
                new = slice(ready, seeing)
                hidden[:, new] = torch.relu(linear(2 * words - 1, first[new], self.first.bias[new]))
                reached = linear(hidden[:, :seeing], second[new, :seeing], self.second.bias[new])
                further[:, new] = torch.relu(reached)
                ready = seeing
            logit = further[:, :seeing] @ third[bit, :seeing] + self.third.bias[bit]
            words[:, bit] = (chance[:, bit] < torch.sigmoid(logit)).float()
        return words


class Editor(nn.Module):
    """Whether to stop, and else which bit to flip, as the word now is: two hidden layers of 256 with ELU."""

    def __init__(self, bits: int, width: int = WIDTH) -> None:
        super().__init__()
        self.bits = bits
        self.layers = dense((bits, width, width, bits + 1))

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log chances of stopping (n,), of going on (n,), and, going on, of flipping each bit (n, bits)."""
        out = run(self.layers, 2 * words - 1)
        return logsigmoid(out[:, 0]), logsigmoid(-out[:, 0]), torch.log_softmax(out[:, 1:], 1)


def dense(widths: tuple[int, ...]) -> nn.ModuleList:
    """Linear layers of these widths."""
    return nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))


def run(layers: nn.ModuleList, hidden: Tensor) -> Tensor:
    """Through linear layers with ELU between them."""
    for place, layer in enumerate(layers):
        hidden = layer(hidden)
        if place < len(layers) - 1:
            hidden = torch.nn.functional.elu(hidden)
    return hidden
