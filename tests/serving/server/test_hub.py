"""Names of Hugging Face, with a stand-in for its package: no test asks the network."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.server.hub import hub_file, is_hub_name
from wattmark.serving.server.local import open_server

FILES = [
    "README.md", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-m.gguf",
    "m-F16-00001-of-00002.gguf", "m-F16-00002-of-00002.gguf",
]  # fmt: skip


class NetworkError(Exception):
    """As that of an HTTP library: no OSError."""


class HubError(NetworkError, OSError):
    """As ``HfHubHTTPError``."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = SimpleNamespace(
        files=FILES, cached=[], error=None, downloaded=[], errors=SimpleNamespace(HfHubHTTPError=HubError)
    )

    def model_info(repo: str, timeout: float):
        if fake.error is not None:
            raise fake.error
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in fake.files])

    def download(repo: str, file: str) -> str:
        fake.downloaded.append(file)
        (tmp_path / file).write_bytes(b"GGUF")
        return str(tmp_path / file)

    def snapshot(repo: str, local_files_only: bool) -> str:
        assert local_files_only
        if not fake.cached:
            raise FileNotFoundError("not in the cache")
        for file in fake.cached:
            (tmp_path / file).write_bytes(b"GGUF")
        return str(tmp_path)

    fake.HfApi = lambda: SimpleNamespace(model_info=model_info)
    fake.hf_hub_download, fake.snapshot_download = download, snapshot
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return fake


@pytest.mark.parametrize(
    "name", ["o/n", "Qwen/Qwen3-0.6B-GGUF", "o/n:Q4_K_M", "o/n:sub/m.gguf", "o/n.x:m.gguf"]
)
def test_these_are_names(name: str):
    assert is_hub_name(name)


@pytest.mark.parametrize(
    "name", ["10m", "10m-q8_0", "/o/n", "./o/n", "~/n", "a/b/c", "o/n.gguf", "o/", "/n", "o/n:", ""]
)
def test_these_are_none(name: str):
    assert not is_hub_name(name)


def test_a_path_that_is_there_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o" / "n").mkdir(parents=True)
    assert not is_hub_name("o/n")


@pytest.mark.parametrize(
    ("wanted", "files"),
    [
        (":m-Q8_0.gguf", ["m-Q8_0.gguf"]),
        (":q4_k_m", ["m-Q4_K_M.gguf"]),
        (":F16", ["m-F16-00001-of-00002.gguf", "m-F16-00002-of-00002.gguf"]),
        (":m-F16-00001-of-00002.gguf", ["m-F16-00001-of-00002.gguf", "m-F16-00002-of-00002.gguf"]),
    ],
)
def test_a_file_or_a_part_of_its_name_is_downloaded_whole(hub, wanted: str, files: list[str]):
    assert hub_file(f"o/n{wanted}").name == files[0]
    assert hub.downloaded == files


def test_the_only_file_needs_no_name(hub):
    hub.files = ["config.json", "m.gguf", "mmproj-x.gguf"]
    assert hub_file("o/n").name == "m.gguf"


def test_what_is_in_the_cache_needs_no_network(hub):
    hub.error, hub.cached = NetworkError("no network"), ["m-Q8_0.gguf"]
    assert hub_file("o/n:Q8_0").name == "m-Q8_0.gguf"
    assert hub.downloaded == []
    hub.cached = ["m-F16-00001-of-00002.gguf"]  # half of it
    with pytest.raises(ServerError, match="no network"):
        hub_file("o/n:F16")


@pytest.mark.parametrize(
    "error", [NetworkError("down\nand out"), HubError("401"), OSError("x"), ValueError("bad name")]
)
def test_offline_is_said_with_another_way(hub, error: Exception):
    hub.error = error
    with (
        pytest.raises(ServerError, match="o/n cannot be had from Hugging Face") as caught,
        open_server("local:o/n"),
    ):
        pass
    assert "local:PATH" in (caught.value.hint or "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("", "3 GGUF files: m-F16"), (":Q2", "no such GGUF file like Q2: "), (":m-", "3 GGUF files like m-")],
)
def test_more_than_one_and_none_are_told_with_those_that_there_are(hub, wanted: str, said: str):
    with pytest.raises(ConfigError, match=said) as caught:
        hub_file(f"o/n{wanted}")
    assert "local:o/n:m-" in (caught.value.hint or "")
    assert hub.downloaded == []


def test_a_repository_without_gguf_is_refused(hub):
    hub.files = ["model.safetensors"]
    with pytest.raises(ConfigError, match="has no GGUF file"):
        hub_file("o/n")


def test_without_the_package_the_hint_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError) as caught:
        hub_file("o/n")
    assert "pip install huggingface_hub" in (caught.value.hint or "")
