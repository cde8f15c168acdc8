"""Contrast of sounds: two parts of one recording in other voices and rooms attract each other, all other recordings repel."""

from typing import Any, ClassVar

from mmssl.errors import ConfigError
from mmssl.models.encoder import Encoder
from mmssl.objectives.simclr import SimCLR


class AudioContrastive(SimCLR):
    """SimCLR on sound: compares each view with every view of the batch, that of all processes.

    Args:
        encoder: Of sound, such as `mel_resnet`.
        temperature: Of the softmax.
        hidden_dim: Of the projection head; the encoder's `dim` where not given.
        projection_dim: Length of the compared vectors.

    Raises:
        ConfigError: If the encoder takes pictures.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "sound_pair"}
    source = "Al-Tahan and Mohsenzadeh 2021 (CLAR), arXiv:2010.09542"

    def __init__(
        self, encoder: Encoder, *, temperature: float = 0.1, hidden_dim: int | None = None, projection_dim: int = 128
    ) -> None:
        if encoder.sample_rate is None:
            raise ConfigError(
                f"audio_contrastive trains an encoder of sound, not {type(encoder).__name__}; set encoder: mel_resnet, or "
                "objective: simclr for pictures"
            )
        super().__init__(encoder, temperature=temperature, hidden_dim=hidden_dim, projection_dim=projection_dim)
