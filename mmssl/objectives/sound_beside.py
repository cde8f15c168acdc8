"""What objectives of pictures and sound ask of their clips."""

from mmssl.data.dataset import ClipSource, sound_rate_of
from mmssl.errors import ConfigError


def check_sound_beside(source: ClipSource, sample_rate: int) -> None:
    """Refuses clips without sound beside their pictures, or with sound of another rate.

    Raises:
        ConfigError: Saying what to set.
    """
    found = sound_rate_of(source)
    if found != sample_rate:
        has = "none" if found is None else f"sound of {found} Hz"
        raise ConfigError(
            f"this training wants sound of {sample_rate} Hz beside the pictures, and the clips have {has}; set both size and "
            f"sound in the decode stage, with sample_rate {sample_rate}"
        )
