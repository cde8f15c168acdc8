"""From embeddings to answers: probabilities, the best classes, and 'none of these'."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmssl.data.manifest import ManifestRow
from mmssl.errors import ConfigError
from mmssl.zeroshot.classes import ClassList

NONE_OF_THESE = "none of these"


@dataclass(frozen=True)
class Answer:
    """What became of an image, a video or a segment.

    Args:
        id: Of the item.
        path: Of its file.
        media_type: `image` or `video`.
        start_seconds: Begin of the segment; None for an image or a whole file.
        end_seconds: Its end.
        label: Its class, where it is known.
        status: `ok` or `rejected`.
        error_type: Why it was rejected: name of the error's class.
        error_message: Why it was rejected, as a sentence.
        answer: The best class, or `none of these`; None where it was rejected.
        similarity: Cosine similarity with the best class.
        classes: The best classes, best first.
        probabilities: Of these classes, over all classes.
        group: The best group of classes, where classes have parents.
        group_probability: Sum over the classes of that group.
    """

    id: str
    path: str
    media_type: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    label: str | None = None
    status: str = "ok"
    error_type: str | None = None
    error_message: str | None = None
    answer: str | None = None
    similarity: float | None = None
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    group: str | None = None
    group_probability: float | None = None


@dataclass(frozen=True)
class Classifier:
    """Says which of some classes an embedding is nearest to.

    Args:
        classes: What is looked for.
        embeddings: A unit vector for each leaf.
        scale: What cosine similarities are multiplied with before the softmax: the model's own.
        top: How many classes an answer names.
        threshold: Cosine similarity with the best class below which the answer is 'none of these'; None for no such answer.
    """

    classes: ClassList
    embeddings: Float[Tensor, "leaves dim"]
    scale: float
    top: int = 5
    threshold: float | None = None

    def similarities(self, embeddings: Float[Tensor, "items dim"]) -> Float[np.ndarray, "items leaves"]:
        """Cosine similarities of unit vectors with each class."""
        found: Float[np.ndarray, "items leaves"] = (embeddings @ self.embeddings.T).numpy()
        return found

    def probabilities(self, similarities: Float[np.ndarray, "items leaves"]) -> Float[np.ndarray, "items leaves"]:
        """Of each class, by the model's own scale."""
        found: Float[np.ndarray, "items leaves"] = torch.from_numpy(similarities).mul(self.scale).softmax(1).numpy()
        return found

    def answers(self, rows: Sequence[ManifestRow], similarities: Float[np.ndarray, "rows leaves"]) -> list[Answer]:
        """An answer for each row; of equal classes the one that was given first is better."""
        probabilities = self.probabilities(similarities)
        best = ranking(similarities, self.top)
        groups = self.classes.rolled_up(probabilities)
        return [
            self._answer(row, similarities[place], probabilities[place], best[place], groups[place])
            for place, row in enumerate(rows)
        ]

    def _answer(
        self,
        row: ManifestRow,
        similarities: np.ndarray,
        probabilities: np.ndarray,
        best: np.ndarray,
        groups: np.ndarray,
    ) -> Answer:
        facts = {
            "id": row.id,
            "path": row.uri,
            "media_type": row.media_type,
            "start_seconds": row.start,
            "end_seconds": row.end,
            "label": row.label,
        }
        if row.status != "ok":
            why = {"error_type": row.error_type, "error_message": row.error_message}
            return Answer(**facts, status=row.status, **why)  # type: ignore[arg-type]
        names = self.classes.names
        similarity = float(similarities[best[0]])
        accepted = self.threshold is None or similarity >= self.threshold
        group: dict[str, object] = {}
        if self.classes.groups:
            highest = int(groups.argmax())
            group = {"group": self.classes.groups[highest], "group_probability": float(groups[highest])}
        return Answer(
            **facts,  # type: ignore[arg-type]
            answer=names[best[0]] if accepted else NONE_OF_THESE,
            similarity=similarity,
            classes=tuple(names[number] for number in best),
            probabilities=tuple(float(probabilities[number]) for number in best),
            **group,  # type: ignore[arg-type]
        )


def ranking(similarities: Float[np.ndarray, "items leaves"], top: int) -> Int[np.ndarray, "items top"]:
    """Places of the best classes of each item, best first; of equal ones the first is better."""
    order: Int[np.ndarray, "items top"] = np.argsort(-similarities, axis=1, kind="stable")[:, :top]
    return order


def calibrated_threshold(best: Float[np.ndarray, " background"], *, false_accepts: float) -> float:
    """The least similarity at which something that is none of the classes is accepted no more often than asked for.

    Where new images that are none of the classes are drawn like the given ones, each is accepted with a probability of at most
    `false_accepts`, whatever the model.

    Args:
        best: Cosine similarity of each of some images that show none of the classes with its best class.
        false_accepts: Share, above 0 and below 1.

    Raises:
        ConfigError: If there are too few images for that share.

    Source:
        Split conformal prediction: Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world", 4.
    """
    if not 0 < false_accepts < 1:
        raise ConfigError(f"false_accepts is {false_accepts}; it must lie between 0 and 1")
    needed = math.ceil((len(best) + 1) * (1 - false_accepts) - 1e-9)
    if needed > len(best):
        least = math.ceil(1 / false_accepts - 1 - 1e-9)
        raise ConfigError(
            f"{len(best)} images that show none of the classes are too few to accept at most {false_accepts:g} of them "
            f"wrongly; give at least {least}, or a larger share"
        )
    return float(np.nextafter(np.sort(best)[needed - 1], np.float32(2)))
