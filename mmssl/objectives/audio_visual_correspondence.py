"""Audio-visual correspondence: which sound belongs to which pictures, among other clips and other moments of the same one."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.data.dataset import ClipSource
from mmssl.errors import ConfigError
from mmssl.functional.gather import gather_with_gradient, rank_offset, world_size
from mmssl.functional.image_text import ROWS_AT_ONCE, AllPairs, clip_loss, right_answers
from mmssl.models.audio_visual import AudioVisualTowers
from mmssl.models.encoder import Encoder
from mmssl.models.image_text import MAX_LOG_SCALE
from mmssl.objectives.objective import Batch, Objective, Output
from mmssl.objectives.sound_beside import check_sound_beside

_CELL_PIXELS = 16


class AudioVisualCorrespondence(Objective):
    """Tells the sound of a moment from that of all other moments, and the pictures likewise; the scale is learned.

    The view takes several moments of each clip. Those of other clips, of all processes, are easy negatives: to tell them, it
    is enough to know what things sound like. Other moments of the same clip are hard negatives, which only differ in time.

    Args:
        encoder: `audio_visual`.
        hard_after: Share of the training after which the hard negatives come in; before it, moments of one clip are not
            compared.
        rows_at_once: Rows of the batch's scores that are held at a time; changes nothing but memory and time.

    Raises:
        ConfigError: If the encoder does not hear, or a number is out of range.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "audio_visual"}
    source = "Korbar, Tran and Torresani 2018, arXiv:1807.00230 (AVTS); van den Oord et al. 2018, arXiv:1807.03748"
    looks_across_batch = True

    progress: Tensor

    def __init__(self, encoder: Encoder, *, hard_after: float = 0.0, rows_at_once: int = ROWS_AT_ONCE) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, AudioVisualTowers):
            raise ConfigError(f"encoder: {type(encoder).__name__} hears nothing; this objective trains audio_visual")
        if not 0 <= hard_after <= 1 or rows_at_once < 1:
            raise ConfigError(
                f"hard_after is {hard_after}, which must be in 0..1, and rows_at_once {rows_at_once}, at least 1"
            )
        self.hard_after = hard_after
        self.rows_at_once = rows_at_once
        self.register_buffer("progress", torch.zeros((), dtype=torch.float64))

    @property
    def towers(self) -> AudioVisualTowers:
        """The encoder, as what it is."""
        assert isinstance(self.encoder, AudioVisualTowers)
        return self.encoder

    def check_fits(self, source: ClipSource) -> None:
        """See `Objective`."""
        super().check_fits(source)
        check_sound_beside(source, self.towers.sound_rate)

    def forward(self, batch: Batch) -> Output:
        """The loss of `frames` and `sound`, see `AudioVisualView`.

        Returns:
            Also `accuracy`, the share of moments whose pictures find their sound among all that they are compared with, and,
            where clips have several moments, `accuracy_within_clip`, among those of its clip alone.
        """
        pictures, sounds = self._embed(batch)
        num_clips, num_moments = batch["frames"].shape[:2]
        offset = rank_offset(len(pictures))
        numbers = self._numbers(num_clips * world_size(), num_moments, pictures.device)
        own = numbers[offset : offset + len(pictures)]
        everyone = AllPairs(gather_with_gradient(sounds), offset, numbers, gather_with_gradient(pictures))
        scale = self.towers.log_scale.exp()
        loss = clip_loss(pictures, sounds, scale=scale, captions=own, everyone=everyone, rows_at_once=self.rows_at_once)
        with torch.no_grad():
            accuracy = right_answers(pictures, everyone.texts, own, numbers, rows_at_once=self.rows_at_once)
            output = {"loss": loss, "accuracy": accuracy, "temperature": 1 / scale}
            if num_moments > 1:
                output["accuracy_within_clip"] = _accuracy_within_clip(pictures, sounds, num_moments)
        return output

    @torch.no_grad()
    def after_step(self, output: Output, *, progress: float) -> None:
        """Stops the scale at 100, and notes how far the training is."""
        self.towers.log_scale.clamp_(0, MAX_LOG_SCALE)
        self.progress.fill_(progress)

    def _embed(self, batch: Batch) -> tuple[Float[Tensor, "moments dim"], Float[Tensor, "moments dim"]]:
        return self.towers.embed_frames(batch["frames"].flatten(0, 1)), self.towers.embed_sound(
            batch["sound"].flatten(0, 1)
        )

    def _numbers(self, num_clips: int, num_moments: int, device: torch.device) -> Int[Tensor, " all"]:
        """Of each moment of all processes; those of one number are not compared: moments of a clip before `hard_after`."""
        every = torch.arange(num_clips * num_moments, device=device)
        return every if float(self.progress) >= self.hard_after else every // num_moments

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """How alike pictures and sounds are, from black to white."""
        pictures, sounds = (normalize(part, dim=1) for part in self._embed(batch))
        similarity = pictures @ sounds.T
        low, high = similarity.min(), similarity.max()
        shade = ((similarity - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
        large = shade.repeat_interleave(_CELL_PIXELS, 0).repeat_interleave(_CELL_PIXELS, 1)
        title = "similarity of the pictures of each moment, from top to bottom, and its sound, from left to right"
        return {title: large.expand(3, -1, -1)}


def _accuracy_within_clip(
    pictures: Float[Tensor, "moments dim"], sounds: Float[Tensor, "moments dim"], num_moments: int
) -> Float[Tensor, ""]:
    """Share of moments whose pictures are nearest to their own sound among those of their clip."""
    seen, heard = (normalize(part, dim=1).reshape(-1, num_moments, part.shape[1]) for part in (pictures, sounds))
    found = (seen @ heard.transpose(1, 2)).argmax(2)
    right: Tensor = found == torch.arange(num_moments, device=found.device)
    return right.double().mean()
