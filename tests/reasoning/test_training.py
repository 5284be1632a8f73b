from __future__ import annotations

import importlib.util
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import ConfigError
from wattmark.reasoning import characters, modes
from wattmark.reasoning.modes import ANSWER, STEPS
from wattmark.reasoning.tasks import problems

torch = pytest.importorskip("torch")

from wattmark.reasoning.network import Network, Shape, generate, parse_size, shape_for  # noqa: E402
from wattmark.reasoning.training import (  # noqa: E402
    Plan,
    TrainingProgress,
    batch_of,
    evaluate,
    load,
    prompt_tokens,
    train,
)

needs_llama = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("gguf") is None,
    reason="xllamacpp and gguf are not installed (extra llm)",
)
TINY = Plan("addition", "60k", steps=6, batch=16)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads wait for each other where others use the cores, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def same(one: Network, other: Network) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("text", "near"), [("0.1m", 1e5), ("0.5m", 5e5), ("2m", 2e6), ("500k", 5e5), ("10m", 1e7)]
)
def test_a_model_has_about_the_size_that_was_asked_for(text: str, near: float):
    shape = shape_for(parse_size(text))
    assert shape.parameters == pytest.approx(near, rel=0.12)
    assert sum(weight.numel() for weight in Network(shape).parameters()) == shape.parameters


@pytest.mark.parametrize("text", ["", "big", "1k", "1b", "-1m"])
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(ConfigError):
        parse_size(text)


def test_two_trainings_of_one_plan_are_equal_and_another_seed_differs():
    first, second = train(TINY), train(TINY)
    other = train(Plan("addition", "60k", steps=6, batch=16, seed=1))
    assert same(first.network, second.network)
    assert first.losses == second.losses
    assert not same(first.network, other.network)


class Killed(BaseException):
    pass


def test_a_training_that_was_killed_goes_on_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("wattmark.reasoning.training._CHECKPOINT_S", 0.0)
    checkpoint = tmp_path / "folder" / "training.checkpoint"
    seen: list[int] = []

    def kill(progress: TrainingProgress) -> None:
        seen.append(progress.step)
        if progress.step == 3:
            raise Killed

    with pytest.raises(Killed):
        train(TINY, checkpoint, on_progress=kill)
    resumed = train(TINY, checkpoint, on_progress=kill if not seen else lambda p: seen.append(p.step))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert same(resumed.network, train(TINY).network)
    assert same(load(TINY, checkpoint), resumed.network)
    assert [step for step, _ in resumed.losses] == [1, 2, 3, 4, 5, 6]
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_a_training_leaves_torch_as_it_was():
    torch.manual_seed(7)
    wanted = torch.rand(3)
    threads = torch.get_num_threads()
    torch.manual_seed(7)
    train(Plan("addition", "60k", steps=1, batch=4), threads=2)
    assert torch.equal(torch.rand(3), wanted)
    assert torch.get_num_threads() == threads == 1


def test_a_training_by_time_ends_by_time():
    trained = train(Plan("addition", "60k", seconds=0.2, batch=16))
    assert trained.steps >= 1
    assert trained.seconds >= 0.2


def test_a_checkpoint_of_another_training_or_none_is_refused(tmp_path: Path):
    checkpoint = tmp_path / "c"
    train(Plan("addition", "60k", steps=1, batch=4), checkpoint)
    with pytest.raises(ConfigError, match="another training"):
        train(TINY, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="cannot be read"):
        train(TINY, checkpoint)


@pytest.mark.parametrize(
    "wrong",
    [{"task": "algebra"}, {"size": "1b"}, {"steps": 0}, {"steps": 3, "seconds": 3.0}, {"seconds": -1.0}],
)
def test_plans_that_make_no_sense_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ConfigError):
        Plan(**wrong)


def test_names_tell_plans_apart():
    plans = [
        TINY,
        Plan(),
        Plan(seed=1),
        Plan(size="2m"),
        Plan(task="parity"),
        Plan(steps=9),
        Plan(seconds=9),
        Plan(batch=9),
    ]
    assert len({plan.name for plan in plans}) == len(plans)
    assert Plan(size="500k").name == Plan(size="0.5m").name


def test_only_training_problems_are_trained_on():
    tested = {p.compact for level in range(2, 7) for p in problems("addition", level, 100)}
    texts = [
        characters.decode(tokens[:asked])
        for step in range(20)
        for tokens, asked in batch_of(Plan("addition"), step)
    ]
    assert len(texts) == 20 * 64
    assert not {text.split(" ")[-1].lstrip("as") for text in texts} & tested


def test_characters_survive_a_round_trip():
    assert characters.decode(characters.encode(characters.PRINTABLE)) == characters.PRINTABLE
    assert max(characters.encode(characters.PRINTABLE)) < characters.SIZE
    with pytest.raises(ConfigError):
        characters.encode("é")


