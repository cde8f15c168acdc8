"""Ambient sound as a label: from a single frame, which kind of sound goes with it?"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mmssl.data.dataset import ClipSource
from mmssl.errors import ConfigError
from mmssl.functional.kmeans import kmeans
from mmssl.functional.picture_grid import picture_grid
from mmssl.functional.sound_statistics import all_statistics, nearest_center, num_statistics, statistics_scale
from mmssl.models.encoder import Encoder
from mmssl.objectives.objective import Batch, Objective, Output
from mmssl.objectives.sound_beside import check_sound_beside

_CELL_PIXELS = 16
_PICTURED_FRAMES = 8


class AudioClusters(Objective):
    """Predicts, from the middle frame of a moment, the cluster of the statistics of its sound.

    Clusters are found once, before training. Each statistic is standardised, and each kind of them weighs alike.

    Args:
        encoder: Of frames; it never hears anything.
        num_clusters: Kinds of sound.
        num_bands: Of the cochleagram that statistics are of.
        sample_rate: Hertz of the clips' sound.
        prepare_items: Clips to find the clusters in, all of their moments; at most an epoch's.

    Raises:
        ConfigError: If a number is out of range.
    """

    default_view: ClassVar[dict[str, Any]] = {
        "name": "audio_visual",
        "num_frames": 1,
        "window_seconds": 2.0,
        "num_moments": 2,
        "seconds_apart": 1.0,
    }
    source = "Owens et al. 2016, arXiv:1608.07017"

    offsets: Tensor
    factors: Tensor
    centers: Tensor
    shares: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_clusters: int = 30,
        num_bands: int = 32,
        sample_rate: int = 16000,
        prepare_items: int = 1024,
    ) -> None:
        super().__init__(encoder)
        if num_clusters < 2 or num_bands < 2 or sample_rate <= 0 or prepare_items < 1:
            raise ConfigError(
                f"num_clusters {num_clusters} and num_bands {num_bands} must be at least 2, sample_rate {sample_rate} and "
                f"prepare_items {prepare_items} above 0"
            )
        self.num_bands = num_bands
        self.sample_rate = sample_rate
        self.prepare_items = prepare_items
        length = sum(num_statistics(num_bands).values())
        self.classifier = nn.Linear(encoder.dim, num_clusters)
        self.register_buffer("offsets", torch.zeros(length))
        self.register_buffer("factors", torch.zeros(length))
        self.register_buffer("centers", torch.full((num_clusters, length), torch.nan))
        self.register_buffer("shares", torch.zeros(num_clusters))

    @property
    def guesses(self) -> Mapping[str, float]:
        """The share of the largest cluster."""
        return {"accuracy": float(self.shares.max())}

    def check_fits(self, source: ClipSource) -> None:
        """See `Objective`."""
        super().check_fits(source)
        check_sound_beside(source, self.sample_rate)

    def prepare(self, batch: Batch) -> None:
        """Finds the clusters."""
        every = self._statistics(batch)
        offsets, factors = statistics_scale(every, num_bands=self.num_bands)
        self.offsets.copy_(offsets)
        self.factors.copy_(factors)
        points = (every - self.offsets) * self.factors
        self.centers.copy_(kmeans(points, num_clusters=len(self.centers)))
        self.shares.copy_(
            torch.bincount(nearest_center(points, self.centers), minlength=len(self.centers)) / len(points)
        )

    def forward(self, batch: Batch) -> Output:
        """The loss of the middle one of `frames`, whose label `sound` gives; see `AudioVisualView`.

        Returns:
            Also `accuracy`.
        """
        labels = self.labels(batch)
        logits = self._logits(batch)
        accuracy = (logits.detach().argmax(1) == labels).double().mean()
        return {"loss": functional.cross_entropy(logits, labels), "accuracy": accuracy}

    @torch.no_grad()
    def labels(self, batch: Batch) -> Int[Tensor, " moments"]:
        """Cluster of each moment's sound."""
        return nearest_center((self._statistics(batch) - self.offsets) * self.factors, self.centers)

    def _logits(self, batch: Batch) -> Float[Tensor, "moments clusters"]:
        frames = batch["frames"].flatten(0, 1)
        logits: Tensor = self.classifier(self.encoder(frames[:, frames.shape[1] // 2]))
        return logits

    @torch.no_grad()
    def _statistics(self, batch: Batch) -> Float[Tensor, "moments numbers"]:
        sound = batch["sound"].flatten(0, 2)
        return all_statistics(sound, sample_rate=self.sample_rate, num_bands=self.num_bands)

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """Frames by the cluster that is predicted for them, and how loud the bands are in each cluster."""
        frames = batch["frames"].flatten(0, 1)
        frames = frames[:, frames.shape[1] // 2]
        predicted = self._logits(batch).argmax(1)
        rows = []
        for cluster in sorted(set(predicted.tolist())):
            found = frames[predicted == cluster][:_PICTURED_FRAMES]
            row = frames.new_zeros(_PICTURED_FRAMES, *frames.shape[1:])
            row[: len(found)] = found
            rows.append(row)
        levels = self.centers[:, : self.num_bands]
        shade = ((levels - levels.min()) / (levels.max() - levels.min()).clamp_min(1e-6)).clamp(0, 1)
        large = shade.repeat_interleave(_CELL_PIXELS, 0).repeat_interleave(_CELL_PIXELS, 1)
        return {
            "frames by the cluster that is predicted for them, a row each": picture_grid(rows),
            "level of each band from low to high, a row a cluster, against the mean": large.expand(3, -1, -1),
        }
