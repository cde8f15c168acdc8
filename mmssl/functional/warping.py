"""How far sequences lie apart when each may be stretched in time: dynamic time warping."""

import math
from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize


def warped_distances(
    cells: Float[Tensor, "cells dim"], lengths: Int[Tensor, " sequences"]
) -> Float[Tensor, "sequences sequences"]:
    """The distance of each sequence of cells to each other one, under the alignment in time that suits both best.

    Two cells are as far apart as the angle between them, divided by pi. An alignment is a path from both begins to both ends
    whose steps go on by a cell in either sequence or in both. The path with the smallest sum of angles counts, of several the
    shortest; the distance is the mean over its cells.

    The angles of one sequence to all are one product of matrices; the paths are a compiled loop.

    Args:
        cells: Of all sequences, one after the other.
        lengths: Cells of each sequence; > 0.

    Returns:
        In [0, 1]; symmetric, 0 for a sequence and itself.

    Raises:
        ValueError: If the lengths are not above 0 or are not those of the cells.

    Source:
        Sakoe and Chiba 1978, doi:10.1109/TASSP.1978.1163055, without slope weights; averaged along the path as in Schatz et al.
        2013, "Evaluating speech features with the minimal-pair ABX task".
    """
    if (len(lengths) and int(lengths.min()) < 1) or int(lengths.sum()) != len(cells):
        raise ValueError(f"lengths must be above 0 and sum up to {len(cells)} cells, got {lengths.tolist()}")
    directions = normalize(cells.float().cpu(), dim=1)
    ends = np.concatenate(([0], np.cumsum(lengths.numpy()))).astype(np.int64)
    found = np.zeros((len(lengths), len(lengths)), dtype=np.float32)
    for number in range(len(lengths)):
        begin, end = int(ends[number]), int(ends[number + 1])
        angles = (directions[begin:end] @ directions[end:].T).clamp_(-1.0, 1.0).acos_().div_(math.pi)
        _mean_along_paths(angles.numpy(), ends[number + 1 :] - end, found[number, number + 1 :])
    return torch.from_numpy(found + found.T)


@numba.njit(nogil=True, cache=True)
@no_type_check
def _mean_along_paths(angles, ends, out):
    """For sequences that lie side by side in the columns, from each of `ends` to the next, the mean along the best path."""
    rows = angles.shape[0]
    for number in range(len(ends) - 1):
        begin = ends[number]
        width = ends[number + 1] - begin
        sums = np.zeros(width, dtype=np.float64)
        steps = np.zeros(width, dtype=np.int64)
        for row in range(rows):
            corner_sum, corner_steps = 0.0, 0
            for column in range(width):
                best_sum, best_steps = corner_sum, corner_steps
                above_sum, above_steps = sums[column], steps[column]
                if row > 0 and (
                    column == 0 or above_sum < best_sum or (above_sum == best_sum and above_steps < best_steps)
                ):
                    best_sum, best_steps = above_sum, above_steps
                if column > 0:
                    left_sum, left_steps = sums[column - 1], steps[column - 1]
                    if row == 0 or left_sum < best_sum or (left_sum == best_sum and left_steps < best_steps):
                        best_sum, best_steps = left_sum, left_steps
                corner_sum, corner_steps = above_sum, above_steps
                sums[column] = best_sum + angles[row, begin + column]
                steps[column] = best_steps + 1
        out[number] = sums[width - 1] / steps[width - 1]
