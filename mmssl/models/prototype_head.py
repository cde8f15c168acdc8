"""DINO's head: scores of an embedding for many learned prototypes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class PrototypeHead(nn.Module):
    """Three layers with GELU, L2 normalisation, and the cosine with each prototype.

    The last layer is weight-normalised with its gains fixed at 1: its weights count by their direction alone.

    Args:
        dim: Length of an embedding.
        hidden_dim: Of the first two layers.
        bottleneck_dim: Of the third, in which prototypes live.
        num_prototypes: Length of the answer.
        batchnorm: Whether BatchNorm stands before each GELU.

    Source:
        Caron et al. 2021, arXiv:2104.14294, appendix C.
    """

    def __init__(
        self, dim: int, *, hidden_dim: int, bottleneck_dim: int, num_prototypes: int, batchnorm: bool = False
    ) -> None:
        super().__init__()
        norms = [nn.BatchNorm1d(hidden_dim) if batchnorm else nn.Identity() for _ in range(2)]
        self.layers = nn.Sequential(
            nn.Linear(dim, hidden_dim),
            norms[0],
            nn.GELU(),
            nn.Linear(hidden_dim, hidden_dim),
            norms[1],
            nn.GELU(),
            nn.Linear(hidden_dim, bottleneck_dim),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.last = nn.Linear(bottleneck_dim, num_prototypes, bias=False)

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], *, last_frozen: bool = False
    ) -> Float[Tensor, "batch prototypes"]:
        """Scores from -1 to 1, in float32 under autocast, too: a softmax with a temperature of some hundredths follows.

        Args:
            embeddings: Of the encoder.
            last_frozen: Whether the prototypes get no gradient.
        """
        prototypes = functional.normalize(self.last.weight, dim=1)
        if last_frozen:
            prototypes = prototypes.detach()
        found = functional.normalize(self.layers(embeddings).float(), dim=1)
        with torch.autocast(found.device.type, enabled=False):
            return torch.mm(found, prototypes.T)
