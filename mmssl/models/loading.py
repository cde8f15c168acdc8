"""Encoders from references and on disk: a folder with `encoder.safetensors` and `card.json`, whole or not at all."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import mmssl
from mmssl import __version__
from mmssl.config import Spec, build, digest, normalized
from mmssl.errors import CheckpointError, ConfigError
from mmssl.files import atomic_folder
from mmssl.models import ENCODER_CHOICE, ENCODERS
from mmssl.models.encoder import Encoder
from mmssl.models.half_size import HalfSize
from mmssl.models.open_clip_weights import OpenClipReference, load_open_clip
from mmssl.models.references import DEFAULT, DEFAULT_IS, HALF, SHIPPED, WEIGHTLESS, parse_folder, parse_named, parse_sum
from mmssl.models.timm_encoder import load_timm_encoder
from mmssl.models.weighted_sum import WeightedSum

WEIGHTS_FILE = "encoder.safetensors"
CARD_FILE = "card.json"
CHECKPOINT_FOLDER = "checkpoint"
SHIPPED_FOLDER = Path(mmssl.__file__).parent / "weights"
"""The checkpoint that comes with this package."""
TRAINED = tuple(
    name for name in ENCODERS if name not in (*WEIGHTLESS, "audio_visual", "image_text", "open_clip", "timm")
)


@dataclass(frozen=True)
class EncoderCard:
    """What there is to know of an encoder besides its weights.

    Args:
        spec: `{"name": entry of ENCODERS, settings}`.
        input: What it sees of an image: `rgb`, `lab` or `lightness`.
        stride: Pixels per cell of a feature map.
        dim: Length of an embedding.
        feature_dim: Channels of a feature map.
        digest: Of spec and weights.
        version: Of this package, when it was written.
        facts: Whatever else was recorded, such as the recipe's digest and the steps of training.
    """

    spec: Spec
    input: str
    stride: int
    dim: int
    feature_dim: int
    digest: str
    version: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in evaluation mode, and where it comes from.

    Args:
        encoder: Ready for use.
        reference: What it was asked for by.
        digest: Names spec and weights: encoders of one digest give the same results.
        card: See `EncoderCard`.
    """

    encoder: Encoder
    reference: str
    digest: str
    card: EncoderCard


def load_encoder(reference: str, *, seed: int = 0) -> LoadedEncoder:
    """Loads the encoder that a reference names.

    Args:
        reference: A checkpoint folder, or the folder of a training stage that holds one; `lab`, `pixels`, `mfcc` or
            `log_mel`; `timm:NAME` or `timm:NAME@FILE`; `open_clip:MODEL:TAG`, `open_clip:MODEL:FILE` or
            `open_clip:FOLDER`; `random:` and one of these, or a name in ENCODERS, for its architecture with fresh weights.
            Settings follow a name or a folder after a colon: `lab:stride=16`, `mfcc:sample_rate=8000`,
            `timm:resnet50:output_stride=8@FILE`, `runs/cpc/cpc:embed=all`; those of a folder leave its weights as they are.
            `half:` before a reference shows that encoder the image at half its
            size, see `HalfSize`. `sum:0.7*lab+0.3*timm:NAME` adds up the similarities of several; see
            `WeightedSum`. `shipped` is what this package was trained to and carries along, `default` what
            `mmssl propagate` uses, see `DEFAULT_IS`.
        seed: Of fresh weights; global randomness stays as it was.

    Raises:
        CheckpointError: If there is no such encoder, or it is damaged or of another make.
    """
    if reference == DEFAULT:
        return replace(load_encoder(DEFAULT_IS), reference=reference)
    if reference.startswith("sum:"):
        return _load_sum(reference, seed)
    if reference.startswith(HALF):
        return _half_size(load_encoder(reference.removeprefix(HALF), seed=seed), reference)
    if reference.startswith("random:"):
        return _load_fresh(reference, seed)
    named = parse_named(reference, WEIGHTLESS)
    if named is not None and named.spec["name"] == "timm":
        settings = {key: value for key, value in named.spec.items() if key != "name"}
        try:
            encoder = load_timm_encoder(settings, Path(named.file) if named.file else None)
        except ConfigError as error:
            raise CheckpointError(f"{reference}: {'; '.join(str(error).splitlines())}") from error
        return _loaded(encoder, named.spec, reference, {"weights": named.file or "published"})
    if named is not None:
        return _loaded(_build(named.spec, reference), named.spec, reference, {"weights": "none"})
    if reference.startswith("open_clip:"):
        model, spec, weights = load_open_clip(reference)
        return _loaded(model, spec, reference, {"weights": weights})
    return _load_folder(reference)