def test_generation_with_a_cache_gives_what_the_whole_text_gives():
    network = Network(Shape(2, 64, 4, 2, 96), seed=3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)
    prompts = [prompt_tokens(p, ANSWER) for p in problems("words", 2, 4)]
    for prompt, made in zip(prompts, generate(network, prompts, 12), strict=True):
        for position, token in enumerate(made):
            with torch.inference_mode():
                logits = network(torch.tensor([prompt + made[:position]]))[0, -1]
            assert int(logits.argmax()) == token


def learn_by_heart(network: Network, examples: list[tuple[list[int], int]], steps: int) -> None:
    """Train on a handful of examples, so that what is most likely is so by far."""
    from wattmark.reasoning.training import _padded

    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    given, wanted = _padded(examples)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            network(given).flatten(0, 1), wanted.flatten(), ignore_index=-100
        )
        loss.backward()
        optimizer.step()


@needs_llama
@pytest.mark.parametrize("kv_heads", [2, 1])
def test_llama_cpp_computes_what_torch_computes(kv_heads: int, tmp_path: Path):
    from wattmark.reasoning.training import example
    from wattmark.serving.prompts.reasoning import ReasoningWorkload
    from wattmark.serving.server.local import ServerOptions, open_server
    from wattmark.serving.server.trained import write_network

    network = Network(Shape(2, 64, 2, kv_heads, 96), seed=1)
    asked = problems("addition", 2, 4, part="train")
    learn_by_heart(network, [example(p, mode) for p in asked for mode in (ANSWER, STEPS)], 60)
    for weight in network.parameters():  # the file has 16 bits
        weight.data = weight.data.half().float()
    path = tmp_path / "trained-llama.gguf"
    write_network(path, network)
    # Also problems that it has not seen: there it is less sure.
    asked += problems("addition", 3, 4)
    with open_server(
        f"local:{path}", ServerOptions(slots=1, context=256, threads=1), {"WATTMARK_DATA_DIR": str(tmp_path)}
    ) as t:
        assert not t.noise
        for problem in asked:
            for mode in (ANSWER, STEPS):
                prompt = prompt_tokens(problem, mode)
                most = ReasoningWorkload("addition", 2, mode, 1, "compact").extra_body["max_tokens"]
                answer = ask(t.base_url, modes.prompt(problem, mode, "compact"), most)
                made = generate(network, [prompt], most)[0]
                assert answer["message"]["content"] == characters.decode(made)
                assert answer["tokens"] == min(len(made) + 1, most)
                with torch.inference_mode():
                    logits = network(torch.tensor([prompt + made]))[0, len(prompt) - 1 :]
                expected = logits.log_softmax(1)
                for row, entry in zip(expected, answer["logprobs"]["content"], strict=False):
                    for top in entry["top_logprobs"]:
                        if top["logprob"] > -8:  # beyond it 16-bit arithmetic shows
                            assert top["logprob"] == pytest.approx(float(row[top["id"]]), abs=0.05)


def ask(url: str, text: str, most_tokens: int) -> dict[str, Any]:
    body = {
        "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": most_tokens,
        "logprobs": True, "top_logprobs": 5,
    }  # fmt: skip
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        data = json.load(answer)
    return {**data["choices"][0], "tokens": data["usage"]["completion_tokens"]}


@needs_llama
def test_a_model_is_trained_once_and_served_under_load(tmp_path: Path):
    pytest.importorskip("httptools")
    from wattmark.serving.load.client import ClosedLoop, Limits, run_load_blocking
    from wattmark.serving.load.client import Target as Server
    from wattmark.serving.prompts.reasoning import ReasoningWorkload
    from wattmark.serving.server.local import ServerOptions, open_server
    from wattmark.serving.server.trained import ensure_trained

    environ = {"WATTMARK_DATA_DIR": str(tmp_path)}
    steps: list[int] = []
    model = ensure_trained(TINY, on_progress=lambda p: steps.append(p.step), environ=environ)
    again = ensure_trained(TINY, on_progress=lambda p: steps.append(p.step), environ=environ)
    assert steps == [1, 2, 3, 4, 5, 6]
    assert again.path == model.path
    assert again.details["parameters"] == model.details["parameters"]

    workload = ReasoningWorkload("addition", 2, ANSWER, 6, "compact")
    with open_server(
        f"local:{model.path}", ServerOptions(slots=2, context=256, threads=1), environ
    ) as target:
        result = run_load_blocking(
            Server(target.base_url, target.model, "llama.cpp", extra_body=workload.extra_body),
            ClosedLoop.of(2), workload, limits=Limits(requests=6, keep_text=True, scrape_s=None),
        )  # fmt: skip
    served = workload.score(result.records)
    here = evaluate(train(TINY).network, workload.problems(), ANSWER)
    assert served.failed == 0
    assert served.asked == 6
    assert served.tokens_mean is not None
    assert (served.correct, served.tokens_mean) == (here.correct, here.tokens_mean)
