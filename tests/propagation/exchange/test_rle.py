"""Run lengths, polygons and brush strokes against slow, obvious versions."""

from itertools import groupby

import numpy as np
import pytest
from pycocotools import mask as codec

from mmssl.errors import LabelError
from mmssl.propagation.exchange import brush
from mmssl.propagation.exchange.building import turned_box
from mmssl.propagation.exchange.rle import fill_polygon, from_counts, to_counts, unpack_counts


def masks() -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    found = [dice.random((13, 17)) < share for share in (0.0, 0.02, 0.5, 0.97, 1.0)]
    blob = np.zeros((400, 300), dtype=bool)
    blob[20:380, 5:290] = True
    return [*found, blob, np.ones((1, 1), dtype=bool)]


@pytest.mark.parametrize("mask", masks(), ids=lambda mask: f"{mask.mean():.2f} of {mask.shape}")
def test_run_lengths_agree_with_loops_and_pycocotools(mask: np.ndarray) -> None:
    flat = mask.reshape(-1)
    slow = [len(list(run)) for _, run in groupby(flat)]
    expected = [0, *slow] if flat[0] else slow
    assert to_counts(flat).tolist() == expected
    np.testing.assert_array_equal(from_counts(np.array(expected), flat.size), flat)
    packed = codec.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = unpack_counts(packed["counts"])
    assert counts.tolist() == to_counts(mask.T.reshape(-1)).tolist()


def test_run_lengths_that_do_not_fill_the_picture_are_refused() -> None:
    for counts in ([3, 3], [3, 5], [9, -2], []):
        with pytest.raises(LabelError, match=r"add up to"):
            from_counts(np.array(counts, dtype=np.int64), 7)
    for text in (b"", b"T", b"\x7f0", b"1 2", b"o" * 30):
        with pytest.raises(LabelError, match=r"packed run length"):
            unpack_counts(text)


def inside(points: np.ndarray, x: float, y: float) -> bool:
    """Whether a ray to the left crosses the outline an odd number of times."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) < x:
            crossings += 1
    return crossings % 2 == 1


def test_polygons_fill_the_pixels_whose_center_is_inside() -> None:
    dice = np.random.default_rng(3)
    for corners in (3, 4, 9):
        points = dice.random((corners, 2)) * 34 - 5
        expected = [[inside(points, x + 0.5, y + 0.5) for x in range(24)] for y in range(20)]
        np.testing.assert_array_equal(fill_polygon(points, (20, 24)), expected)
    square = np.array([[2.0, 3], [6, 3], [6, 5], [2, 5]])
    expected_square = np.zeros((8, 9), dtype=bool)
    expected_square[3:5, 2:6] = True
    np.testing.assert_array_equal(fill_polygon(square, (8, 9)), expected_square)
    np.testing.assert_array_equal(fill_polygon(square[::-1], (8, 9)), expected_square)


@pytest.mark.parametrize("mask", masks(), ids=lambda mask: f"{mask.mean():.2f} of {mask.shape}")
def test_brush_strokes_come_back(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(brush.unpack(brush.pack(mask), mask.shape), mask)


def test_a_brush_stroke_of_single_values_and_runs() -> None:
    """Two pixels: red with alpha 200 as four single values, then a run of four zeros; sizes of 3, 4, 8 and 16 bits."""
    head = f"{8:032b}{7:05b}" + "".join(f"{bits - 1:04b}" for bits in (3, 4, 8, 16))
    singles = "0" + "01" + f"{3:04b}" + "".join(f"{value:08b}" for value in (255, 0, 0, 200))
    run = "1" + "00" + f"{3:03b}" + f"{0:08b}"
    bits = head + singles + run
    bits += "0" * (-len(bits) % 8)
    stream = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    np.testing.assert_array_equal(brush.unpack(stream, (1, 2)), [[True, False]])
    with pytest.raises(LabelError, match=r"of 2 pixels, the video has 3 x 1"):
        brush.unpack(stream, (1, 3))
    for short in (stream[:4], stream[:9], stream[:-1], []):
        with pytest.raises(LabelError, match=r"cut short"):
            brush.unpack(short, (1, 2))
    with pytest.raises(LabelError, match=r"not a list of bytes"):
        brush.unpack([256], (1, 2))


def test_the_box_around_a_turned_box() -> None:
    box = (10.0, 20.0, 30.0, 26.0)
    assert turned_box(box, degrees=0.0, pivot=(0.0, 0.0)) == box
    np.testing.assert_allclose(turned_box(box, degrees=180.0, pivot=(20.0, 23.0)), box)
    np.testing.assert_allclose(turned_box(box, degrees=90.0, pivot=(20.0, 23.0)), (17, 13, 23, 33))
    np.testing.assert_allclose(turned_box(box, degrees=90.0, pivot=(10.0, 20.0)), (4, 20, 10, 40))
    diagonal = 2**0.5
    found = turned_box((0.0, 0.0, 2.0, 2.0), degrees=45.0, pivot=(1.0, 1.0))
    np.testing.assert_allclose(found, [1 - diagonal, 1 - diagonal, 1 + diagonal, 1 + diagonal])