def copy_weights(reference: str, encoder: Encoder, *, what: str) -> None:
    """Gives an encoder the weights of another one of the same make.

    What joins the frames of clips starts fresh where the other one has no weights for it.

    Args:
        reference: See `load_encoder`.
        encoder: Takes them over.
        what: The encoder in a message.

    Raises:
        ConfigError: If it is another network.
    """
    weights = load_encoder(reference).encoder.state_dict()
    fresh = {name: value for name, value in encoder.state_dict().items() if name.startswith("pool.")}
    try:
        encoder.load_state_dict(fresh | weights)
    except RuntimeError as error:
        raise ConfigError(f"{what} is another network than {reference}") from error


def save_encoder(folder: Path, encoder: Encoder, *, spec: Spec | str, facts: Mapping[str, Any]) -> EncoderCard:
    """Writes an encoder to a folder in the place of what the folder holds; an interruption leaves the old or nothing.

    Args:
        folder: Its parent is made if need be.
        encoder: Any of ENCODERS.
        spec: What it was built from.
        facts: JSON-like values for the card, nothing that depends on the clock.
    """
    weights = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    card = _card(encoder, normalized(spec), facts, weights)
    with atomic_folder(folder) as partial:
        save_file(weights, partial / WEIGHTS_FILE)
        (partial / CARD_FILE).write_text(json.dumps(asdict(card), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return card


def read_card(reference: str) -> EncoderCard:
    """The card of a checkpoint folder, or of a training stage's folder that holds one.

    Raises:
        CheckpointError: If there is none, or it is not one of ours.
    """
    return _read_card(_folder(reference))


def _folder(reference: str) -> Path:
    folder = SHIPPED_FOLDER if reference == SHIPPED else Path(reference)
    for candidate in (folder, folder / CHECKPOINT_FOLDER):
        if (candidate / CARD_FILE).is_file():
            return candidate
    if folder.exists():
        raise CheckpointError(f"{reference}: is no checkpoint: expected a folder with {CARD_FILE} and {WEIGHTS_FILE}")
    raise CheckpointError(
        f"{reference}: no such encoder; expected {DEFAULT}, {SHIPPED}, a checkpoint folder, {', '.join(WEIGHTLESS)}, "
        "timm:NAME[@FILE], open_clip:MODEL:TAG_OR_FILE, or random: and one of these"
    )


def _read_card(folder: Path) -> EncoderCard:
    path = folder / CARD_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: is damaged: {error}") from error
    names = {entry.name for entry in fields(EncoderCard)}
    if not isinstance(values, dict) or set(values) != names:
        raise CheckpointError(f"{path}: is not the card of an encoder, which holds {sorted(names)}")
    if not isinstance(values["spec"], dict) or not isinstance(values["digest"], str):
        raise CheckpointError(f"{path}: is damaged: its spec is no mapping or its digest no text")
    return EncoderCard(**values)


def _load_folder(reference: str) -> LoadedEncoder:
    of, settings = parse_folder(reference)
    folder = _folder(of)
    card = _read_card(folder)
    path = folder / WEIGHTS_FILE
    weights = _read_weights(path)
    if _digest(card.spec, weights) != card.digest:
        raise CheckpointError(
            f"{path}: the weights are not those that {CARD_FILE} was written for; copy the folder again"
        )
    spec = card.spec | settings
    with torch.random.fork_rng(devices=[]):
        encoder = _build(spec, reference)
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: the weights do not fit {spec} as this version {__version__} builds it; "
            f"they were written by version {card.version}"
        ) from error
    if settings:
        return _loaded(encoder, spec, reference, card.facts)
    return LoadedEncoder(encoder.eval(), reference, card.digest, card)


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: is missing or damaged: {error}") from error
    return weights


def _load_fresh(reference: str, seed: int) -> LoadedEncoder:
    """Fresh weights in the architecture of another encoder; what it keeps beside its weights, such as a vocabulary, is taken."""
    of = reference.removeprefix("random:")
    spec = _spec_of(of)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = _build(spec, reference)
    if not of.startswith("open_clip:") and parse_named(of, (*WEIGHTLESS, *TRAINED)) is None:
        kept = _read_weights(_folder(parse_folder(of)[0]) / WEIGHTS_FILE)
        encoder.load_state_dict({name: kept[name] for name in kept if name.endswith("_extra_state")}, strict=False)
    return _loaded(encoder, spec, reference, {"weights": "random", "seed": seed})


def _load_sum(reference: str, seed: int) -> LoadedEncoder:
    """A weighted sum, whose parts share an encoder where one sees the image and another the same image at half its size."""
    whole: dict[str, LoadedEncoder] = {}
    parts = []
    for weight, of in parse_sum(reference):
        name = of.removeprefix(HALF)
        loaded = whole[name] if name in whole else load_encoder(name, seed=seed)
        whole[name] = loaded
        parts.append((weight, loaded if of == name else _half_size(loaded, of)))
    encoder = WeightedSum([part.encoder for _, part in parts], [weight for weight, _ in parts])
    spec = {"name": "sum", "of": [{"weight": weight, "spec": part.card.spec} for weight, part in parts]}
    return _loaded(encoder, spec, reference, {"weights": [part.card.facts for _, part in parts]})


def _half_size(loaded: LoadedEncoder, reference: str) -> LoadedEncoder:
    card = replace(loaded.card, spec={"name": "half", "of": loaded.card.spec}, digest=digest(["half", loaded.digest]))
    return LoadedEncoder(HalfSize(loaded.encoder).eval(), reference, card.digest, card)


def _spec_of(reference: str) -> Spec:
    if reference.startswith("open_clip:"):
        try:
            return OpenClipReference.parse(reference).spec()
        except ConfigError as error:
            raise CheckpointError(f"random:{reference}: {'; '.join(str(error).splitlines())}") from error
    named = parse_named(reference, (*WEIGHTLESS, *TRAINED))
    if named is None:
        folder, settings = parse_folder(reference)
        return read_card(folder).spec | settings
    if named.spec["name"] in WEIGHTLESS:
        raise CheckpointError(f"random:{reference}: {named.spec['name']} has no weights that could be random")
    return named.spec


def _build(spec: Spec, reference: str) -> Encoder:
    try:
        encoder: Encoder = build(spec, ENCODER_CHOICE)
    except ConfigError as error:
        raise CheckpointError(
            f"{reference}: its encoder cannot be built: {'; '.join(str(error).splitlines())}"
        ) from error
    return encoder


def _loaded(encoder: Encoder, spec: Spec, reference: str, facts: Mapping[str, Any]) -> LoadedEncoder:
    card = _card(encoder, spec, facts, encoder.state_dict())
    return LoadedEncoder(encoder.eval(), reference, card.digest, card)


def _card(encoder: Encoder, spec: Spec, facts: Mapping[str, Any], weights: Mapping[str, Tensor]) -> EncoderCard:
    return EncoderCard(
        spec=spec,
        input=encoder.input,
        stride=encoder.stride,
        dim=encoder.dim,
        feature_dim=encoder.feature_dim,
        digest=_digest(spec, weights),
        version=__version__,
        facts=dict(facts),
    )


def _digest(spec: Spec, weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over spec and weights; over spec and version for an encoder that is code alone."""
    hashed = hashlib.sha256(digest(spec).encode())
    if not weights:
        hashed.update(__version__.encode())
    for name, tensor in sorted(weights.items()):
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()
