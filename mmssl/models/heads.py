"""What sits on an encoder while it trains and is left behind afterwards."""

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ProjectionHead(nn.Sequential):
    """Linear layer, BatchNorm, ReLU, linear layer.

    Args:
        dim: Length of an embedding.
        hidden_dim: Length in between.
        out_dim: Length of a projection.
    """

    def __init__(self, dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(
            nn.Linear(dim, hidden_dim, bias=False),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, out_dim),
        )


class TupleHead(nn.Module):
    """Answers a question about frames in the order they are given: their embeddings side by side, then two layers.

    Args:
        dim: Length of an embedding.
        num_frames: Frames of a tuple.
        hidden_dim: Length in between.
        num_answers: Length of the answer.

    Source:
        Misra et al. 2016, arXiv:1603.08561, section 3.2.
    """

    def __init__(self, dim: int, *, num_frames: int, hidden_dim: int, num_answers: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_frames * dim, hidden_dim)
        self.answer = nn.Linear(hidden_dim, num_answers)

    def forward(self, embeddings: Float[Tensor, "*tuples frames dim"]) -> Float[Tensor, "*tuples answers"]:
        """The answer's logits."""
        answers: Tensor = self.answer(self.hidden(embeddings.flatten(-2)).relu())
        return answers


class PairHead(nn.Module):
    """Answers a question about frames by comparing each with each: a layer for every pair, and one over all pairs.

    Args:
        dim: Length of an embedding.
        num_frames: Frames of a tuple.
        hidden_dim: Length of what is found out about a pair.
        num_answers: Length of the answer.

    Source:
        Lee et al. 2017, arXiv:1708.01246, section 3.3.
    """

    def __init__(self, dim: int, *, num_frames: int, hidden_dim: int, num_answers: int) -> None:
        super().__init__()
        self.pairs = list(combinations(range(num_frames), 2))
        self.compare = nn.ModuleList(nn.Linear(2 * dim, hidden_dim) for _ in self.pairs)
        self.answer = nn.Linear(len(self.pairs) * hidden_dim, num_answers)

    def forward(self, embeddings: Float[Tensor, "*tuples frames dim"]) -> Float[Tensor, "*tuples answers"]:
        """The answer's logits."""
        found = [
            layer(embeddings[..., pair, :].flatten(-2)).relu()
            for pair, layer in zip(self.pairs, self.compare, strict=True)
        ]
        answers: Tensor = self.answer(torch.cat(found, dim=-1))
        return answers


class DifferenceHead(nn.Module):
    """Answers a question about frames from how far apart they are: absolute differences of all pairs, then two layers.

    The order of frames shows in which of them are near each other. Heads on the embeddings themselves have to find that out
    first, which takes them long.

    Args:
        dim: Length of an embedding.
        num_frames: Frames of a tuple.
        hidden_dim: Length in between.
        num_answers: Length of the answer.
    """

    def __init__(self, dim: int, *, num_frames: int, hidden_dim: int, num_answers: int) -> None:
        super().__init__()
        self.pairs = list(combinations(range(num_frames), 2))
        self.hidden = nn.Linear(len(self.pairs) * dim, hidden_dim)
        self.answer = nn.Linear(hidden_dim, num_answers)

    def forward(self, embeddings: Float[Tensor, "*tuples frames dim"]) -> Float[Tensor, "*tuples answers"]:
        """The answer's logits."""
        first, second = (embeddings[..., list(places), :] for places in zip(*self.pairs, strict=True))
        answers: Tensor = self.answer(self.hidden((first - second).abs().flatten(-2)).relu())
        return answers
