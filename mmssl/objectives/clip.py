"""CLIP: an image or a clip and its caption attract each other, all other images and captions of the batch repel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.gather import gather_with_gradient, rank_offset
from mmssl.functional.image_text import ROWS_AT_ONCE, AllPairs, clip_loss, right_answers
from mmssl.functional.micro_batches import in_micro_batches
from mmssl.models.encoder import Encoder
from mmssl.models.image_text import MAX_LOG_SCALE, ImageTextEncoder
from mmssl.models.loading import copy_weights
from mmssl.models.towers import ImageTextTowers
from mmssl.objectives.locked_towers import LockedTowers, Tower
from mmssl.objectives.objective import Batch, FrozenPart, Objective, Output, kept_name


class CLIP(Objective):
    """Tells which caption of the batch belongs to an image and which image to a caption; the scale is learned.

    Captions that stand more than once in a batch are no negatives of each other's images. With a view that gives `frames`, such
    as `frames`, it is clips that captions are about; the encoder's `pool` makes an embedding of those of their frames.

    Args:
        encoder: Of images and text: `image_text` or `open_clip`.
        micro_batch: Pairs that go through the towers at a time; the rest of the batch waits as embeddings, and towers are
            computed again on the way back, so that the memory of a large batch is that of a small one. The gradient is the
            same, but for BatchNorm, which sees a part at a time. None for all at once.
        rows_at_once: Rows of the batch's scores that are held at a time; changes nothing but memory and time.
        image_from: Reference of an encoder whose weights the image tower of `image_text` starts with.
        text_from: Folder of a published sentence encoder, whose weights and vocabulary the text tower `bert` starts with.
        lock: Towers that stay as they are, with what `image_text` adds to them left free: `[image]`, `[text]` or both.
        lock_stages: How many of a tower's first stages stay as they are while the rest of it learns, such as `{text: 5}`. Of
            `bert`, the first is what words become before the blocks, and each block is one; of `timm`, the stem, each of
            timm's own, and what comes after them. BatchNorms of such a tower keep their statistics.
        initial_temperature: What 1 over the scale starts at; the encoder's own where not given.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "crop", "scale": [0.5, 1.0]}
    source = "Radford et al. 2021, arXiv:2103.00020"
    looks_across_batch = True
    needs_captions = True

    def __init__(
        self,
        encoder: Encoder,
        *,
        micro_batch: int | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
        image_from: str | None = None,
        text_from: str | None = None,
        lock: list[Tower] | None = None,
        lock_stages: dict[Tower, int] | None = None,
        initial_temperature: float | None = None,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, ImageTextEncoder):
            raise ConfigError(
                f"encoder: {type(encoder).__name__} knows no text; this objective trains image_text or open_clip"
            )
        if (micro_batch is not None and micro_batch < 1) or rows_at_once < 1:
            raise ConfigError("micro_batch and rows_at_once must be at least 1")
        self.micro_batch = micro_batch
        self.rows_at_once = rows_at_once
        if image_from is not None:
            copy_weights(image_from, _joined(encoder, "image_from").image, what="image_from: the image tower")
        if text_from is not None:
            _joined(encoder, "text_from").text.read(Path(text_from))
        self._locked = LockedTowers(encoder, lock or (), lock_stages or {})
        if initial_temperature is not None:
            with torch.no_grad():
                encoder.log_scale.fill_(-torch.tensor(initial_temperature).log())

    def train(self, mode: bool = True) -> "CLIP":
        """Sets the mode; locked towers stay in evaluation mode."""
        super().train(mode)
        self._locked.eval()
        return self

    @property
    def frozen(self) -> Mapping[str, FrozenPart]:
        """See `Objective`; what is locked of the towers of `image_text`."""
        return self._locked.frozen

    @property
    def towers(self) -> ImageTextEncoder:
        """The encoder, as what it is."""
        assert isinstance(self.encoder, ImageTextEncoder)
        return self.encoder

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "texts length"]:
        """See `Objective`."""
        return self.towers.tokenize(texts)

    def forward(self, batch: Batch) -> Output:
        """The loss of `image` or `frames` and `tokens`; `caption` holds the number of each caption."""
        images, texts = self._embeddings(batch)
        captions = batch["caption"]
        all_captions = gather_with_gradient(captions[:, None])[:, 0]
        everyone = AllPairs(gather_with_gradient(texts), rank_offset(len(images)), all_captions)
        scale = self.towers.log_scale.exp().reshape(())
        loss = self._loss(images, texts, scale, captions, everyone)
        with torch.no_grad():
            accuracy = right_answers(images, everyone.texts, captions, all_captions, rows_at_once=self.rows_at_once)
        return {"loss": loss, "accuracy": accuracy, "temperature": 1 / scale.detach()}

    def _embeddings(self, batch: Batch) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        """What both towers make of the batch, or what is left to do where a tower's features were kept."""
        found = []
        wholes: dict[str, Callable[[Tensor], Tensor]] = {
            "image": self.towers,
            "frames": self.towers.embed_frames,
            "tokens": self.towers.embed_tokens,
        }
        for entry, whole in wholes.items():
            rest, rows = whole, batch.get(entry)
            if rows is None and kept_name(entry) in batch:
                rest, rows = self._locked.rest(entry), batch[kept_name(entry)]
            if rows is not None:
                found.append(in_micro_batches(rest, rows, size=self.micro_batch, module=self.encoder))
        images, texts = found
        return images, texts

    def _loss(
        self,
        images: Float[Tensor, "batch dim"],
        texts: Float[Tensor, "batch dim"],
        scale: Float[Tensor, ""],
        captions: Int[Tensor, " batch"],
        everyone: AllPairs,
    ) -> Float[Tensor, ""]:
        everyone = replace(everyone, images=gather_with_gradient(images))
        return clip_loss(
            images, texts, scale=scale, captions=captions, everyone=everyone, rows_at_once=self.rows_at_once
        )

    @torch.no_grad()
    def after_step(self, output: Output, *, progress: float) -> None:
        """Stops the scale at 100."""
        self.towers.log_scale.clamp_(0, MAX_LOG_SCALE)


def _joined(encoder: ImageTextEncoder, setting: str) -> ImageTextTowers:
    if not isinstance(encoder, ImageTextTowers):
        raise ConfigError(
            f"{setting}: is for the encoder image_text; an open_clip model starts as a whole, by the stage's start_from"
        )
    return encoder
