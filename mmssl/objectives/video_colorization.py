"""Video colorization: a frame takes its colors from other frames, and learns to track on the way."""

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.functional.color import hide_channels, lab_to_rgb, quantize_ab, rgb_to_lab
from mmssl.functional.copying import attend
from mmssl.functional.kmeans import kmeans
from mmssl.models.encoder import Encoder
from mmssl.objectives.colorization_pictures import attention_picture, colors_picture
from mmssl.objectives.objective import Batch, Objective, Output

_POINTS_FOR_CENTERS = 20_000
_SMALLEST_PROBABILITY = 1e-12
_PICTURED_CLIPS = 4


class VideoColorization(Objective):
    """Each cell of the last frame copies colors from cells of the frames before it, where their features agree.

    What it learns is where each cell came from, which is what label propagation needs. The encoder must not see the very
    colors that are copied: it sees lightness alone, or the view hides channels (`channel_dropout`), or it changes the
    colors that the encoder sees (`jitter_strength`). The defaults are Vondrick's method but for the temperature and the
    normalization, which are those of label propagation.

    Args:
        encoder: Of input `lightness`; `lab` or `rgb` with a view that hides channels or changes colors.
        num_colors: Clusters of the ab plane, found by `prepare`; for `targets="clusters"`.
        temperature: Of the softmax over reference cells; 1 in the paper.
        normalize: Whether features are L2-normalised first, as they are when labels are propagated; not so in the paper.
        targets: What is copied: `clusters` of ab, with cross-entropy (Vondrick, CorrFlow); `hidden`, those Lab channels
            that the view hides, with a Huber loss (Lai et al. 2020, arXiv:2002.07793, MAST); `lab`, all three channels,
            with a Huber loss.
        huber_delta: Error in Lab units at which the Huber loss goes from square to linear.
        patch: Each cell carries patch x patch values a channel instead of its mean, for Lab targets.
        radius: Cells to each side that a cell may copy from; None for all (6 in CorrFlow and MAST at stride 4).
        copy_from: `all` earlier frames at once; or the frame before, `previous`, step by step from the first frame on,
            each step copying what the step before made (CorrFlow).
        true_color_share: With `copy_from="previous"`, how often a step is given a frame's own colors instead, at the begin
            and at the end of the training (scheduled sampling; Bengio et al. 2015, arXiv:1506.03099, in CorrFlow).
        cycle_weight: With `copy_from="previous"`, weight of the loss of copying on from the last frame back to the first
            (CorrFlow).

    Raises:
        ConfigError: If settings do not go together.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "frames", "num_frames": 4}
    source = (
        "Vondrick et al. 2018, arXiv:1806.09594; Lai and Xie 2019, arXiv:1905.00875; Lai et al. 2020, arXiv:2002.07793"
    )

    centers: Tensor
    progress: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_colors: int = 16,
        temperature: float = 0.07,
        normalize: bool = True,
        targets: Literal["clusters", "hidden", "lab"] = "clusters",
        huber_delta: float = 5.0,
        patch: int = 1,
        radius: int | None = None,
        copy_from: Literal["all", "previous"] = "all",
        true_color_share: tuple[float, float] = (0.9, 0.6),
        cycle_weight: float = 0.0,
    ) -> None:
        super().__init__(encoder)
        if patch != 1 and targets == "clusters":
            raise ConfigError(f"patch is {patch}, but clusters are copied as one a cell; set targets to lab or hidden")
        if cycle_weight and copy_from == "all":
            raise ConfigError("cycle_weight needs copies that go from frame to frame; set copy_from: previous")
        self.temperature = temperature
        self.normalize = normalize
        self.targets = targets
        self.huber_delta = huber_delta
        self.patch = patch
        self.radius = radius
        self.copy_from = copy_from
        self.true_color_share = true_color_share
        self.cycle_weight = cycle_weight
        self.register_buffer("centers", torch.full((num_colors, 2), torch.nan))
        self.register_buffer("progress", torch.zeros(()))

    def prepare(self, batch: Batch) -> None:
        """Finds the color clusters in a batch's frames.

        Raises:
            ConfigError: If the encoder would see the colors that it is to copy.
        """
        self._check_hidden(batch)
        if self.targets != "clusters":
            self.centers.zero_()
            return
        ab = rgb_to_lab(batch["frames"])[:, :, 1:]
        colors = ab.transpose(1, 2).flatten(2).transpose(1, 2).reshape(-1, 2)
        every = max(1, len(colors) // _POINTS_FOR_CENTERS)
        self.centers.copy_(kmeans(colors[::every], num_clusters=len(self.centers)))

    def forward(self, batch: Batch) -> Output:
        """The loss of `frames` and of what the view says of them, see `FramesView`.

        Returns:
            For clusters also `accuracy`, the share of cells of the last frame with the right cluster, otherwise `error`,
            their mean error in Lab units; and the same for colors copied from the same cell of the frame before,
            `accuracy_in_place` or `error_in_place`.
        """
        lab = rgb_to_lab(batch["frames"])
        features = self.features(batch, lab)
        carried = self._carried(lab, cells=features.shape[-2:])
        weights = 1 - batch["visible"] if self.targets == "hidden" else torch.ones_like(lab[:, 0, :, 0, 0])
        if self.copy_from == "all":
            copied = self._copy(features[:, -1], features[:, :-1], carried[:, :-1])
            loss = self._loss(copied, carried[:, -1], weights)
        else:
            copied, loss = self._chain(features, carried, weights, batch["chance"])
        truth, before = carried[:, -1], carried[:, -2]
        if self.targets == "clusters":
            right = truth.argmax(1)
            return {
                "loss": loss,
                "accuracy": (copied.detach().argmax(1) == right).float().mean(),
                "accuracy_in_place": (before.argmax(1) == right).float().mean(),
            }
        return {
            "loss": loss,
            "error": (copied.detach() - truth).abs().mean(),
            "error_in_place": (before - truth).abs().mean(),
        }

    def after_step(self, output: Output, *, progress: float) -> None:
        """Moves on the share of true colors."""
        self.progress.fill_(progress)

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """The last frames of a few clips as the encoder sees them, with copied and with true colors; where they look."""
        few = {key: value[:_PICTURED_CLIPS] for key, value in batch.items()}
        lab = rgb_to_lab(few["frames"])
        features = self.features(few, lab)
        ab = _reduce(lab[:, :, 1:], features.shape[-2:])
        copied = self._copy(features[:, -1], features[:, :-1], ab[:, :-1])
        seen = self._seen(few, lab)[:, -1] if self.encoder.input != "lightness" else None
        attended = attention_picture(few["frames"], features, temperature=self.temperature, radius=self.radius)
        title = "grey, copied colors, true colors" if seen is None else "seen, copied colors, true colors"
        return {
            title: colors_picture(few["frames"][:, -1], copied, seen=seen),
            "a cell of the last frame, and where it looks in the frames before": attended,
        }

    def features(
        self, batch: Batch, lab: Float[Tensor, "batch frames 3 height width"]
    ) -> Float[Tensor, "batch frames dim h w"]:
        """Feature maps of all frames, as far as the encoder may see them.

        Raises:
            ConfigError: If it would see the colors that it is to copy.
        """
        self._check_hidden(batch)
        seen = self._seen(batch, lab)
        maps = self.encoder.features(seen.flatten(0, 1)).float()
        features = maps.reshape(*seen.shape[:2], *maps.shape[1:])
        return functional.normalize(features, dim=2) if self.normalize else features

    def _seen(
        self, batch: Batch, lab: Float[Tensor, "batch frames 3 height width"]
    ) -> Float[Tensor, "batch frames 3 height width"]:
        """The frames as the encoder sees them, RGB in 0..1."""
        frames = batch.get("seen", batch["frames"])
        if "visible" not in batch:
            return frames
        colors = rgb_to_lab(frames) if "seen" in batch else lab
        return lab_to_rgb(hide_channels(colors, batch["visible"][:, None].expand(-1, frames.shape[1], -1)))

    def _check_hidden(self, batch: Batch) -> None:
        if self.encoder.input != "lightness" and not {"visible", "seen"} & set(batch):
            raise ConfigError(
                f"video_colorization needs an encoder that sees no colors, this one's input is {self.encoder.input!r}; set "
                "`input: lightness` on the encoder, or `channel_dropout` or `jitter_strength` on the view `frames`"
            )
        if self.targets == "hidden" and "visible" not in batch:
            raise ConfigError("targets: hidden needs hidden channels; set `channel_dropout` on the view `frames`")

    def _carried(
        self, lab: Float[Tensor, "batch frames 3 height width"], *, cells: torch.Size
    ) -> Float[Tensor, "batch frames channels h w"]:
        """What each cell has to be copied: its color cluster, one-hot, or its Lab values, channel by channel.

        Raises:
            RuntimeError: If `prepare` was not called.
        """
        if bool(self.centers.isnan().any()):
            raise RuntimeError("video_colorization has no color clusters; call prepare(batch) before the first step")
        if self.targets == "clusters":
            clusters = quantize_ab(_reduce(lab[:, :, 1:], cells), self.centers)
            return functional.one_hot(clusters, len(self.centers)).movedim(-1, 2).float()
        fine = _reduce(lab, torch.Size(self.patch * side for side in cells))
        return functional.pixel_unshuffle(fine, self.patch)

    def _copy(
        self,
        query: Float[Tensor, "batch dim h w"],
        keys: Float[Tensor, "batch context dim h w"],
        values: Float[Tensor, "batch context channels h w"],
    ) -> Float[Tensor, "batch channels h w"]:
        return attend(query, keys, values, temperature=self.temperature, radius=self.radius)

    def _loss(
        self,
        copied: Float[Tensor, "batch channels h w"],
        truth: Float[Tensor, "batch channels h w"],
        weights: Float[Tensor, "batch 3"],
    ) -> Float[Tensor, ""]:
        """Mean over cells, and over an item's channels with `weights`."""
        if self.targets == "clusters":
            return -(truth * copied.clamp_min(_SMALLEST_PROBABILITY).log()).sum(1).mean()
        errors = functional.smooth_l1_loss(copied, truth, beta=self.huber_delta, reduction="none")
        channels = errors.reshape(len(errors), 3, -1).mean(2)
        means: Tensor = (channels * weights).sum(1) / weights.sum(1).clamp_min(1)
        return means.mean()

    def _chain(
        self,
        features: Float[Tensor, "batch frames dim h w"],
        carried: Float[Tensor, "batch frames channels h w"],
        weights: Float[Tensor, "batch 3"],
        chance: Float[Tensor, "batch frames"],
    ) -> tuple[Float[Tensor, "batch channels h w"], Float[Tensor, ""]]:
        """Copies from frame to frame, and back again where that has a weight; the copy in the last frame, and the loss."""
        first, last = self.true_color_share
        is_true = chance < first + (last - first) * self.progress
        num_steps = features.shape[1] - 1
        given, losses = carried[:, 0], []
        for step in range(1, num_steps + 1):
            copied = self._copy(features[:, step], features[:, step - 1 : step], given[:, None])
            losses.append(self._loss(copied, carried[:, step], weights))
            given = torch.where(is_true[:, step, None, None, None], carried[:, step], copied)
        loss = torch.stack(losses).mean()
        if self.cycle_weight:
            given, back = copied, []
            for step in range(num_steps - 1, -1, -1):
                given = self._copy(features[:, step], features[:, step + 1 : step + 2], given[:, None])
                back.append(self._loss(given, carried[:, step], weights))
            loss = loss + self.cycle_weight * torch.stack(back).mean()
        return copied, loss


def _reduce(
    maps: Float[Tensor, "batch frames channels height width"], cells: torch.Size
) -> Float[Tensor, "batch frames channels h w"]:
    """The mean over the pixels of each cell."""
    means = functional.interpolate(maps.flatten(0, 1), size=tuple(cells), mode="area")
    return means.reshape(*maps.shape[:3], *cells)
