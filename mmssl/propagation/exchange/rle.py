"""Run lengths and polygons as masks.

Run lengths alternate between background and object and begin with background. COCO counts down the columns and may pack the
counts into text of six bits a character; CVAT counts along the rows of the mask's own rectangle.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from mmssl.errors import LabelError


def from_counts(counts: Int[np.ndarray, " runs"], num_pixels: int) -> Bool[np.ndarray, " pixels"]:
    """Flat mask of run lengths.

    Raises:
        LabelError: If the runs do not fill exactly `num_pixels`.
    """
    if (counts < 0).any() or int(counts.sum()) != num_pixels:
        raise LabelError(f"the run lengths add up to {int(counts.sum())} pixels, expected {num_pixels}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts)


def to_counts(flat: Bool[np.ndarray, " pixels"]) -> Int[np.ndarray, " runs"]:
    """Run lengths of a flat mask."""
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [len(flat)]]) if len(flat) else np.zeros(1, dtype=np.int64)
    counts = np.diff(edges)
    return np.concatenate([[0], counts]) if len(flat) and flat[0] else counts


def unpack_counts(text: bytes) -> Int[np.ndarray, " runs"]:
    """Run lengths of COCO's packed text: five bits a character, low first, a sixth says whether the number goes on.

    From the third on, a count is stored as its difference to the one two before.

    Raises:
        LabelError: If the text ends within a number or holds other characters.
    """
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - 48
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 0x20:
        raise LabelError("the packed run lengths are cut short or hold characters they cannot")
    last = np.flatnonzero((codes & 0x20) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(len(codes)) - np.repeat(first, last - first + 1)
    if place.max() > 7:
        raise LabelError("a packed run length is too long")
    numbers = np.add.reduceat((codes & 0x1F) << (5 * place), first)
    negative = (codes[last] & 0x10) != 0
    numbers -= np.where(negative, np.int64(1) << (5 * (place[last] + 1)), 0)
    counts = numbers
    for start in (1, 2):
        counts[start::2] = np.cumsum(counts[start::2])
    return counts


def fill_polygon(points: Float[np.ndarray, "points 2"], size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """Pixels whose center lies inside a polygon (even-odd rule).

    Args:
        points: Corners x, y in pixels; the last joins the first.
        size: Height and width of the mask in pixels.
    """
    height, width = size
    following = np.roll(points, -1, axis=0)
    flips = np.zeros((height, width + 1), dtype=bool)
    for (x0, y0), (x1, y1) in zip(points, following, strict=True):
        low, high = min(y0, y1), max(y0, y1)
        rows = np.arange(max(0, int(np.ceil(low - 0.5))), min(height, int(np.ceil(high - 0.5))))
        if len(rows):
            crossings = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.int64)
            flips[rows, columns] ^= True
    return np.logical_xor.accumulate(flips, axis=1)[:, :width]
