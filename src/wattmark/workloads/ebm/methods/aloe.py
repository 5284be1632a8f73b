"""ALOE: an energy, and a sampler that is learnt beside it (Dai, Singh, Dai, Sutton, Schuurmans, arXiv 2011.05363).

The sampler begins with a word of an autoregressive density and edits it bit by bit until it stops; one Gibbs sweep under
the energy follows. The energy learns from the data against these samples. The sampler learns from the samples after the
sweep, which are nearer to the energy than its own were: of the many ways to come to a word, ten are drawn backwards (a
geometric number of bits flipped at random) and weighed, which bounds the likelihood of the word from below
(Burda et al., arXiv 1509.00519).

Each way is weighed with the edits that lead to its own word: the last single edit of a way belongs to the same sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wattmark.workloads.ebm.gibbs import LogWeight, sweep
from wattmark.workloads.ebm.methods.base import Trainer, count_weights
from wattmark.workloads.ebm.networks import WIDTH, Autoregressive, Editor, Energy

MOST_EDITS = 16
WAYS = 10
GOES_ON = 0.5
"""Edits of a way, ways backwards for a word, and the chance (mu) that a way has one more edit."""
SMALL = 0.01
"""Weight of the energy's square at data and samples (Du and Mordatch, arXiv 1903.08689): where the sampler has all peaks as
often as the data have them, nothing else says how high each of them is."""
RESTARTS = 0.05
"""Share of the words learnt against that begin anywhere instead of where the sampler puts them, as PCD's do: else the energy
grows without bound at words that the sampler never comes to."""


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways backwards from words: ``starts`` (n, bits), edits ``before`` (m, bits) -> bit ``flipped`` (m,), of the way
    ``owner`` (m,); ``lengths`` (n,) and ``log_chance`` (n,) of having been drawn."""

    starts: Tensor
    before: Tensor
    flipped: Tensor
    owner: Tensor
    lengths: Tensor
    log_chance: Tensor


def draw_ways(words: Tensor, generator: torch.Generator) -> Ways:
    """One way back from each word (n, bits): a length, geometric up to ``MOST_EDITS``, and bits flipped at random."""
    count, bits = words.shape
    chances = GOES_ON ** torch.arange(MOST_EDITS + 1, dtype=torch.float64)
    chances /= chances.sum()
    lengths = torch.multinomial(chances, count, replacement=True, generator=generator)
    words = words.clone()
    before, flipped, owner = list[Tensor](), list[Tensor](), list[Tensor]()
    for edit in range(int(lengths.max())):
        rows = torch.nonzero(lengths > edit)[:, 0]
        places = torch.randint(0, bits, (len(rows),), generator=generator)
        words[rows, places] = 1 - words[rows, places]
        before.append(words[rows])
        flipped.append(places)
        owner.append(rows)
    log_chance = chances.log()[lengths].float() - lengths * math.log(bits)
    nothing = torch.zeros(0, dtype=torch.int64)
    return Ways(
        words,
        torch.cat([words[:0], *before]),
        torch.cat([nothing, *flipped]),
        torch.cat([nothing, *owner]),
        lengths,
        log_chance,
    )


class Sampler(nn.Module):
    """A word of ``density``, then edits of ``editor`` until it stops, at most ``MOST_EDITS``."""

    def __init__(self, bits: int, width: int = WIDTH) -> None:
        super().__init__()
        self.density = Autoregressive(bits, width)
        self.editor = Editor(bits, width)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Words (count, bits)."""
        words = self.density.sample(count, generator)
        going = torch.arange(count)
        for _ in range(MOST_EDITS):
            stop, _, flips = self.editor(words[going])
            on = torch.rand(len(going), generator=generator) >= stop.exp()
            going, flips = going[on], flips[on]
            if not len(going):
                break
            places = torch.multinomial(flips.exp(), 1, generator=generator)[:, 0]
            words[going, places] = 1 - words[going, places]
        return words

    def log_likelihood(self, words: Tensor, generator: torch.Generator, ways: int = WAYS) -> Tensor:
        """A lower bound (n,) of the log chance of words (n, bits), from ``ways`` ways to each; differentiable."""
        many = words.repeat_interleave(ways, 0)
        back = draw_ways(many, generator)
        stop = self.editor(words)[0].repeat_interleave(ways)
        moved = back.lengths > 0
        own, away = self.density(words), self.density(back.starts[moved])  # ways without an edit start alike
        begun = own.repeat_interleave(ways).masked_scatter(moved, away)
        joint = begun + torch.where(back.lengths < MOST_EDITS, stop, torch.zeros(()))
        if len(back.flipped):
            _, on, flips = self.editor(back.before)
            edits = on + flips.gather(1, back.flipped[:, None])[:, 0]
            joint = joint.index_add(0, back.owner, edits)
        weighed = (joint - back.log_chance).view(len(words), ways)
        return torch.logsumexp(weighed, 1) - math.log(ways)


class AloeMethod:
    """An energy and its sampler, learnt together."""

    def __init__(self, bits: int, seed: int, width: int = WIDTH) -> None:
        torch.default_generator.manual_seed(seed)
        self.energy = Energy(bits, width)
        self.sampler = Sampler(bits, width)
        self._energy_trainer = Trainer(self.energy)
        self._sampler_trainer = Trainer(self.sampler)
        self._chance = torch.Generator().manual_seed(seed + 1)

    @property
    def parameters(self) -> int:
        """Weights of the energy, the density and the editor."""
        return count_weights(self.energy, self.sampler)

    @property
    def log_weight(self) -> LogWeight:
        """f, of the averaged energy."""
        return self._energy_trainer.average

    def step(self, words: Tensor) -> float:
        """One step of both; nats a word of the sampler's bound on its own refined samples."""
        drawn = self.sampler.sample(len(words), self._chance)
        anew = torch.rand(len(words), 1, generator=self._chance) < RESTARTS
        anywhere = torch.randint(0, 2, words.shape, generator=self._chance).float()
        refined = sweep(self.energy, torch.where(anew, anywhere, drawn), self._chance)
        of_drawn, of_data = self.energy(refined), self.energy(words)
        small = SMALL * (of_drawn.square().mean() + of_data.square().mean())
        self._energy_trainer.descend(of_drawn.mean() - of_data.mean() + small)
        return self._sampler_trainer.descend(-self.sampler.log_likelihood(refined, self._chance).mean())

    def sample(self, count: int) -> Tensor:
        """The averaged sampler's words after one Gibbs sweep under the averaged energy."""
        drawn = self._sampler_trainer.average.sample(count, self._chance)
        return sweep(self._energy_trainer.average, drawn, self._chance)
