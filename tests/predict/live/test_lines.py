"""Progress as programs print it: tqdm, Keras, Lightning, Hugging Face, plain epochs; and what is no progress."""

from __future__ import annotations

import io

import pytest

from wattmark.predict.live.lines import LineProgress


def read(*chunks: str, epochs: float | None = None) -> tuple[float, float | None, str]:
    lines = LineProgress(epochs)
    for second, chunk in enumerate(chunks, 1):
        lines.feed(chunk.encode(), float(second))
    return lines.progress.done, lines.progress.total, lines.progress.unit


def test_a_bar_of_tqdm_tells_how_far_it_is() -> None:
    assert read("\r 45%|####5     | 450/1000 [00:10<00:12, 44.3it/s]") == (450, 1000, "steps")
    assert read("\rtrain:  2%|▏         | 1.20k/60.0k [00:10<00:12, 44.3it/s]") == (1200, 60000, "steps")


def test_what_tqdm_itself_prints_is_read() -> None:
    tqdm = pytest.importorskip("tqdm")
    out = io.StringIO()
    with tqdm.tqdm(total=200, file=out, mininterval=0, ncols=80) as bar:
        for _ in range(3):
            bar.update(25)
    assert read(out.getvalue()) == (75, 200, "steps")


@pytest.mark.parametrize(
    ("line", "done"),
    [
        ("Epoch 3/90\n", 2),  # it begins
        ("Epoch [3/90]\n", 2),
        ("epoch 3 of 90\n", 2),
        ("Epoch 3/90 loss=0.41 acc=0.9\n", 3),  # it has ended
        ("[2026-01-01] Epoch: 3/90, val_loss: 0.3\n", 3),
        ("\x1b[1mEpoch 3/90\x1b[0m\n", 2),
    ],
)
def test_an_epoch_with_values_behind_it_has_ended_and_one_without_begins(line: str, done: float) -> None:
    assert read("Epoch 1/90 \n", line) == (done, 90, "epochs")


def test_epochs_from_zero_are_as_many_as_they_are() -> None:
    assert read("Epoch 0/89 loss=1\n", "Epoch 1/89 loss=1\n")[0] == 2
    assert read("Epoch 0/89 loss=1\n", "Epoch 89/89 loss=1\n")[:2] == (90, 90)


def test_a_bar_inside_an_epoch_is_a_part_of_it() -> None:
    keras = (
        "Epoch 1/10\n",
        "\r 469/1875 ━━━━━ 1s 2ms/step - loss: 0.5",
        "\n\nEpoch 2/10\n",
        "\r 938/1875 ━━━ 1s\r",
    )
    done, total, unit = read(*keras)
    assert (round(done, 3), total, unit) == (round(1 + 938 / 1875, 3), 10, "epochs")


def test_lightning_begins_at_zero_and_the_user_says_how_many() -> None:
    bars = (
        "\rEpoch 0:  50%|#####     | 50/100 [00:01<00:01]",
        "\rEpoch 1:  50%|#####     | 50/100 [00:01<00:01]",
    )
    assert read(*bars, epochs=4) == (1.5, 4, "epochs")
    assert read(*bars)[1] is None


def test_hugging_face_says_its_epoch_as_a_fraction() -> None:
    assert read("{'loss': 0.6, 'learning_rate': 5e-05, 'epoch': 1.25}\n", epochs=3) == (1.25, 3, "epochs")


def test_a_bar_of_epochs_around_bars_of_steps() -> None:
    chunks = ("Epochs:  50%|#####     | 2/4 [00:10<00:10]\n", " 25%|##5       | 25/100 [00:01<00:03]")
    assert read(*chunks) == (2.25, 4, "epochs")


def test_bars_that_begin_anew_are_rounds_that_only_the_user_can_number() -> None:
    rounds = [f"\r{n}%|###       | {n}/100 [00:01<00:01]" for n in (50, 100, 10, 100, 50)]
    assert read(*rounds, epochs=5) == (2.5, 5, "epochs")
    assert read(*rounds)[1] is None


def test_a_short_bar_of_evaluation_does_not_take_the_place_of_the_work() -> None:
    chunks = (
        "train: 90%|#########  | 900/1000 [00:01<00:01]\n",
        "eval: 10%|#          | 1/10 [00:01<00:01]\n",
    )
    assert read(*chunks) == (900, 1000, "steps")


def test_a_line_that_comes_in_pieces_is_read_as_a_whole() -> None:
    assert read("Epo", "ch 3", "/90 loss", "=0.4\n")[0] == 3


@pytest.mark.parametrize(
    "text",
    ["loading 3/4 shards\n", "see https://a/b/1/2\n", "2026/01/02 10:00\n", "100% done\n", "\xff\x00\n", ""],
)
def test_what_is_no_progress_is_none(text: str) -> None:
    assert read(text)[0] == 0


def test_megabytes_of_output_are_not_read_through() -> None:
    lines = LineProgress()
    lines.feed(b"x" * 10_000_000 + b"\nEpoch 3/90 loss=1\n", 1.0)
    assert lines.progress.done == 3
