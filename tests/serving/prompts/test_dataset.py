"""Data as people have them: every common form of a file is told by what is in it, and one bad row is no harm."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wattmark.errors import ConfigError, ImportFileError, ServerError
from wattmark.serving.prompts.base import Fixed, Lengths, Turn
from wattmark.serving.prompts.dataset import read_dataset
from wattmark.serving.prompts.files import Asking
from wattmark.serving.prompts.traces import TraceWorkload

ASKING = Asking(Lengths.fixed(7))
PROMPTS = [{"prompt": "one"}, {"prompt": "two", "max_tokens": 3}]
TALK = {
    "conversations": [
        {"from": "human", "value": "q1"},
        {"from": "gpt", "value": "a" * 40},
        {"from": "human", "value": "q2"},
    ]
}
BATCH = {
    "custom_id": "r-1",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {
        "model": "theirs",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "max_tokens": 5,
        "temperature": 0.3,
        "tools": [{"type": "function"}],
    },
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(
    tmp_path: Path, text: str | bytes, name: str = "data.jsonl", asking: Asking = ASKING, prefix: str = ""
) -> Fixed:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    workload = read_dataset(prefix + str(path), asking).workload
    assert isinstance(workload, Fixed)
    return workload


def texts(workload: Fixed) -> list[str]:
    return [talk.turns[0].text for talk in workload.given]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (lines(*PROMPTS), "p.jsonl"),
        (json.dumps(PROMPTS), "p.json"),
        (json.dumps(PROMPTS, indent=2), "p.json"),
        (json.dumps({"data": PROMPTS}), "p.json"),
        ("\ufeff" + lines(*PROMPTS), "p"),
        ("prompt,max_tokens\none,\ntwo,3\n", "p.csv"),
        ("prompt\tmax_tokens\none\t\ntwo\t3\n", "p.tsv"),
        ("\ufeffprompt;max_tokens\r\none;\r\ntwo;3\r\n", "p"),
        (gzip.compress(lines(*PROMPTS).encode()), "p.jsonl.gz"),
        (gzip.compress(b"prompt,max_tokens\none,\ntwo,3\n"), "p.csv.gz"),
        (lines(*PROMPTS).encode("utf-16"), "p.jsonl"),
    ],
)
def test_the_form_of_a_file_is_told_by_what_is_in_it(tmp_path: Path, text: str | bytes, name: str):
    workload = read(tmp_path, text, name)
    assert texts(workload) == ["one", "two"]
    assert [talk.turns[0].output_tokens for talk in workload.given] == [7, 3]
    assert workload.notes == ()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (lines(PROMPTS[0]) + '{"torn\n' + lines(PROMPTS[1]), "line 2: not JSON"),
        (lines(PROMPTS[0], {"id": 4, "label": 1}, PROMPTS[1]), "line 2: no prompt in it; it has id, label"),
        (lines(PROMPTS[0], None, PROMPTS[1]), "line 2: no prompt"),
        (json.dumps([PROMPTS[0], 5, PROMPTS[1]]), "row 2: no prompt"),
        ('[\n{"prompt": "one"},\n{"prompt": \n{"prompt": "two"}\n]', "row 2: not JSON"),
        ('{"prompt": "one"}\n{"prompt": "  "}\n{"prompt": "two"}', "line 2: no prompt"),
    ],
)
def test_one_bad_row_is_left_out_counted_and_named(tmp_path: Path, text: str, where: str):
    workload = read(tmp_path, text)
    assert texts(workload) == ["one", "two"]
    (note,) = workload.notes
    assert note.startswith("1 of 3 rows of data.jsonl were left out")
    assert where in note


def test_half_characters_and_lone_surrogates_in_a_file_are_no_harm(tmp_path: Path):
    rows = b'{"prompt": "caf\xc3"}\n{"prompt": "bad \\ud800 half"}\n{"prompt": "line\xe2\x80\xa8sign"}\n'
    assert texts(read(tmp_path, rows)) == ["caf�", "bad ? half", "line\u2028sign"]


@pytest.mark.parametrize(
    ("row", "turns"),
    [
        ("plain", (Turn("plain", output_tokens=7),)),
        ({"question": "q"}, (Turn("q", output_tokens=7),)),
        ({"instruction": "do", "input": "this", "output": "done"}, (Turn("do\n\nthis", output_tokens=7),)),
        ({"text_input": "t", "output_length": 4, "prompt": "p"}, (Turn("p", output_tokens=4),)),
        ({"turns": ["a", "b"]}, (Turn("a", output_tokens=7), Turn("b", output_tokens=7))),
        (
            {"session_id": "s", "turns": [{"text": "a"}, {"text": "b", "delay": 500}]},
            (Turn("a", output_tokens=7), Turn("b", output_tokens=7, think_s=0.5)),
        ),
        (TALK, (Turn("q1", output_tokens=10), Turn("q2", output_tokens=7))),
        (
            {"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]},
            (Turn("u", output_tokens=7),),
        ),
        (
            {"messages": [{"role": "user", "content": [IMAGE, {"type": "text", "text": "what?"}]}]},
            (
                Turn(
                    "what?",
                    output_tokens=7,
                    message={"role": "user", "content": [IMAGE, {"type": "text", "text": "what?"}]},
                ),
            ),
        ),
        ({"query": "q", "documents": ["d1", "d2"]}, (Turn("q", output_tokens=7, texts=("d1", "d2")),)),
        ({"input": ["x", "y"]}, (Turn("x", output_tokens=7, texts=("x", "y")),)),
    ],
)
def test_rows_of_every_common_form(tmp_path: Path, row: Any, turns: tuple[Turn, ...]):
    (talk,) = read(tmp_path, lines(row)).given
    assert talk.turns == turns


def test_a_batch_line_goes_out_with_its_own_fields(tmp_path: Path):
    (talk,) = read(tmp_path, lines(BATCH)).given
    assert talk.before == ({"role": "system", "content": "s"},)
    assert talk.turns == (
        Turn("u", output_tokens=5, fields={"temperature": 0.3, "tools": [{"type": "function"}]}),
    )


def test_turns_are_cut_and_messages_taken_apart_where_asked(tmp_path: Path):
    rows = {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "x"},
            {"role": "user", "content": "b"},
        ]
    }
    (whole,) = read(tmp_path, lines(rows)).given
    assert (len(whole.before), whole.turns[0].text) == (2, "b")
    (apart,) = read(tmp_path, lines(rows), asking=ASKING._replace(turns=4)).given
    assert [turn.text for turn in apart.turns] == ["a", "b"]
    (first,) = read(tmp_path, lines(TALK), asking=ASKING._replace(turns=1)).given
    assert [turn.text for turn in first.turns] == ["q1"]


def test_lengths_that_were_asked_for_win_over_recorded_answers(tmp_path: Path):
    (talk,) = read(tmp_path, lines(TALK), asking=ASKING._replace(recorded=False)).given
    assert [turn.output_tokens for turn in talk.turns] == [7, 7]


def test_a_column_may_be_named(tmp_path: Path):
    text = "id,prompt,body_text\n1,wrong,right\n"
    assert texts(read(tmp_path, text, "d.csv", ASKING._replace(column="body_text"))) == ["right"]
    with pytest.raises(ImportFileError, match="it has id, prompt, body_text"):
        read(tmp_path, text, "d.csv", ASKING._replace(column="nothing"))


def test_a_trace_is_told_from_prompts_and_brings_its_arrivals(tmp_path: Path):
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(
        gzip.compress(b"\xef\xbb\xbfTimestamp,Model,Request tokens,Response tokens\n5,m,10,2\n9,m,20,3\n")
    )
    for name in (str(path), f"trace:{path}", f"burstgpt:{path}"):
        data = read_dataset(name, ASKING, speed=4)
        assert isinstance(data.workload, TraceWorkload)
        assert data.arrivals is not None
        assert list(data.arrivals.offsets_s()) == [0, 1]


def test_parquet_needs_no_name(tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    parquet.write_table(arrow.table({"prompt": ["one", "two"]}), tmp_path / "p")
    assert texts(read(tmp_path, (tmp_path / "p").read_bytes(), "q.parquet")) == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere.jsonl", "there is no file"),
        ("owner/name", "hf:owner/name"),
        ("hf:", "hf:OWNER/NAME"),
    ],
)
def test_what_is_no_data_is_told(text: str, said: str):
    with pytest.raises(ConfigError) as told:
        read_dataset(text, ASKING)
    assert said in f"{told.value} {told.value.hint}"


class Hub(ModuleType):
    """Stands for the packages of the hubs, which need a network."""

    def __init__(self, name: str, splits: dict[str, list[dict[str, Any]]] | None) -> None:
        super().__init__(name)
        self.splits = splits
        self.MsDataset = self

    def load_dataset(self, repo: str, streaming: bool) -> dict[str, list[dict[str, Any]]]:
        if self.splits is None:
            raise ConnectionError(f"Couldn't reach {repo!r} on the Hub")
        return self.splits

    def load(self, repo: str, split: str) -> list[dict[str, Any]]:
        return self.load_dataset(repo, True)[split]


def test_a_hubs_rows_are_those_of_the_split_that_is_named(monkeypatch: pytest.MonkeyPatch):
    splits = {"validation": [{"question": "v"}], "train": [{"question": "t"}, {"answer": 1}]}
    monkeypatch.setitem(sys.modules, "datasets", Hub("datasets", splits))
    monkeypatch.setitem(sys.modules, "modelscope", Hub("modelscope", splits))
    for name, expected in (
        ("hf:o/n", "t"),
        ("hf:o/n:validation", "v"),
        ("ms:o/n:validation", "v"),
        ("ms:o/n", "t"),
    ):
        workload = read_dataset(name, ASKING).workload
        assert isinstance(workload, Fixed)
        assert texts(workload) == [expected]
    with pytest.raises(ConfigError, match="no split test"):
        read_dataset("hf:o/n:test", ASKING)


def test_a_hub_that_cannot_be_reached_and_packages_that_are_not_there_are_told(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, "datasets", Hub("datasets", None))
    with pytest.raises(ServerError, match=r"o/n cannot be had from Hugging Face: Couldn't reach") as told:
        read_dataset("hf:o/n", ASKING)
    assert "--data PATH" in (told.value.hint or "")
    for name in ("datasets", "huggingface_hub", "modelscope"):
        monkeypatch.setitem(sys.modules, name, None)
    for name, package in (
        ("hf:o/n", "datasets"),
        ("hf:o/n:rows.jsonl", "huggingface_hub"),
        ("ms:o/n", "modelscope"),
    ):
        with pytest.raises(ConfigError) as missing:
            read_dataset(name, ASKING)
        assert package in str(missing.value)
