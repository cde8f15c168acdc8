"""Retrieval both ways between images and their captions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.data.dataset import ClipItem
from mmssl.errors import EvaluationError
from mmssl.evaluation.cross_modal import Kind, both_ways
from mmssl.evaluation.found_images import draw_found_images
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.models.image_text import ImageTextEncoder

TEXTS_AT_ONCE = 256
IMAGES = Kind("image", "images", "images")
TEXTS = Kind("text", "captions", "different captions")


@dataclass(frozen=True)
class Pairs:
    """The scored images and the captions of all of them, each different caption once.

    Args:
        places: Of the images in the table.
        texts: Different captions.
        images: Of each pair of an image and a caption of its own, the image.
        captions: Of each pair, the caption.
    """

    places: Tensor
    texts: tuple[str, ...]
    images: Tensor
    captions: Tensor

    def belongs(self) -> Bool[Tensor, "images texts"]:
        """Whether each text belongs to each image."""
        found = torch.zeros(len(self.places), len(self.texts), dtype=torch.bool)
        found[self.images, self.captions] = True
        return found


def image_text_retrieval(subject: Subject, *, split: str = "test", ks: tuple[int, ...] = (1, 5, 10)) -> list[ReportRow]:
    """Looks each caption's image up among all images of a split, and each image's captions among all captions.

    Args:
        subject: Its clips hold captions, and its encoder knows text; its `out` gets pictures of what some captions find.
        split: That is scored; all clips where none is of it.
        ks: For which k to give R@k.

    Returns:
        R@k and the median rank of the first right one, from text to image and from image to text, then what a random ranking
        gives.

    Raises:
        EvaluationError: If the encoder knows no text, or there are no captions.

    Source:
        Hodosh, Young and Hockenmaier 2013, "Framing image description as a ranking task", 4.
    """
    encoder = subject.encoder.encoder
    if not isinstance(encoder, ImageTextEncoder):
        raise EvaluationError(f"{subject.encoder.reference}: knows no text; give an encoder of images and text")
    pairs, scored = _pairs(subject, split)
    images = normalize(torch.from_numpy(subject.embeddings().embeddings[pairs.places.numpy()].copy()), dim=1)
    similarity = images @ text_embeddings(encoder.to(subject.device).eval(), pairs.texts).T
    belongs = pairs.belongs()
    if subject.out is not None and subject.clips is not None:
        draw_found_images(subject.out, subject.clips, pairs.places.tolist(), pairs.texts, similarity.T, belongs.T)
    return both_ways(
        subject,
        "image_text_retrieval",
        similarity,
        belongs,
        rows=IMAGES,
        columns=TEXTS,
        split=scored,
        ks=ks,
    )


def _pairs(subject: Subject, split: str) -> tuple[Pairs, str]:
    if subject.clips is None:
        raise EvaluationError("image_text_retrieval needs clips, whose captions it reads; give `clips`")
    items = subject.clips.items
    places = [place for place, item in enumerate(items) if item.split == split and item.captions]
    scored = split
    if not places:
        places, scored = [place for place, item in enumerate(items) if item.captions], "all"
    if not places:
        raise EvaluationError(f"none of {len(items)} clips has a caption; give the manifest captions")
    return captioned_pairs(items, places), scored


def captioned_pairs(items: Sequence[ClipItem], places: Sequence[int]) -> Pairs:
    """The clips at some places, all of which have captions, with these."""
    numbers: dict[str, int] = {}
    pairs = [
        (row, numbers.setdefault(caption.lower(), len(numbers)))
        for row, place in enumerate(places)
        for caption in items[place].captions
    ]
    images, captions = torch.tensor(pairs).T
    return Pairs(torch.tensor(places), tuple(numbers), images, captions)


def text_embeddings(encoder: ImageTextEncoder, texts: Sequence[str]) -> Float[Tensor, "texts dim"]:
    """Unit vectors of sentences, on the CPU."""
    with torch.inference_mode():
        parts = [
            normalize(encoder.embed_texts(texts[start : start + TEXTS_AT_ONCE]).float().cpu(), dim=1)
            for start in range(0, len(texts), TEXTS_AT_ONCE)
        ]
    return torch.cat(parts)
