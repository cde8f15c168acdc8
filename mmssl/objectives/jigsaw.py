"""Jigsaw: in which of many known orders do the nine tiles of an image lie?"""

from typing import Any, ClassVar

from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.models.encoder import Encoder
from mmssl.models.heads import TupleHead
from mmssl.objectives.objective import Batch, Objective, Output


class Jigsaw(Objective):
    """Embeds the nine tiles by one network, and names their permutation.

    Args:
        encoder: See `Objective`.
        hidden_dim: Of the head.
        num_permutations: As many as the view draws from.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "jigsaw"}
    source = "Noroozi and Favaro 2016, arXiv:1603.09246"

    def __init__(self, encoder: Encoder, *, hidden_dim: int = 1024, num_permutations: int = 1000) -> None:
        super().__init__(encoder)
        self.num_permutations = num_permutations
        self.head = TupleHead(encoder.dim, num_frames=9, hidden_dim=hidden_dim, num_answers=num_permutations)

    def forward(self, batch: Batch) -> Output:
        """The loss of `tiles`, `[batch, 9, 3, size, size]`, in the order `permutation`; also `accuracy`.

        Raises:
            ConfigError: If the view draws from more permutations than there are answers.
        """
        tiles, permutation = batch["tiles"], batch["permutation"]
        if int(permutation.max()) >= self.num_permutations:
            raise ConfigError(
                f"the view drew permutation {int(permutation.max())}, the objective knows {self.num_permutations}; "
                "set num_permutations of both to the same number"
            )
        logits = self.head(self.encoder(tiles.flatten(0, 1)).reshape(*tiles.shape[:2], -1))
        accuracy = (logits.detach().argmax(1) == permutation).float().mean()
        return {"loss": functional.cross_entropy(logits, permutation), "accuracy": accuracy}
