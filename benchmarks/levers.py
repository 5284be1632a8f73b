"""Which levers save on three real workloads here, and is the saving there again in a second run?

    python benchmarks/levers.py [--only vision,tabular,language] [--rounds 3] [--confirm 7] [--without compile,affinity]

Vision: LeNet trained and asked on made-up images of the size of CIFAR-10. Tabular: anomaly detection with a multilayer
perceptron and a random forest (the workload ``tabular``). Language: a transformer of 0.3 million parameters, trained on
Python's own documentation strings and asked for tokens. Each is one command; ``wm.try_levers`` does the rest, as a user
has it: judged by CPU seconds, as nothing measures joules here, with the seed of the round. Then the winner is compared
once more, by itself, after everything else (``again``). PyTorch has one thread unless a lever says otherwise: with two, on
cores that others use, its threads wait for one another. Writes benchmarks/results/levers.json and levers.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from wattmark.advise.gate.repeat import run_once
from wattmark.advise.levers import hook
from wattmark.advise.levers.lever import Lever, command_under, conditions_under
from wattmark.advise.levers.outputs import markdown
from wattmark.advise.levers.race import Pairs, confirming
from wattmark.advise.levers.result import Tried
from wattmark.advise.levers.trying import try_levers
from wattmark.workloads.command import fill

RESULTS = Path(__file__).resolve().parent / "results"
AGAIN = 5

VISION = """
import argparse, json
import torch
from torch import nn
import wattmark as wm
from wattmark.workloads.vision.zoo.lenet import lenet

words = argparse.ArgumentParser()
words.add_argument("--batch-size", type=int, default=32)
words.add_argument("--seed", type=int, default=0)
asked = words.parse_args()
levers = wm.levers(threads=(1, 2))
torch.set_num_threads(levers.threads)
torch.manual_seed(asked.seed)
centres = torch.randn(10, 3, 32, 32, generator=torch.Generator().manual_seed(1))
def images(count):
    y = torch.randint(0, 10, (count,))
    return torch.utils.data.TensorDataset(0.6 * centres[y] + torch.randn(count, 3, 32, 32), y)
train, test = images(1000), images(500)
net = lenet(10)
optimizer, loss_of = torch.optim.SGD(net.parameters(), lr=0.05 * asked.batch_size / 32, momentum=0.9), nn.CrossEntropyLoss()
for epoch in range(2):
    with wm.span("epoch", samples=len(train)):
        net.train()
        for x, y in torch.utils.data.DataLoader(train, asked.batch_size, shuffle=True):
            optimizer.zero_grad(); loss = loss_of(net(x), y); loss.backward(); optimizer.step()
net.eval()
right = sum(int((net(x).argmax(1) == y).sum()) for _ in range(3) for x, y in torch.utils.data.DataLoader(test, 100))
print(json.dumps({"accuracy": right / 1500}))
"""

TABULAR = """
import json, sys
from contextlib import nullcontext
from wattmark.workloads.registry import complete, load
workload = load("tabular")
class Handle:
    def add(self, **_): pass
scores = []
for model in ("mlp-32-16", "random-forest"):
    config = complete(workload, {"model": model, "rows": 1500, "folds": 0, "threads": 1, "seed": int(sys.argv[1])})
    scores.append(workload.run(config, lambda *_, **__: nullcontext(Handle()))["f1"])
print(json.dumps({"f1": sum(scores) / len(scores)}))
"""

LANGUAGE = """
import argparse, json, math
import torch
from torch import nn
import wattmark as wm

words = argparse.ArgumentParser()
words.add_argument("--seed", type=int, default=0)
asked = words.parse_args()
torch.manual_seed(asked.seed)
levers = wm.levers(batch_size=8, threads=(1, 2))
torch.set_num_threads(levers.threads)
import argparse as a, collections, decimal, json as j, socket, subprocess, textwrap, threading, typing, unittest.mock
text = "".join(str(getattr(one, "__doc__", "")) for module in (a, collections, decimal, j, socket, subprocess,
               textwrap, threading, typing, unittest.mock)
               for one in [module, *vars(module).values()])[:120_000]
tokens = torch.tensor(list(text.encode()), dtype=torch.long)
class Net(nn.Module):
    def __init__(self, width=96, depth=2, length=64):
        super().__init__()
        self.embed, self.place = nn.Embedding(256, width), nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True, norm_first=True)
        self.body, self.out = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False), nn.Linear(width, 256)
        self.mask = nn.Transformer.generate_square_subsequent_mask(length)
    def forward(self, x):
        n = x.shape[1]
        mask = self.mask[:n, :n].to(self.embed.weight.dtype)
        return self.out(self.body(self.embed(x) + self.place.weight[:n], mask, is_causal=True))
