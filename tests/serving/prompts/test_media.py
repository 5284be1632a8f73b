"""Images, sound and video beside prompts: real files, each new, counted in the records."""

from __future__ import annotations

import asyncio
import base64
import io
import wave
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import ConfigError
from wattmark.serving.asked import Asked
from wattmark.serving.load.client import ClosedLoop, Limits, Target, run_load
from wattmark.serving.load.records import LoadResult
from wattmark.serving.prompts.base import Conversation, Fixed, Turn
from wattmark.serving.prompts.media import Batched, Media, WithMedia, png, wav, wav_seconds
from wattmark.testing.scripted_server import ScriptedServer


def load(requests: int = 3, **asked: Any) -> tuple[LoadResult, ScriptedServer]:
    async def main() -> tuple[LoadResult, ScriptedServer]:
        async with ScriptedServer() as server:
            found = Asked(**asked).load("concurrency", 1.0, None)
            assert found.workload is not None
            target = Target(server.url, model="m", dialect="vllm")
            limits = Limits(requests=requests, scrape_s=None)
            return await run_load(target, ClosedLoop.of(1), found.workload, limits=limits), server

    return asyncio.run(main())


def test_made_up_images_are_pictures_of_their_size_and_each_is_new():
    image = pytest.importorskip("PIL.Image")
    first, second = (image.open(io.BytesIO(png(100, 40, seed))) for seed in (1, 2))
    assert first.size == second.size == (100, 40)
    assert first.convert("RGB").tobytes() != second.convert("RGB").tobytes()
    assert len(first.convert("RGB").getcolors()) > 30
    assert png(100, 40, 1) == png(100, 40, 1)
    assert len(png(1024, 1024, 1)) < 100_000


def test_made_up_sound_is_a_wav_file_of_its_length():
    with wave.open(io.BytesIO(wav(1.5, 3))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16_000, 1, 24_000)
    assert wav_seconds(wav(1.5, 3)) == 1.5
    assert wav(1.5, 3) != wav(1.5, 4)
    assert wav_seconds(b"RIFF") is None


def test_images_and_sound_go_out_with_each_prompt_and_are_counted():
    result, server = load(images="64x32", audio="0.5", media_number=2, input="8")
    assert result.counts == {"ok": 3}
    content = server.log[-1].body["messages"][0]["content"]
    assert [part["type"] for part in content] == [
        "image_url",
        "image_url",
        "input_audio",
        "input_audio",
        "text",
    ]
    assert content[0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert content[2]["input_audio"]["format"] == "wav"
    assert [(each.images, each.audio_s) for each in result.records] == [(2, 1.0)] * 3
    sent = {entry.body["messages"][0]["content"][0]["image_url"]["url"] for entry in server.log}
    assert len(sent) == 3
    again, other = load(images="64x32", input="8")
    assert again.records[0].images == 1
    assert other.log[0].body["messages"][0]["content"][0]["image_url"]["url"] not in sent
    assert "2 images of 64x32" in result.workload


def test_the_files_of_a_folder_take_turns(tmp_path: Path):
    for name, data in (("b.JPG", b"bb"), ("a.png", b"a"), ("note.txt", b"x"), ("v.mp4", b"v")):
        (tmp_path / name).write_bytes(data)
    _, server = load(images=str(tmp_path), video=str(tmp_path / "v.mp4"), input="8")
    urls = [
        [part.get(part["type"], {}) for part in entry.body["messages"][0]["content"]] for entry in server.log
    ]
    shown = [each[0]["url"] for each in urls]
    assert shown[0] == f"data:image/png;base64,{base64.b64encode(b'a').decode()}"
    assert shown[1] == f"data:image/jpeg;base64,{base64.b64encode(b'bb').decode()}"
    assert shown[2] == shown[0]
    assert urls[0][1]["url"] == f"data:video/mp4;base64,{base64.b64encode(b'v').decode()}"


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("images", "0x5", "no such folder"),
        ("images", "99999", "512x512"),
        ("audio", "0", "10 .seconds"),
        ("video", "64x64", "FILE.mp4"),
    ],
)
def test_media_that_cannot_be_had_are_told(kind: Any, text: str, said: str):
    with pytest.raises(ConfigError) as told:
        Media.parse(kind, text)
    assert __import__("re").search(said, f"{told.value} {told.value.hint}")


def test_a_folder_without_files_of_the_kind_is_told(tmp_path: Path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ConfigError, match="nothing usable"):
        Media.parse("images", str(tmp_path))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"endpoint": "completions", "images": "64"}, "chat messages"),
        ({"endpoint": "transcriptions"}, "no sound"),
        ({"batch": 2}, "--endpoint embeddings"),
    ],
)
def test_options_that_do_not_go_together_are_told(asked: dict[str, Any], said: str):
    with pytest.raises(ConfigError) as told:
        Asked(**asked)
    assert said in f"{told.value} {told.value.hint}"


def test_images_go_before_what_a_row_says_already():
    message = {"role": "user", "content": [{"type": "text", "text": "what?"}]}
    talk = Conversation(0, (Turn("what?", message=message), Turn("and?")))
    (found,) = WithMedia(Fixed((talk,)), (Media("images", size=(8, 8)),)).conversations()
    assert found.turns[0].message is not None
    assert [part["type"] for part in found.turns[0].message["content"]] == ["image_url", "text"]
    assert found.turns[1] == Turn("and?")


def test_batches_are_the_same_however_they_are_dealt_out():
    singles = Fixed(tuple(Conversation(n, (Turn(str(n), None, 2),)) for n in range(10)), once=True)
    whole = list(Batched(singles, 3).conversations())
    assert [talk.turns[0].texts for talk in whole] == [
        ("0", "1", "2"),
        ("3", "4", "5"),
        ("6", "7", "8"),
        ("9",),
    ]
    assert [talk.turns[0].input_tokens for talk in whole] == [6, 6, 6, 2]
    dealt = [talk for part in range(2) for talk in Batched(singles, 3).conversations(part, 2)]
    assert sorted(dealt, key=lambda talk: talk.number) == whole
    ranked = next(islice(Batched(singles, 3, query=True).conversations(), 1))
    assert (ranked.turns[0].text, ranked.turns[0].texts) == ("0", ("1", "2", "3"))
