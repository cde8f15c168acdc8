"""Where the weights of open_clip's models come from: a file, a folder, or a tag of the hub."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmssl.config import Spec
from mmssl.errors import CheckpointError, ConfigError
from mmssl.models.open_clip_encoder import CONFIG_FILE, OpenClip, known_config, quiet_open_clip, read_config
from mmssl.models.timm_encoder import reachable

WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin")
"""Names under which open_clip's weights lie in a folder, by preference."""


@dataclass(frozen=True)
class OpenClipReference:
    """`open_clip:MODEL[:PRETRAINED]`, taken apart.

    Args:
        model: Name in open_clip, or a folder with `open_clip_config.json`.
        pretrained: Tag or file; empty where none is given.
    """

    model: str
    pretrained: str = ""

    @staticmethod
    def parse(reference: str) -> "OpenClipReference":
        """Takes a reference apart; a folder may hold colons, and so may a file."""
        rest = reference.removeprefix("open_clip:")
        if (Path(rest) / CONFIG_FILE).is_file():
            return OpenClipReference(rest)
        model, _, pretrained = rest.partition(":")
        return OpenClipReference(model, pretrained)

    def spec(self) -> Spec:
        """Builds the model again.

        Raises:
            ConfigError: If there is no such model.
        """
        folder = Path(self.model)
        if (folder / CONFIG_FILE).is_file():
            found = read_config(folder)
            spec: Spec = {"name": "open_clip", "config": found["model_cfg"], "preprocess": found["preprocess_cfg"]}
            if found["model_cfg"].get("text_cfg", {}).get("hf_tokenizer_name"):
                spec["tokenizer"] = str(folder.resolve())
            return spec
        from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

        known_config(self.model)
        tags = list_pretrained_tags_by_model(self.model)
        facts = get_pretrained_cfg(self.model, self.pretrained) or get_pretrained_cfg(
            self.model, tags[0] if tags else ""
        )
        name = self.model
        if facts.get("quick_gelu") and get_pretrained_cfg(self.model, self.pretrained) and "quickgelu" not in name:
            name = f"{name}-quickgelu"
            known_config(name)
        prepared = {key: facts[key] for key in ("mean", "std", "interpolation", "resize_mode") if facts.get(key)}
        prepared = {key: list(value) if isinstance(value, tuple) else value for key, value in prepared.items()}
        return {"name": "open_clip", "model": name, **({"preprocess": prepared} if prepared else {})}


def load_open_clip(reference: str) -> tuple[OpenClip, Spec, str]:
    """The model that a reference names, with its weights, which are never random.

    Args:
        reference: `open_clip:MODEL:TAG`, `open_clip:MODEL:FILE` or `open_clip:FOLDER`.

    Returns:
        The model, what builds it, and where its weights came from.

    Raises:
        CheckpointError: If there is no such model, or its weights are not there, damaged or another model's.
    """
    parts = OpenClipReference.parse(reference)
    try:
        spec = parts.spec()
        file = weights_file(parts, reference)
        encoder = OpenClip(**{key: value for key, value in spec.items() if key != "name"})
    except ConfigError as error:
        raise CheckpointError(f"{reference}: {'; '.join(str(error).splitlines())}") from error
    _load(encoder, file)
    return encoder, spec, parts.pretrained if parts.pretrained and not Path(parts.pretrained).is_file() else file.name