net, length = Net(), 64
optimizer, loss_of = torch.optim.AdamW(net.parameters(), lr=2e-3), nn.CrossEntropyLoss()
for step in range(320 // levers.batch_size):
    start = torch.randint(0, len(tokens) - 10_000 - length, (levers.batch_size,))
    x = torch.stack([tokens[i : i + length] for i in start])
    optimizer.zero_grad()
    loss = loss_of(net(x)[:, :-1].reshape(-1, 256), x[:, 1:].reshape(-1))
    loss.backward(); optimizer.step()
net.eval()
held = tokens[-9_984:].reshape(-1, length)[:64]
lost = float(loss_of(net(held)[:, :-1].reshape(-1, 256), held[:, 1:].reshape(-1)))
said = tokens[:8][None]
for _ in range(40):
    said = torch.cat([said, net(said[:, -length:])[:, -1].argmax(1, keepdim=True)], 1)
print(json.dumps({"perplexity": math.exp(lost)}))
"""

WORKLOADS = {
    "vision": (VISION, ["--batch-size", "32", "--seed", "{repeat}"], "accuracy", 0.01),
    "tabular": (TABULAR, ["{repeat}"], "f1", 0.01),
    "language": (LANGUAGE, ["--seed", "{repeat}"], "perplexity", 0.0),
}


def tell(words: str) -> None:
    print(time.strftime("%H:%M:%S"), words, file=sys.stderr, flush=True)


def again(command: list[str], lever: Lever, pairs: int, seed: int) -> dict[str, object]:
    """The winner beside the command as it is once more: ratio of CPU seconds and joules saved, from runs of their own."""
    used, joules = Pairs(confirming(pairs)), []
    for number in range(pairs):
        pair: dict[bool, float] = {}
        energy: dict[bool, float] = {}
        for is_base in (True, False) if number % 2 == 0 else (False, True):
            with tempfile.TemporaryDirectory() as scratch:
                one = None if is_base else lever
                words = [fill(word, {"repeat": seed + number}) for word in command_under(one, command)]
                conditions = conditions_under(
                    one, os.environ, str(Path(hook.__file__).parent), f"{scratch}/report"
                )
                usage = run_once(words, scratch, name="again", tags={"again": "1"}, conditions=conditions)
            pair[is_base] = usage.values["cpu_s"]
            share = None if usage.run is None else usage.run.attributed
            energy[is_base] = math.nan if share is None else share.energy.value
        used.add(pair[True], pair[False])
        joules.append(energy[True] - energy[False])
    share = used.share
    assert share is not None
    return {
        "used": share.value,
        "low": share.low,
        "high": share.high,
        "pairs": pairs,
        "saved_j": float(np.mean(joules)),
    }


def row(name: str, tried: Tried, more: dict[str, object] | None) -> str:
    begun = sum(one.used is not None or one.outcome in ("failed", "no effect") for one in tried.levers)
    if tried.winner is None or tried.winner.used is None or more is None:
        return f"{name:10} {begun:6}  {tried.words}"
    own, saved = tried.winner.used, tried.winner.saved
    first = _saved(own.value, own.low or 1.0, own.high or 1.0)
    second = _saved(*(float(str(more[key])) for key in ("used", "low", "high")))
    joules = f"joules {math.nan if saved is None else saved.value:.1f}, again {more['saved_j']:.1f}"
    return f"{name:10} {begun:6}  {first}  again {second}  {joules}  {tried.winner.lever.name}"


def _saved(value: float, low: float, high: float) -> str:
    return f"{100 * (1 - value):5.1f} [{100 * (1 - high):.1f}, {100 * (1 - low):.1f}] %"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--confirm", type=int, default=7)
    parser.add_argument(
        "--without", default="compile,affinity", help="groups that are left out, for lack of time"
    )
    options = parser.parse_args()
    kept = RESULTS / "levers.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    for name in options.only.split(","):
        script, words, quality, loss = WORKLOADS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{name}.py")
            path.write_text(script, encoding="utf-8")
            command = [sys.executable, "-W", "ignore", str(path), *words]
            load = os.getloadavg()
            tried = try_levers(
                command,
                quality=quality,
                loss=loss,
                rounds=options.rounds,
                confirm=options.confirm,
                without=options.without.split(","),
                folder=folder,
                tell=tell,
            )
            more = None if tried.winner is None else again(command, tried.winner.lever, AGAIN, 10_000)
        results[name] = {"tried": tried.to_dict(), "again": more, "load": load, "row": row(name, tried, more)}
        results[name]["markdown"] = markdown(tried)
        kept.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        head = f"{'workload':10} {'levers':6}  CPU time saved by the winner, 95 %; again; joules (modelled) of a run"
        (RESULTS / "levers.md").write_text(
            "\n".join([head, *(one["row"] for one in results.values())]) + "\n", encoding="utf-8"
        )
        tell(results[name]["row"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
