import pytest
import torch
from torch import Tensor

from mmssl.evaluation.segmentation import (
    boundary_accuracy,
    confusion,
    mean_iou,
    region_similarity,
    score_sequence,
    statistics,
)


def rectangle(top: int, bottom: int, left: int, right: int, size: tuple[int, int] = (40, 60)) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


EMPTY = torch.zeros(40, 60, dtype=torch.bool)


def test_identical_masks_score_one() -> None:
    mask = rectangle(5, 20, 10, 30)
    assert region_similarity(mask, mask) == boundary_accuracy(mask, mask) == 1


def test_two_empty_masks_score_one() -> None:
    assert region_similarity(EMPTY, EMPTY) == boundary_accuracy(EMPTY, EMPTY) == 1


def test_one_empty_mask_scores_zero() -> None:
    mask = rectangle(5, 20, 10, 30)
    for pair in ((mask, EMPTY), (EMPTY, mask)):
        assert region_similarity(*pair) == boundary_accuracy(*pair) == 0


def test_shifted_square_has_known_overlap() -> None:
    assert region_similarity(rectangle(10, 20, 10, 20), rectangle(10, 20, 15, 25)) == pytest.approx(50 / 150)


def test_boundary_tolerance_is_rounded_up() -> None:
    # the diagonal of 40 x 60 is 72.1 pixels, 0.008 of it 0.58: boundaries one pixel apart match, two do not
    square = rectangle(10, 20, 10, 20)
    assert boundary_accuracy(rectangle(10, 20, 11, 21), square) == 1
    assert 0 < boundary_accuracy(rectangle(10, 20, 12, 22), square) < 1
    wide = rectangle(10, 20, 10, 20, (300, 400))
    # 0.008 of 500 is 4
    assert boundary_accuracy(rectangle(14, 24, 10, 20, (300, 400)), wide) == 1
    assert boundary_accuracy(rectangle(15, 25, 10, 20, (300, 400)), wide) < 1


def test_boundary_of_half_the_outline_by_hand() -> None:
    # vertical lines: the outline of pixels right of column 10, against that and one more far away
    one, two = rectangle(0, 40, 11, 60), rectangle(0, 40, 11, 40)
    # outlines: column 10 (40 pixels), and column 39 as well (the corner rule keeps the last row: it looks right)
    precision, recall = 1.0, 40 / 80
    assert boundary_accuracy(one, two) == pytest.approx(2 * precision * recall / (precision + recall))


def test_thin_shapes_have_outlines() -> None:
    line = rectangle(20, 21, 5, 50)
    assert boundary_accuracy(line, line) == 1
    assert boundary_accuracy(rectangle(21, 22, 5, 50), line) == 1
    assert region_similarity(rectangle(21, 22, 5, 50), line) == 0
    assert boundary_accuracy(rectangle(30, 31, 5, 50), line) == 0


def test_whole_frame_has_no_outline() -> None:
    full = torch.ones(40, 60, dtype=torch.bool)
    assert boundary_accuracy(full, full) == 1
    assert boundary_accuracy(full, EMPTY) == 1
    assert boundary_accuracy(full, rectangle(5, 20, 10, 30)) == 0


def test_object_at_the_border() -> None:
    corner = rectangle(30, 40, 50, 60)
    assert boundary_accuracy(corner, corner) == 1
    # the corner's outline has 11 + 10 pixels, and all but its tip lie within one pixel of the smaller one's
    recall = 20 / 21
    assert boundary_accuracy(rectangle(31, 40, 51, 60), corner) == pytest.approx(2 * recall / (1 + recall))
    assert boundary_accuracy(rectangle(30, 40, 0, 10), corner) == 0


def test_void_pixels_do_not_count() -> None:
    truth, void = rectangle(10, 20, 10, 20), rectangle(0, 40, 30, 60)
    predicted = truth | rectangle(10, 20, 35, 45)
    assert region_similarity(predicted, truth) < 1
    assert region_similarity(predicted, truth, void) == boundary_accuracy(predicted, truth, void) == 1


def test_swapping_prediction_and_truth_changes_nothing() -> None:
    a, b = torch.rand(30, 40) < 0.2, torch.rand(30, 40) < 0.3
    assert region_similarity(a, b) == region_similarity(b, a)
    assert boundary_accuracy(a, b) == pytest.approx(boundary_accuracy(b, a))


def test_statistics_by_hand() -> None:
    values = [1.0, 0.9, 0.8, 0.6, 0.5, 0.4, 0.2, 0.1]
    # quarters of 8 frames end at 1-based 1, 2.75, 4.5, 6.25, 8: rounded 1, 3, 5 (4.5 + 1e-10 rounds up), 6, 8
    got = statistics(values)
    assert got.mean == pytest.approx(4.5 / 8)
    assert got.recall == 4 / 8
    assert got.decay == pytest.approx((1.0 + 0.9 + 0.8) / 3 - (0.4 + 0.2 + 0.1) / 3)


def test_statistics_of_many_frames_and_of_one() -> None:
    assert statistics([1.0] * 300 + [0.0] * 100).decay == pytest.approx(1 - 1 / 101, abs=0.01)
    assert statistics([0.7]).decay == 0
    with pytest.raises(ValueError, match="no frames"):
        statistics([])


def test_sequence_scores_objects_of_the_first_frame_only() -> None:
    truth = rectangle(5, 15, 5, 15).to(torch.uint8) + 2 * rectangle(20, 30, 30, 50).to(torch.uint8)
    predicted = torch.where(truth == 2, 0, truth)
    truth[0, 0] = 7
    scores = score_sequence((1, 2), [(predicted, truth), (truth, truth)])
    assert scores.region == {1: [1.0, 1.0], 2: [0.0, 1.0]}
    assert scores.boundary == {1: [1.0, 1.0], 2: [0.0, 1.0]}


def test_confusion_and_mean_iou_by_hand() -> None:
    truth = torch.tensor([[0, 0, 1, 1, 2, 255]], dtype=torch.uint8)
    predicted = torch.tensor([[0, 1, 1, 1, 0, 3]], dtype=torch.uint8)
    matrix = confusion(predicted, truth, classes=5)
    assert matrix[:3, :3].tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert int(matrix.sum()) == 5
    assert mean_iou(matrix) == pytest.approx((1 / 3 + 2 / 3 + 0) / 3), "classes 3 and 4 do not occur"
    assert mean_iou(torch.zeros(3, 3, dtype=torch.int64)) is None
    assert mean_iou(matrix.T.contiguous()) == mean_iou(matrix)
    with pytest.raises(ValueError, match="class 3 of 3"):
        confusion(predicted, truth, classes=3)
