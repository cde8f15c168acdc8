"""Contrastive predictive coding of images: patches further down are told from others by what lies above them."""

from math import isqrt
from typing import Any, ClassVar, Literal

import torch

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.models.encoder import Encoder
from mmssl.models.patch_grid import PatchGrid
from mmssl.models.row_context import RowContext
from mmssl.objectives.objective import Batch, Objective, Output
from mmssl.objectives.predictive_coding import StepPredictors, contrast


class CPCImage(Objective):
    """Predicts the codes of patches some rows below, in the same column, from the rows above and the patch's own.

    Args:
        encoder: A `patch_grid` with patches of the view's size.
        num_steps: How many rows below the furthest prediction is for.
        num_negatives: Of each code.
        negatives: Where they come from, each code of which is as likely: the same `image`, or the whole `batch`, that of all
            processes.
        context_dim: Of the network from top to bottom.
        context_layers: Of that network, see `RowContext`.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "patches", "num_frames": 1}
    numbers = "rows below"
    source = "van den Oord et al. 2018, arXiv:1807.03748, section 3.3"

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_steps: int = 5,
        num_negatives: int = 64,
        negatives: Literal["image", "batch"] = "batch",
        context_dim: int = 256,
        context_layers: int = 3,
    ) -> None:
        if not isinstance(encoder, PatchGrid):
            raise ConfigError(
                f"cpc_image trains a patch_grid, not {type(encoder).__name__}; set encoder: {{name: patch_grid, patch: ...}}"
            )
        if min(num_steps, num_negatives, context_dim, context_layers) < 1:
            raise ConfigError("num_steps, num_negatives, context_dim and context_layers must be at least 1")
        super().__init__(encoder)
        self.num_negatives = num_negatives
        self.looks_across_batch = negatives == "batch"
        self.context = RowContext(encoder.dim, context_dim, num_layers=context_layers)
        self.predictors = StepPredictors(context_dim, encoder.dim, num_steps=num_steps)

    @property
    def guesses(self) -> dict[str, float]:
        """The same for each number of rows: one of a code and its negatives."""
        return {"accuracy_1": 1 / (1 + self.num_negatives)}

    def forward(self, batch: Batch) -> Output:
        """The loss of `patches`, `[batch, 1, rows * rows, 3, size, size]`, whose negatives are drawn by the numbers of `draw`.

        Returns:
            See `contrast`; the steps ahead are rows below.

        Raises:
            ConfigError: If patches are not of the encoder's size, of several frames, or of too few rows to predict anything.
        """
        patches, network = batch["patches"], self.encoder
        assert isinstance(network, PatchGrid)
        num_images, num_frames, num_patches = patches.shape[:3]
        side = isqrt(num_patches)
        if num_frames != 1 or patches.shape[-1] != network.patch_size:
            raise ConfigError(
                f"the view gives {num_frames} frame(s) in patches of {patches.shape[-1]} pixels, the encoder takes patches of "
                f"{network.patch_size}; set the view's num_frames to 1 and patch_size to the encoder's"
            )
        if side <= self.predictors.num_steps:
            raise ConfigError(
                f"a grid of {side} rows is too small to predict {self.predictors.num_steps} rows below; make patches smaller or "
                "lower num_steps"
            )
        codes = network.patch(patches.flatten(0, 2)).reshape(num_images, side, side, -1)
        contexts = self.context(codes.permute(0, 3, 1, 2)).permute(0, 3, 2, 1)
        columns = codes.transpose(1, 2).flatten(0, 1)
        image = torch.arange(num_images, device=codes.device).repeat_interleave(side)
        draws = ItemRandom(0, 0, batch["draw"].tolist()).uniform("negatives", (side, side, self.num_negatives))
        return contrast(
            self.predictors(contexts.flatten(0, 1)),
            columns,
            lengths=torch.full_like(image, side),
            groups=torch.zeros_like(image) if self.looks_across_batch else image,
            uniform=draws.flatten(0, 1),
            across_processes=self.looks_across_batch,
        )
