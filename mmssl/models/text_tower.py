"""What a text tower is to the encoder that it is half of."""

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float, Int
from torch import Tensor, nn

from mmssl.errors import ConfigError


class TextTower(nn.Module):
    """A network that turns the tokens of a sentence into an embedding. Attributes are set by the subclass."""

    dim: int
    """Length of an embedding."""

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "texts length"]:
        """Sentences as numbers of tokens; what is too long is cut off."""
        raise NotImplementedError

    def forward(self, tokens: Int[Tensor, "texts length"]) -> Float[Tensor, "texts dim"]:
        """Embeds sentences."""
        raise NotImplementedError

    def read(self, folder: Path) -> None:
        """Takes over the weights of a published model, for towers that there are such for.

        Args:
            folder: As its publisher made it.

        Raises:
            CheckpointError: If it holds another model.
        """
        raise ConfigError(f"{type(self).__name__} has no published weights to start with; text_from is for bert")
