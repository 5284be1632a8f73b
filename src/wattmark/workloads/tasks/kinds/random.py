"""Tasks for which no package brings weights: the architecture with random ones, which costs what trained ones do and answers
nothing; so there is no score. The AI Energy Score does the same for eight of its nine tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.workloads.tasks.base import Answer, Model, ModelEntry, ModelFacts, Settings, Task, Unit
from wattmark.workloads.tasks.models.hub import diffusion, pretrained
from wattmark.workloads.tasks.models.threads import threads_of
from wattmark.workloads.tasks.weights import need_module

if TYPE_CHECKING:
    from torch import Tensor, nn

Array = NDArray[np.generic]
Batch = NDArray[Any]

INPUTS = 32
TEXT_TOKENS, TRANSLATED_TOKENS, CAPTION_TOKENS = 64, 24, 16
_VOCABULARY = 30_522
_SIDE = 224
_NOISE = 100


class Network:
    """A network of PyTorch. work: does a batch, and says how many units come out of each input."""

    def __init__(
        self,
        network: nn.Module,
        settings: Settings,
        work: Callable[[nn.Module, Tensor], int],
        units: int | None = None,
        *,
        random: bool = True,
    ) -> None:
        import torch

        torch.set_num_threads(threads_of(settings))
        self._network = network.to(settings.device).eval()
        self._work, self._device, self._units = work, settings.device, units
        parameters = list(network.parameters())
        size = sum(one.numel() * one.element_size() for one in parameters)
        self.facts = ModelFacts(sum(one.numel() for one in parameters), size, random)

    def infer(self, inputs: Sequence[Batch]) -> list[Answer[None]]:
        """What comes out means nothing and is dropped; its size is kept."""
        import torch

        if len({one.shape for one in inputs}) != 1 or not inputs[0].size:
            raise ConfigError("inputs of one batch must be of one shape, and not empty")
        with torch.inference_mode():
            outputs = self._work(self._network, torch.as_tensor(np.stack(inputs), device=self._device))
        size = float(inputs[0].size) if self._units is None else float(self._units)
        return [Answer(None, size, outputs) for _ in inputs]

    def close(self) -> None:
        """Nothing to give back."""


def _tokens(seed: int) -> Callable[[], Sequence[Batch]]:
    def inputs() -> Sequence[Batch]:
        rng = np.random.default_rng(seed)
        return [rng.integers(1_000, _VOCABULARY, TEXT_TOKENS, np.int64) for _ in range(INPUTS)]

    return inputs


def _images() -> Sequence[Batch]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(3, _SIDE, _SIDE)).astype(np.float32) for _ in range(INPUTS)]


def _noises() -> Sequence[Batch]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(_NOISE, 1, 1)).astype(np.float32) for _ in range(INPUTS)]


def _transformer(kind: str, config: str, settings: Settings, **sizes: object) -> nn.Module:
    """A network of transformers with random weights, always the same ones."""
    need_module("transformers")
    _seed(settings)
    library: Any = import_module("transformers")
    return getattr(library, kind)(getattr(library, config)(**sizes))


def _fill(network: nn.Module, ids: Tensor) -> int:
    network(input_ids=ids).logits[:, 1].argmax(dim=-1)
    return 1


def _detect(network: nn.Module, pixels: Tensor) -> int:
    return int(network(pixel_values=pixels).pred_boxes.shape[1])


def _distilbert(settings: Settings) -> Network:
    return Network(_transformer("DistilBertForMaskedLM", "DistilBertConfig", settings), settings, _fill)


def _masked_named(name: str, settings: Settings) -> Network:
    return Network(pretrained("AutoModelForMaskedLM", name, settings), settings, _fill, random=False)


def _translation_named(name: str, settings: Settings) -> Network:
    write = _writing(settings.output or TRANSLATED_TOKENS)
    return Network(pretrained("AutoModelForSeq2SeqLM", name, settings), settings, write, random=False)


def _detection_named(name: str, settings: Settings) -> Network:
    network = pretrained("AutoModelForObjectDetection", name, settings)
    return Network(network, settings, _detect, _SIDE * _SIDE, random=False)


def _captions_named(name: str, settings: Settings) -> Network:
    write = _writing(settings.output or CAPTION_TOKENS)
    network = pretrained("AutoModelForImageTextToText", name, settings)
    return Network(network, settings, write, _SIDE * _SIDE, random=False)


def _marian(settings: Settings) -> Network:
    tokens = settings.output or TRANSLATED_TOKENS
    network = _transformer(
        "MarianMTModel", "MarianConfig", settings, vocab_size=_VOCABULARY, d_model=512, encoder_layers=6, decoder_layers=6,
        encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, forced_eos_token_id=None,
    )  # fmt: skip
    return Network(network, settings, _writing(tokens))


def _writing(tokens: int) -> Callable[[nn.Module, Tensor], int]:
    """Greedy, always so many tokens."""

    def write(network: nn.Module, given: Tensor) -> int:
        generate: Any = network.generate
        generate(given, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, num_beams=1)
        return tokens

    return write


def _yolos(settings: Settings) -> Network:
    network = _transformer(
        "YolosForObjectDetection", "YolosConfig", settings, hidden_size=192, num_hidden_layers=12, num_attention_heads=3,
        intermediate_size=768, image_size=[_SIDE, _SIDE], num_detection_tokens=100, use_mid_position_embeddings=False,
    )  # fmt: skip

    return Network(network, settings, _detect, _SIDE * _SIDE)


def _captioner(settings: Settings) -> Network:
    need_module("transformers")
    _seed(settings)
    library: Any = import_module("transformers")
    encoder = library.ViTConfig(
        hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768
    )
    decoder = library.GPT2Config(n_layer=6, is_decoder=True, add_cross_attention=True)
    config = library.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id = 50_256, 50_256
    network: nn.Module = library.VisionEncoderDecoderModel(config=config)
    generation: Any = network.generation_config
    generation.decoder_start_token_id, generation.pad_token_id, generation.eos_token_id = (
        50_256,
        50_256,
        50_256,
    )
    return Network(network, settings, _writing(settings.output or CAPTION_TOKENS), _SIDE * _SIDE)


def _dcgan(settings: Settings) -> Network:
    """The generator of DCGAN (arXiv 1511.06434, figure 1): from 100 numbers to a picture of 64 x 64."""
    _seed(settings)
    from torch import nn

    widths = (_NOISE, 1024, 512, 256, 128)
    layers: list[nn.Module] = []
    for place, (before, after) in enumerate(pairwise(widths)):
        stride, padding = (1, 0) if place == 0 else (2, 1)
        layers += [
            nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    layers += [nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Tanh()]

    def draw(network: nn.Module, noise: Tensor) -> int:
        picture = network(noise)
        return int(picture.shape[-1] * picture.shape[-2])

    return Network(nn.Sequential(*layers), settings, draw, 1)


def _seed(settings: Settings) -> None:
    need_module("torch", extra="study")
    torch: Any = import_module("torch")
    torch.manual_seed(settings.seed)


def _task(
    name: str,
    title: str,
    units: tuple[Unit, Unit],
    inputs: Callable[[], Sequence[Batch]],
    model: tuple[str, Callable[[Settings], Model[Batch, None]], str],
    hub: Callable[[str, Settings], Model[Batch, None]],
    data: str,
) -> Task[Batch, None]:
    called, opener, summary = model
    entry: ModelEntry[Batch, None] = ModelEntry(opener, f"{summary}, random weights")
    return Task(name, title, *units, inputs, {called: entry}, data=data, path={"hf": hub})


MASKED_TOKEN = _task(
    "masked-token", "Masked-token prediction", ("token", "token"), _tokens(0),
    ("distilbert-random", _distilbert, "DistilBERT"), _masked_named, "32 texts of 64 random tokens",
)  # fmt: skip
TRANSLATION = _task(
    "translation", "Translation", ("token", "token"), _tokens(1),
    ("marian-random", _marian, "Marian, six layers of 512"), _translation_named, "32 texts of 64 random tokens",
)  # fmt: skip
OBJECT_DETECTION = _task(
    "object-detection", "Object detection", ("pixel", "token"), _images,
    ("yolos-tiny-random", _yolos, "YOLOS tiny"), _detection_named, "32 random pictures of 224 x 224",
)  # fmt: skip
IMAGE_CAPTIONING = _task(
    "image-captioning", "Image captioning", ("pixel", "token"), _images,
    ("vit-gpt2-random", _captioner, "ViT tiny and six layers of GPT-2"), _captions_named, "32 random pictures of 224 x 224",
)  # fmt: skip
IMAGE_GENERATION = _task(
    "image-generation", "Image generation", ("token", "pixel"), _noises,
    ("dcgan-random", _dcgan, "the generator of DCGAN, 64 x 64"), diffusion, "32 random vectors",
)  # fmt: skip
