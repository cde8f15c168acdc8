"""Follows a training on captions: retrieval both ways, and classes by their names, among some of its clips."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.data.dataset import ClipSource, evenly_spaced
from mmssl.errors import EvaluationError
from mmssl.evaluation.cross_modal import first_ranks
from mmssl.evaluation.image_text_retrieval import captioned_pairs, text_embeddings
from mmssl.models.encoder import Encoder, encoder_input
from mmssl.models.image_text import ImageTextEncoder
from mmssl.models.modes import looking_only

NUM_CLIPS = 500
IMAGES_AT_ONCE = 32
RECALLS = (1, 5, 10)
TEMPLATE = "a photo of a {}."


class ImageTextProbe:
    """Looks captions up among images and images among captions; it learns nothing, so that it has no state.

    Where the clips have labels, images are also classified by the names of these, without training: zero-shot.

    Args:
        source: Up to 500 of its clips with captions, evenly spread, are looked at. Give clips that are
            not trained on, and not those that are reported.

    Raises:
        EvaluationError: If no clip has a caption.
    """

    def __init__(self, source: ClipSource) -> None:
        captioned = [place for place, item in enumerate(source.items) if item.captions]
        if not captioned:
            raise EvaluationError(f"a probe of captions needs some, and none of {len(source)} clips has one")
        self._source = source
        self._places = [captioned[number] for number in evenly_spaced(len(captioned), NUM_CLIPS)]
        items = [source.items[place] for place in self._places]
        self._pairs = captioned_pairs(items, range(len(items)))
        labels = [item.label for item in items]
        self._classes = sorted({label for label in labels if label is not None})
        self._labels = torch.tensor([self._classes.index(label) if label is not None else -1 for label in labels])

    def look(self, encoder: Encoder) -> dict[str, float]:
        """Recalls both ways, and the share of right classes; see `OnlineProbe`."""
        assert isinstance(encoder, ImageTextEncoder)
        with looking_only(encoder):
            images = self._images(encoder)
            similarity = images @ text_embeddings(encoder, self._pairs.texts).T
            found: dict[str, float] = {}
            belongs = self._pairs.belongs()
            ways = (("text_to_image", similarity.T, belongs.T), ("image_to_text", similarity, belongs))
            for name, scores, right in ways:
                ranks = first_ranks(scores, right)
                found |= {f"{name}_recall_{k}": float((ranks <= k).double().mean()) for k in RECALLS}
            if len(self._classes) > 1:
                found["zero_shot_accuracy"] = self._zero_shot(encoder, images)
        return found

    def state(self) -> dict[str, Tensor]:
        """Nothing: a look depends on the encoder alone."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes over what `state` gave."""

    def _zero_shot(self, encoder: ImageTextEncoder, images: Float[Tensor, "images dim"]) -> float:
        prompts = [TEMPLATE.format(name.replace("_", " ")) for name in self._classes]
        answers = (images @ text_embeddings(encoder, prompts).T).argmax(1)
        return float((answers == self._labels)[self._labels >= 0].double().mean())

    def _images(self, encoder: ImageTextEncoder) -> Float[Tensor, "images dim"]:
        device = encoder.log_scale.device
        parts: list[Tensor] = []
        at_once = max(1, IMAGES_AT_ONCE // max(1, len(self._source.items[0].pts_seconds)))
        for start in range(0, len(self._places), at_once):
            clips = self._source.clips(self._places[start : start + at_once])
            embedded = encoder.embed_frames(encoder_input(clips.to(device)))
            parts.append(normalize(embedded.float().cpu(), dim=1))
        return torch.cat(parts)
