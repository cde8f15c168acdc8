"""Labels of objects as channels of cells, and back: masks share channels that compete, boxes and points have their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mmssl.media.video_file import Size
from mmssl.propagation.box_prompts import box_of_region, margins, object_in_box, with_margins
from mmssl.propagation.heat_maps import decode_points, encode_points
from mmssl.propagation.masks import cells_from_mask, mask_from_cells
from mmssl.propagation.point_follower import PointFollower, PointRule
from mmssl.propagation.presets import Preset
from mmssl.propagation.video_labels import FrameLabels, LabelObject

SIGMA_CELLS = 0.6
"""Width of a point's heat map."""


@dataclass(frozen=True)
class Channels:
    """How the objects of one pass lie in channels: background and masks, then boxes, then points.

    Args:
        objects: Carried together.
        size: Height and width of the video's frames.
        encoded: Height and width of the frames that are encoded.
        cells: Rows and columns of the feature map.
        stride: Encoded pixels per cell.
        preset: Says how masks are made of cells.
    """

    objects: tuple[LabelObject, ...]
    size: Size
    encoded: Size
    cells: Size
    stride: int
    preset: Preset

    @cached_property
    def mask_ids(self) -> tuple[int, ...]:
        """Ids of the objects with masks, rising."""
        return tuple(sorted(each.id for each in self.objects if each.kind == "mask"))

    @cached_property
    def num_regions(self) -> int:
        """Channels of the background and the masks; 0 where there are no masks."""
        return len(self.mask_ids) + bool(self.mask_ids)

    @cached_property
    def of_object(self) -> Mapping[int, slice]:
        """The channels of each object."""
        places = {key: slice(place, place + 1) for place, key in enumerate(self.mask_ids, start=1)}
        place = self.num_regions
        for kinds in (("box",), ("keypoints", "point")):
            for each in self.objects:
                if each.kind in kinds:
                    length = each.num_points or 1
                    places[each.id] = slice(place, place + length)
                    place += length
        return places

    @cached_property
    def count(self) -> int:
        """Channels in all."""
        return max((place.stop for place in self.of_object.values()), default=0)

    @cached_property
    def are_points(self) -> Bool[Tensor, " channels"]:
        """Which channels are heat maps of points."""
        points = torch.ones(self.count, dtype=torch.bool)
        points[: self.num_regions + sum(each.kind == "box" for each in self.objects)] = False
        return points

    def follower(self, rule: PointRule) -> PointFollower | None:
        """Follows the points by pixels; None where there are no points, or features alone are asked for."""
        first = self.count - int(self.are_points.sum())
        if first == self.count or rule == "features":
            return None
        places = [self.of_object[each.id] for each in self.objects if each.kind in ("keypoints", "point")]
        return PointFollower(
            stride=self.stride,
            scale=self._scale,
            sigma_cells=SIGMA_CELLS,
            groups=[torch.arange(place.start - first, place.stop - first) for place in places]
            if rule == "rigid"
            else (),
            first_channel=first,
        )

    @cached_property
    def _scale(self) -> Float[Tensor, " 2"]:
        """Encoded pixels per pixel of the video, in x and y."""
        return torch.tensor([self.encoded[1] / self.size[1], self.encoded[0] / self.size[0]])

    def encode(self, labels: FrameLabels) -> Float[Tensor, "channels h w"]:
        """Channels of a labeled frame; those of objects that are not seen on it are zero."""
        channels = torch.zeros(self.count, *self.cells)
        if self.mask_ids and labels.mask is not None:
            mask = torch.from_numpy(labels.mask.astype(np.int32))
            channels[: self.num_regions] = cells_from_mask(mask, self.mask_ids, self.cells)
        for each in self.objects:
            place = self.of_object[each.id]
            if each.kind == "box" and each.id in labels.boxes:
                box = torch.from_numpy(np.asarray(labels.boxes[each.id], dtype=np.float32))
                channels[place] = self._fill(box)
            elif each.id in labels.keypoints:
                points = torch.from_numpy(np.asarray(labels.keypoints[each.id], dtype=np.float32)) * self._scale
                channels[place] = encode_points(points, cells=self.cells, stride=self.stride, sigma_cells=SIGMA_CELLS)
        return channels

    def _fill(self, box: Float[Tensor, " 4"]) -> Float[Tensor, "h w"]:
        """The share of each cell inside a box, over that of the cell most inside, so that small boxes are not lost."""
        left, top, right, bottom = (box.view(2, 2) * self._scale / self.stride).flatten()
        x, y = torch.arange(self.cells[1]), torch.arange(self.cells[0])
        across = ((x + 1).clamp(max=right) - x.clamp(min=left)).clamp(min=0)
        down = ((y + 1).clamp(max=bottom) - y.clamp(min=top)).clamp(min=0)
        filled = down[:, None] * across[None]
        return filled / filled.max().clamp(min=1e-12)

    def winners(self, channels: Float[Tensor, "channels h w"]) -> Bool[Tensor, "channels h w"]:
        """The cells that belong to each channel: of masks where it is largest, of others from half of its peak on."""
        own = channels >= channels.amax(dim=(1, 2), keepdim=True) / 2
        if self.num_regions:
            best = channels[: self.num_regions].argmax(dim=0)
            own[: self.num_regions] = best == torch.arange(self.num_regions, device=channels.device)[:, None, None]
        return own & (channels > 0)

    def mask(self, channels: Float[Tensor, "channels h w"]) -> Integer[Tensor, "height width"]:
        """Index mask at the video's size; only where there are masks."""
        return mask_from_cells(
            channels[: self.num_regions], self.mask_ids, encoded=self.encoded, size=self.size, preset=self.preset
        )

    def soft_mask(self, channels: Float[Tensor, "channels h w"], object_id: int) -> Float[Tensor, "height width"]:
        """How much each pixel of the video belongs to an object, 0 to 1."""
        soft = channels[self.of_object[object_id]][None].cpu()
        return F.interpolate(soft, size=self.size, mode="bilinear", align_corners=False)[0, 0].clamp(0, 1)

    def refine(
        self, channels: Float[Tensor, "channels h w"], features: Float[Tensor, "dim h w"]
    ) -> Float[Tensor, "channels h w"]:
        """Channels of a labeled frame with what its features say: boxes shrink to what looks like the object in them."""
        refined = channels.clone()
        for each in self.objects:
            place = self.of_object[each.id].start
            if each.kind == "box" and bool((channels[place] > 0).any()):
                refined[place] = object_in_box(features, channels[place])
        return refined

    def margins(
        self, labeled: Sequence[tuple[FrameLabels, Float[Tensor, "channels h w"]]]
    ) -> dict[int, Float[np.ndarray, " 4"]]:
        """For each object with a box, the mean distance of its box from its region on labeled frames; see `margins`.

        Args:
            labeled: Labels and refined channels of each frame.
        """
        found: dict[int, list[NDArray[np.float64]]] = {}
        for labels, channels in labeled:
            for key, box in labels.boxes.items():
                region = self._region(channels, key)
                if region is not None:
                    found.setdefault(key, []).append(margins(region, box))
        return {key: np.mean(each, axis=0) for key, each in found.items()}

    def box(
        self,
        channels: Float[Tensor, "channels h w"],
        object_id: int,
        apart: Float[np.ndarray, " 4"] | None = None,
    ) -> Float[np.ndarray, " 4"] | None:
        """Left, top, right and bottom edge of an object's box in pixels of the video, or None where it is not seen.

        Args:
            channels: Of the frame.
            object_id: An object with boxes.
            apart: How far its box lies from its region, from `margins`.
        """
        region = self._region(channels, object_id)
        if region is None or apart is None:
            return region
        height, width = self.size
        box: NDArray[np.float64] = np.clip(with_margins(region, apart), 0, [width, height, width, height])
        return box

    def _region(self, channels: Float[Tensor, "channels h w"], object_id: int) -> Float[np.ndarray, " 4"] | None:
        edges = box_of_region(channels[self.of_object[object_id]][0], self.encoded)
        if edges is None:
            return None
        own: NDArray[np.float64] = edges / np.tile(self._scale.double().numpy(), 2)
        return own

    def points(
        self, channels: Float[Tensor, "channels h w"], object_id: int
    ) -> tuple[Float[np.ndarray, "points 2"], Float[np.ndarray, " points"]]:
        """X and y in pixels of the video of an object's points, NaN where not seen, and the peak of each heat map."""
        points, peaks = decode_points(channels[self.of_object[object_id]].cpu(), stride=self.stride)
        return (points / self._scale).double().numpy(), peaks.double().numpy()