def weights_file(parts: OpenClipReference, reference: str) -> Path:
    """The file that a reference's weights are in, fetched where that is possible.

    Raises:
        CheckpointError: If it is not there; the message says which file to bring, and where it is looked for.
    """
    from open_clip.pretrained import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model

    folder = Path(parts.model)
    if (folder / CONFIG_FILE).is_file():
        for name in WEIGHT_FILES:
            if (folder / name).is_file():
                return folder / name
        raise CheckpointError(
            f"{folder}: holds no weights beside {CONFIG_FILE}; bring one of {', '.join(WEIGHT_FILES)}"
        )
    tags = list_pretrained_tags_by_model(parts.model)
    if not parts.pretrained:
        raise CheckpointError(
            f"{reference}: weights are not named; give open_clip:{parts.model}:FILE with a file of its weights"
            + (f", or a tag in place of FILE: {', '.join(tags[:8])}" if tags else "")
        )
    if Path(parts.pretrained).is_file():
        return Path(parts.pretrained)
    facts = get_pretrained_cfg(parts.model, parts.pretrained)
    if not facts:
        raise CheckpointError(
            f"{reference}: {parts.pretrained!r} is neither a file nor a tag of {parts.model}"
            + (f", whose tags are {', '.join(tags)}" if tags else ", which has no tags")
        )
    places = _places(facts)
    for place in places:
        if place.cached is not None:
            return place.cached
    wanted = " or ".join(place.source for place in places)
    looked = ", ".join(dict.fromkeys(str(place.folder) for place in places))
    instead = (
        f"bring the file {wanted} and give open_clip:{parts.model}:FILE; it was looked for in {looked}. "
        "Random weights are used only where random:open_clip:MODEL asks for them"
    )
    if not any(reachable(place.server) for place in places[:1]):
        raise CheckpointError(f"{reference}: its weights are not on this machine and no hub can be reached; {instead}")
    try:
        with quiet_open_clip():
            return Path(download_pretrained(facts))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{reference}: its weights could not be fetched: {reason}; {instead}") from error


@dataclass(frozen=True)
class _Place:
    """Where a file of weights could be.

    Args:
        source: Address of the file.
        server: To ask whether there is a network.
        folder: Of the cache.
        cached: The file, where it is there.
    """

    source: str
    server: str
    folder: Path
    cached: Path | None


def _places(facts: dict[str, Any]) -> list[_Place]:
    """The hub's files, then the plain address, of a tag."""
    import huggingface_hub

    places = []
    if facts.get("hf_hub"):
        repository, _, name = facts["hf_hub"].rpartition("/")
        for file in [name] if name else WEIGHT_FILES[:2]:
            found = huggingface_hub.try_to_load_from_cache(repository, file)
            endpoint = huggingface_hub.constants.ENDPOINT
            cached = Path(found) if isinstance(found, str) else None
            folder = Path(huggingface_hub.constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
            places.append(_Place(f"{endpoint}/{repository}/resolve/main/{file}", endpoint, folder, cached))
    if facts.get("url"):
        file = Path.home() / ".cache" / "clip" / Path(facts["url"]).name
        server = "/".join(facts["url"].split("/")[:3])
        places.append(_Place(facts["url"], server, file.parent, file if file.is_file() else None))
    return places


def _load(encoder: OpenClip, file: Path) -> None:
    """Puts the weights of a file into a model; all of them, or none.

    Raises:
        CheckpointError: If the file cannot be read, or holds another model's weights.
    """
    import open_clip

    if not file.is_file():
        raise CheckpointError(f"{file}: there is no such file of weights")
    try:
        with quiet_open_clip():
            open_clip.load_checkpoint(encoder.model, str(file), strict=True, weights_only=True)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        reason = lines[1] if "state_dict" in lines[0] and len(lines) > 1 else lines[0]
        raise CheckpointError(f"{file}: its weights are damaged or of another model: {reason[:200]}") from error


DEFAULT_MODEL, DEFAULT_TAG = "ViT-B-32", "laion2b_s34b_b79k"


def named_model(model: str, pretrained: str | None) -> str:
    """The reference that a model and its weights, as a command line gives them, stand for.

    Args:
        model: Reference of an encoder, a folder, or a name in open_clip.
        pretrained: Tag or file, for a name in open_clip.

    Raises:
        CheckpointError: If weights are named for something that brings its own.
    """
    folder = Path(model)
    is_reference = model.startswith(("open_clip:", "random:")) or (
        folder.is_dir() and not (folder / CONFIG_FILE).is_file()
    )
    if pretrained is None:
        if model == DEFAULT_MODEL:
            return f"open_clip:{model}:{DEFAULT_TAG}"
        return model if is_reference else f"open_clip:{model}"
    if is_reference or folder.is_dir():
        raise CheckpointError(f"{model}: brings its weights itself; leave --pretrained {pretrained} out")
    return f"open_clip:{model}:{pretrained}"
