"""The embeddings of classes: every prompt encoded, normalised, averaged and normalised again; kept in a cache."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.config import digest
from mmssl.errors import CheckpointError
from mmssl.files import atomic_file, user_cache
from mmssl.models.image_text import ImageTextEncoder
from mmssl.models.loading import LoadedEncoder
from mmssl.progress import Progress
from mmssl.zeroshot.classes import ClassList, ClassName
from mmssl.zeroshot.templates import filled

TEXTS_AT_ONCE = 256


def image_text_encoder(loaded: LoadedEncoder) -> ImageTextEncoder:
    """The encoder, which must know text.

    Raises:
        CheckpointError: If it only knows images.
    """
    if not isinstance(loaded.encoder, ImageTextEncoder):
        raise CheckpointError(
            f"{loaded.reference}: knows images and no text; give an open_clip model (open_clip:MODEL:TAG_OR_FILE) or the "
            "checkpoint of a training with the objective clip or siglip"
        )
    return loaded.encoder


def prompts_of(entry: ClassName, templates: Sequence[str]) -> list[list[str]]:
    """The prompts of a class, one list for each of its names; a sentence of its own takes the place of all templates."""
    sentences = entry.prompts or tuple(templates)
    filled_in = [[filled(sentence, words) for sentence in sentences] for words in entry.words]
    return [list(prompts) for prompts in dict.fromkeys(map(tuple, filled_in))]


def class_embeddings(
    loaded: LoadedEncoder, classes: ClassList, templates: Sequence[str], *, cache: Path | None = None
) -> Float[Tensor, "classes dim"]:
    """One unit vector for each leaf.

    For each name: all prompts encoded, each normalised, averaged, normalised again. For each class: the mean over its names,
    normalised.

    Args:
        loaded: Knows text.
        classes: What is looked for.
        templates: With a place for the name each.
        cache: Folder that keeps embeddings by model, templates and classes, where it can be written to; None for the user's
            own cache.

    Raises:
        CheckpointError: If the encoder knows no text, or gives an embedding that is not finite.
    """
    encoder = image_text_encoder(loaded)
    leaves = [(entry.words, entry.prompts) for entry in classes.leaves]
    key = digest(["class embeddings 1", loaded.digest, list(templates), leaves])
    file = (default_cache() if cache is None else cache) / f"{key}.safetensors"
    kept = _kept(file, len(leaves), encoder.dim)
    if kept is not None:
        return kept
    embeddings = _embed(encoder, loaded.reference, classes.leaves, templates)
    with suppress(OSError), atomic_file(file) as partial:
        save_file({"embeddings": embeddings}, partial)
    return embeddings


def default_cache() -> Path:
    """Where class embeddings are kept unless a folder is named."""
    return user_cache("class_embeddings")


def _kept(file: Path, count: int, dim: int) -> Tensor | None:
    """Embeddings of the cache; None where they are not there or damaged."""
    try:
        embeddings = load_file(file)["embeddings"].clone()
    except (OSError, SafetensorError, KeyError):
        return None
    return embeddings if embeddings.shape == (count, dim) and bool(torch.isfinite(embeddings).all()) else None


def _embed(
    encoder: ImageTextEncoder, reference: str, leaves: Sequence[ClassName], templates: Sequence[str]
) -> Float[Tensor, "classes dim"]:
    found = torch.empty(len(leaves), encoder.dim)
    with torch.inference_mode(), Progress("embed classes", len(leaves), unit="classes") as progress:
        for first, last, prompts in _groups(leaves, templates):
            flat = [prompt for names in prompts for sentences in names for prompt in sentences]
            parts = [flat[start : start + TEXTS_AT_ONCE] for start in range(0, len(flat), TEXTS_AT_ONCE)]
            unit = torch.cat([normalize(encoder.embed_texts(part).float().cpu(), dim=1) for part in parts])
            waiting = iter(torch.split(unit, [len(sentences) for names in prompts for sentences in names]))
            for place, names in zip(range(first, last), prompts, strict=True):
                each = torch.stack([normalize(next(waiting).mean(0), dim=0) for _ in names])
                found[place] = normalize(each.mean(0), dim=0)
            progress.advance(last - first)
    if not bool(torch.isfinite(found).all()):
        broken = leaves[int((~torch.isfinite(found).all(1)).nonzero()[0])].name
        raise CheckpointError(f"{reference}: its embedding of class {broken!r} is not finite; its weights are damaged")
    return found


def _groups(leaves: Sequence[ClassName], templates: Sequence[str]) -> Iterator[tuple[int, int, list[list[list[str]]]]]:
    """Neighboring classes with about as many prompts together as are encoded at once."""
    waiting: list[list[list[str]]] = []
    first = count = 0
    for place, entry in enumerate(leaves):
        waiting.append(prompts_of(entry, templates))
        count += sum(map(len, waiting[-1]))
        if count >= TEXTS_AT_ONCE or place == len(leaves) - 1:
            yield first, place + 1, waiting
            first, count, waiting = place + 1, 0, []
