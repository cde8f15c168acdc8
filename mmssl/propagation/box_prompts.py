"""Boxes as soft regions: what in a box is the object, and what box a region stands for."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from mmssl.functional.affinity import normalize_features

VOTES = 20
"""Cells that say whether a cell of the box is the object."""

CORE = 0.5
"""Squared radius of the ellipse in the middle of a box that is taken for the object, over that of the one that fills it."""

RING_SHARE, RING_CELLS = 0.3, 3
"""How far around a box the ground is looked at: this share of half the box's sides, and so many cells more."""

LEAST_CELLS = 16
"""Boxes of fewer cells are taken as they are."""

LEAST_SHARE = 0.25
"""Where less of a box than this looks like its middle, all of the box is taken."""

KEPT_PART = 0.25
"""Parts of a box's region that are smaller than this share of its largest part do not count for the box."""

CHUNK_CELLS = 1024
"""Cells that are compared with all voters at once."""


def object_in_box(features: Float[Tensor, "dim h w"], filled: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Which cells of a box look like its middle rather than like the ground around it.

    A box holds ground in its corners, which looks like the ground outside; carried along, it would spread over it. Each
    cell of the box is therefore put to the vote of the `VOTES` most similar cells among the middle of the box, which is
    taken for the object, and a ring around the box, which is taken for the ground; itself has no vote.

    Args:
        features: Of the frame with the box.
        filled: Share of each cell inside the box.

    Returns:
        Share of the votes for the object in cells mostly inside the box, over the largest share; 0 elsewhere. `filled`
        where the box is too small, has no ring, or hardly anything in it looks like its middle.
    """
    inside = filled > 0.5
    if int(inside.sum()) < LEAST_CELLS:
        return filled
    down, across = _offsets(inside)
    core = (down**2 + across**2 < CORE) & inside
    reach = [1 + RING_SHARE + 2 * RING_CELLS / int(inside.any(dim=axis).sum()) for axis in (1, 0)]
    ring = (down.abs() <= reach[0]) & (across.abs() <= reach[1]) & (filled <= 0)
    votes = min(VOTES, int(core.sum()) // 2)
    if votes < 1 or not bool(ring.any()):
        return filled
    cells = normalize_features(features[None])[0].flatten(1).T
    voters = torch.nonzero((core | ring).flatten())[:, 0]
    shares = torch.zeros_like(filled)
    for own in torch.split(torch.nonzero(inside.flatten())[:, 0], CHUNK_CELLS):
        similarity = (cells[own] @ cells[voters].T).masked_fill_(own[:, None] == voters[None], -torch.inf)
        nearest = similarity.topk(min(votes, len(voters) - 1), dim=1).indices
        shares.view(-1)[own] = core.flatten()[voters][nearest].float().mean(dim=1)
    shares /= shares.max().clamp(min=1e-12)
    return shares if int((shares >= 0.5).sum()) >= LEAST_SHARE * int(inside.sum()) else filled


def _offsets(inside: Tensor) -> tuple[Float[Tensor, "h 1"], Float[Tensor, "1 w"]]:
    """Distance of each row and column from the middle of the box, over half its side."""
    found = []
    for axis in (1, 0):
        places = torch.nonzero(inside.any(dim=axis))[:, 0]
        first, last = int(places[0]), int(places[-1]) + 1
        centers = torch.arange(inside.shape[1 - axis], device=inside.device) + 0.5
        found.append((centers - (first + last) / 2) / ((last - first) / 2))
    return found[0][:, None], found[1][None]


def box_of_region(soft: Float[Tensor, "h w"], size: tuple[int, int]) -> Float[np.ndarray, " 4"] | None:
    """Left, top, right and bottom edge of the region in which soft labels, brought to pixels, reach half of their peak.

    Parts much smaller than the largest do not count.

    Args:
        soft: Of cells.
        size: Height and width, in pixels, that the cells cover.

    Returns:
        Edges in these pixels; None where all is zero.
    """
    soft = soft.cpu()
    peak = float(soft.max())
    if peak <= 0:
        return None
    pixels = F.interpolate(soft[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
    parts, _ = ndimage.label((pixels >= peak / 2).numpy())
    counts = np.bincount(parts.ravel())
    counts[0] = 0
    kept = np.isin(parts, np.flatnonzero(counts >= KEPT_PART * counts.max())) & (parts > 0)
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    edges: NDArray[np.float64] = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
    return edges


def margins(region: Float[np.ndarray, " 4"], box: Float[np.ndarray, " 4"]) -> Float[np.ndarray, " 4"]:
    """How far the edges of a box lie from those of its region, over the region's width and height."""
    sides = np.tile(region[2:] - region[:2], 2)
    apart: NDArray[np.float64] = (np.asarray(box, dtype=np.float64) - region) / sides
    return apart


def with_margins(region: Float[np.ndarray, " 4"], apart: Float[np.ndarray, " 4"]) -> Float[np.ndarray, " 4"]:
    """The box of a region whose margins are known from another frame."""
    box: NDArray[np.float64] = region + apart * np.tile(region[2:] - region[:2], 2)
    return box
