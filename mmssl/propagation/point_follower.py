"""Points at the resolution of the video: features say about where a point is, its patch of pixels says exactly where.

Features look at cells of many pixels. A joint that moves by a small part of a cell looks most like the same cell of the frame
before, and its copies stay behind. So each point is followed from frame to frame by its patch, and the heat map that later
frames copy from is drawn anew where it came to be.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from mmssl.functional.point_motion import follow_points, image_pyramid, resemblance, rigid_motion
from mmssl.propagation.heat_maps import decode_points, encode_points

PointRule = Literal["features", "pixels", "rigid"]
"""How points are followed: by features alone; by their patches of pixels, too; and with the joints of each animal held in
place against each other as well."""

RETURN_PIXELS = 1.0
"""A patch is where it was found if it is found back, from there, this near to where it was."""

REACH_CELLS = 0.5
"""Farther from the place that features give than within their cell, a patch is not believed."""

FEWEST_JOINTS = 4
"""Joints that an animal needs to be seen as a whole."""

LOOSE, STRAY = 0.1, 0.2
"""Distances of a joint from where the animal as a whole puts it, in diagonals of the box around its labeled joints: from
the first one on it counts less for the whole, beyond the second it is put there."""

SHARPEN = 8
"""A joint counts for the whole by this power of the resemblance of its patch to the labeled one."""


class PointFollower:
    """Gives the heat maps of points, frame by frame, the places that patches of pixels were followed to.

    A point's patch is followed from the frame before and back; where that does not return, or ends outside of the cell that
    the features say, the heat map stays that of the features. Then, of groups, each is seen as a whole: turned and shifted
    from its labeled joints to where most of those joints are that still look as labeled, and a joint that is far from its
    place there, as one that got stuck on the ground, is put there. That is for bodies that hardly bend. Nothing is kept but
    the labeled frame and the last one.

    Args:
        stride: Encoded pixels per cell.
        scale: Encoded pixels per pixel of the video, in x and y.
        sigma_cells: Width of a point's heat map.
        groups: Points that are held together, as indices among the points.
        first_channel: Channels before it are not points.
    """

    def __init__(
        self,
        *,
        stride: int,
        scale: Float[Tensor, " 2"],
        sigma_cells: float,
        groups: Sequence[Integer[Tensor, " joints"]] = (),
        first_channel: int = 0,
    ) -> None:
        self._stride, self._scale, self._sigma_cells, self._first = stride, scale, sigma_cells, first_channel
        self._groups = [group for group in groups if len(group) >= FEWEST_JOINTS]

    def begin(self, frame: UInt8[Tensor, "3 height width"], labels: Float[Tensor, "channels h w"]) -> None:
        """Takes the labeled frame and its labels."""
        self._labeled, self._given = image_pyramid(frame)[0], self._points(labels)
        self.resume(frame, labels)

    def resume(self, frame: UInt8[Tensor, "3 height width"], labels: Float[Tensor, "channels h w"]) -> None:
        """Takes the frame before the next one and its labels, as `step` returned them."""
        self._before, self._places = image_pyramid(frame), self._points(labels)

    def step(
        self, frame: UInt8[Tensor, "3 height width"], labels: Float[Tensor, "channels h w"]
    ) -> Float[Tensor, "channels h w"]:
        """Labels of the next frame.

        Args:
            frame: The frame at the video's size.
            labels: By features.

        Returns:
            The same, with the heat maps of points that were followed drawn anew; a map without anything stays so.
        """
        now = image_pyramid(frame)
        places, is_sure = self._follow(now, self._points(labels))
        for group in self._groups:
            self._hold_together(group, now[0], places, is_sure)
        drawn = encode_points(
            places * self._scale,
            cells=(labels.shape[1], labels.shape[2]),
            stride=self._stride,
            sigma_cells=self._sigma_cells,
        )
        is_sure &= drawn.amax(dim=(1, 2)) > 0
        followed = labels.clone()
        followed[self._first :][is_sure.to(labels.device)] = drawn[is_sure].to(labels)
        self._before, self._places = now, self._points(followed)
        return followed

    def _points(self, labels: Float[Tensor, "channels h w"]) -> Float[Tensor, "points 2"]:
        """In pixels of the video; NaN where there is none."""
        return decode_points(labels[self._first :].cpu(), stride=self._stride)[0] / self._scale

    def _follow(self, now: list[Tensor], expected: Float[Tensor, "points 2"]) -> tuple[Tensor, Tensor]:
        """Places of points on the frame, and whether they are those of their patches."""
        places, is_sure = expected.clone(), torch.zeros(len(expected), dtype=torch.bool)
        known = ~(expected.isnan() | self._places.isnan()).any(dim=1)
        if not bool(known.any()):
            return places, is_sure
        start = self._places[known]
        moved = follow_points(self._before, now, start)
        back = follow_points(now, self._before, moved, guess=start)
        size = torch.tensor([now[0].shape[1], now[0].shape[0]])
        holds = torch.linalg.vector_norm(back - start, dim=1) <= RETURN_PIXELS
        away = torch.linalg.vector_norm((moved - expected[known]) * self._scale, dim=1)
        holds &= (away <= REACH_CELLS * self._stride) & ((moved >= 0) & (moved <= size)).all(dim=1)
        places[known] = torch.where(holds[:, None], moved, expected[known])
        is_sure[known] = holds
        return places, is_sure

    def _hold_together(
        self, group: Integer[Tensor, " joints"], now: Float[Tensor, "height width"], places: Tensor, is_sure: Tensor
    ) -> None:
        """Puts joints that strayed from their animal back, in place."""
        known = group[~(self._given[group] + self._places[group] + places[group]).isnan().any(dim=1)]
        if len(known) < FEWEST_JOINTS:
            return
        given, found = self._given[known], places[known]
        diagonal = float(torch.linalg.vector_norm(given.amax(dim=0) - given.amin(dim=0)))
        tolerance = max(1.0, LOOSE * diagonal)
        turn, _ = rigid_motion(given, self._places[known], weights=torch.ones(len(known)), tolerance=tolerance)
        likeness = resemblance(self._labeled, given, now, found, turn=turn).clamp(min=0.01)
        turn, shift = rigid_motion(given, found, weights=likeness**SHARPEN, tolerance=tolerance)
        whole = given @ turn.T + shift
        strayed = torch.linalg.vector_norm(whole - found, dim=1) > STRAY * diagonal
        places[known[strayed]] = whole[strayed]
        is_sure[known[strayed]] = True
