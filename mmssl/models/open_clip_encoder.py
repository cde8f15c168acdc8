"""Any model of open_clip: both towers as one encoder, pretrained or from scratch."""

import copy
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mmssl.config import Spec, build
from mmssl.errors import ConfigError
from mmssl.functional.framing import Framing
from mmssl.models.image_text import ImageTextEncoder
from mmssl.models.time_pool import POOL_CHOICE

CONFIG_FILE = "open_clip_config.json"
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
RESIZE_MODES: dict[str, Any] = {"shortest": "cover", "longest": "contain", "squash": "squash"}


class OpenClip(ImageTextEncoder):
    """A model of open_clip. Weights are random.

    Its feature maps are those of the image squashed to the model's own size, resized to one cell for each `stride` pixels.

    Args:
        model: Name in open_clip, such as `ViT-B-32`.
        config: In place of a name: what a `open_clip_config.json` holds as `model_cfg`.
        preprocess: How images are prepared: `mean`, `std`, `interpolation`, `resize_mode`, as in `preprocess_cfg` of such a
            file; CLIP's own where not given.
        tokenizer: Folder of the tokenizer's files, for models whose tokenizer comes from the Hugging Face hub.
        pool: How the embeddings of a clip's frames become one, see `ImageTextTowers`.

    Raises:
        ConfigError: If open_clip has no such model, or it needs a package that is not installed.
    """

    def __init__(
        self,
        *,
        model: str = "",
        config: dict[str, Any] | None = None,
        preprocess: dict[str, Any] | None = None,
        tokenizer: str | None = None,
        pool: Annotated[Spec | str, POOL_CHOICE] = "mean",
    ) -> None:
        super().__init__()
        if bool(model) == (config is not None):
            raise ConfigError("give either model, a name in open_clip, or config")
        self.config = known_config(model) if config is None else config
        self.model = _create(self.config, model)
        prepared: dict[str, Any] = {
            "mean": CLIP_MEAN,
            "std": CLIP_STD,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        }
        prepared |= {key: value for key, value in (preprocess or {}).items() if value is not None}
        visual = self.model.visual
        height, width = (visual.image_size,) * 2 if isinstance(visual.image_size, int) else visual.image_size
        self.framing = Framing(
            (height, width),
            mode=RESIZE_MODES[prepared["resize_mode"]],
            bicubic=prepared["interpolation"] != "bilinear",
            fill=int(prepared.get("fill_color", 0)),
        )
        self.input = "rgb"
        self.dim = int(self.config["embed_dim"])
        self.pool = build(pool, POOL_CHOICE, dim=self.dim)
        self.register_buffer("mean", torch.tensor(prepared["mean"])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(prepared["std"])[:, None, None], persistent=False)
        self.stride, self.feature_dim = self._map_facts()
        self.tokenizer_folder = tokenizer
        self._tokenizer: Any = None

    mean: Tensor
    std: Tensor

    @property
    def log_scale(self) -> nn.Parameter:
        """See `ImageTextEncoder`."""
        scale: nn.Parameter = self.model.logit_scale
        return scale

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """Embeds RGB images in 0..1; those of another size than `framing`'s are squashed to it."""
        embeddings: Tensor = self.model.encode_image(self._seen(images))
        return embeddings

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps; see `Encoder`."""
        cells = [-(-side // self.stride) for side in images.shape[-2:]]
        found = self._map(self._seen(images))
        return found if list(found.shape[-2:]) == cells else interpolate(found, cells, mode="bilinear", antialias=True)

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "texts length"]:
        """See `ImageTextEncoder`."""
        if self._tokenizer is None:
            self._tokenizer = _create_tokenizer(self.config["text_cfg"], self.tokenizer_folder)
        tokens: Tensor = self._tokenizer(list(texts))
        return tokens

    def embed_tokens(self, tokens: Int[Tensor, "texts length"]) -> Float[Tensor, "texts dim"]:
        """See `ImageTextEncoder`."""
        embeddings: Tensor = self.model.encode_text(tokens)
        return embeddings

    def _seen(self, images: Tensor) -> Tensor:
        return (self._fitted(images) - self.mean) / self.std

    def _map(self, seen: Tensor) -> Tensor:
        visual = self.model.visual
        if hasattr(visual, "forward_intermediates"):
            found = visual.forward_intermediates(seen, indices=1, output_fmt="NCHW", intermediates_only=True)
            last: Tensor = found["image_intermediates"][-1]
            return last
        stages: Tensor = visual.layer4(visual.layer3(visual.layer2(visual.layer1(visual.stem(seen)))))
        return stages

    def _map_facts(self) -> tuple[int, int]:
        """Stride and channels of the last map."""
        visual = self.model.visual
        if hasattr(visual, "patch_size"):
            return int(visual.patch_size[0]), int(visual.conv1.out_channels)
        if hasattr(visual, "trunk"):
            level = visual.trunk.feature_info[-1]
            return int(level["reduction"]), int(level["num_chs"])
        return 32, int(visual.layer4[-1].conv3.out_channels)


def known_config(model: str) -> dict[str, Any]:
    """The configuration of a model that open_clip knows by name.

    Raises:
        ConfigError: If it knows none of that name.
    """
    import open_clip

    found: dict[str, Any] | None = open_clip.get_model_config(model) if ":" not in model else None
    if found is None:
        stem = model.split("-")[0].lower()
        close = [name for name in open_clip.list_models() if stem in name.lower()][:6]
        raise ConfigError(f"open_clip has no model {model!r}" + (f"; it has {close}" if close else ""))
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """What a folder's `open_clip_config.json` holds: `model_cfg` and perhaps `preprocess_cfg`.

    Raises:
        ConfigError: If it is damaged.
    """
    file = folder / CONFIG_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {"model_cfg": dict(content["model_cfg"]), "preprocess_cfg": dict(content.get("preprocess_cfg") or {})}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: is not the configuration of an open_clip model: {error!r}") from error


@contextmanager
def quiet_open_clip() -> Iterator[None]:
    """Keeps open_clip's notes out of standard error; what is wrong is raised."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _create(config: Mapping[str, Any], name: str) -> Any:
    """The model that a configuration describes; no weights of its parts are fetched."""
    import open_clip

    settings = copy.deepcopy(dict(config))
    text, vision = settings.get("text_cfg", {}), settings.get("vision_cfg", {})
    custom = settings.pop("custom_text", False) or "hf_model_name" in text
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False
    if "hf_model_name" in text:
        text["hf_model_pretrained"] = False
    kind: Any = open_clip.CLIP
    if custom:
        kind = open_clip.CoCa if "multimodal_cfg" in settings else open_clip.CustomTextCLIP
    try:
        with quiet_open_clip():
            return kind(**settings)
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, KeyError, OSError) as error:
        reason = " ".join(str(error).split()) or repr(error)
        raise ConfigError(f"open_clip cannot build {name or 'the model of the configuration'}: {reason}") from error


def _create_tokenizer(text: Mapping[str, Any], folder: str | None) -> Any:
    """The tokenizer of a text tower.

    Raises:
        ConfigError: If it needs a package or files that are not there.
    """
    from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer, SimpleTokenizer

    length = text.get("context_length", DEFAULT_CONTEXT_LENGTH)
    options = text.get("tokenizer_kwargs") or {}
    name = text.get("hf_tokenizer_name")
    if not name:
        return SimpleTokenizer(context_length=length, **options)
    try:
        with quiet_open_clip():
            return HFTokenizer(
                folder or name, context_length=length, tokenizer_mode=text.get("tokenizer_mode"), **options
            )
    except Exception as error:
        raise ConfigError(
            f"the model's tokenizer is {name} of the Hugging Face hub, which cannot be had: {str(error).splitlines()[0]}; it "
            "needs the package transformers and its files, in the folder of the model or in the hub's cache"
        ) from error
