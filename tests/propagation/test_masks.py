from pathlib import Path

import pytest
import torch
from PIL import Image

from mmssl.errors import LabelError
from mmssl.media.image import write_index_png
from mmssl.propagation.masks import cells_from_mask, input_size, mask_from_cells, objects_of, read_mask
from mmssl.propagation.presets import CRW, DINO, DINOV3


def test_reads_objects_by_index(tmp_path: Path) -> None:
    mask = torch.zeros(6, 8, dtype=torch.uint8)
    mask[0, 0], mask[1, 1], mask[2, 2] = 3, 1, 255
    write_index_png(tmp_path / "mask.png", mask)
    got = read_mask(tmp_path / "mask.png", (6, 8))
    assert torch.equal(got, mask)
    assert objects_of(got) == (1, 3)


def test_255_alone_is_the_one_object(tmp_path: Path) -> None:
    mask = torch.zeros(6, 8, dtype=torch.uint8)
    mask[2:4] = 255
    Image.fromarray(mask.numpy(), "L").save(tmp_path / "mask.png")
    got = read_mask(tmp_path / "mask.png", (6, 8))
    assert objects_of(got) == (1,)
    assert torch.equal(got == 1, mask == 255)


def test_one_line_for_each_bad_label(tmp_path: Path) -> None:
    write_index_png(tmp_path / "empty.png", torch.zeros(6, 8, dtype=torch.uint8))
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (8, 6)).save(tmp_path / "color.png")
    cases = [
        ("empty.png", (6, 8), "no object"),
        ("empty.png", (8, 6), "8 x 6 pixels, the video's frames 6 x 8"),
        ("text.png", (6, 8), "labels cannot be read"),
        ("color.png", (6, 8), "labels cannot be read"),
        ("missing.png", (6, 8), "labels cannot be read"),
    ]
    for name, size, message in cases:
        with pytest.raises(LabelError, match=message) as error:
            read_mask(tmp_path / name, size)
        assert "\n" not in str(error.value)


def test_input_size_of_davis_frames() -> None:
    assert input_size((480, 854), DINO) == (480, 832)
    assert input_size((854, 480), DINO) == (832, 480)
    assert input_size((1080, 1920), DINO) == (480, 832)
    assert input_size((480, 854), CRW) == (480, 848)
    assert input_size((480, 854), DINOV3) == (960, 1696)
    assert input_size((100, 100), DINO) == (480, 448)


def test_cell_takes_the_label_at_its_center_and_void_takes_none() -> None:
    mask = torch.zeros(8, 8, dtype=torch.uint8)
    mask[:4, :4] = 2
    mask[4:, 4:] = 255
    cells = cells_from_mask(mask, (2,), (2, 2))
    assert cells.tolist() == [[[0, 1], [1, 0]], [[1, 0], [0, 0]]]


def test_tiny_object_keeps_a_cell() -> None:
    mask = torch.zeros(64, 64, dtype=torch.uint8)
    mask[17:19, 33:36] = 5
    cells = cells_from_mask(mask, (5,), (4, 4))
    assert cells[1].nonzero().tolist() == [[1, 2]]
    assert torch.equal(cells.sum(dim=0), torch.ones(4, 4))


def test_mask_survives_the_round_trip_through_cells() -> None:
    mask = torch.zeros(64, 96, dtype=torch.uint8)
    mask[16:48, 8:40], mask[:, 64:] = 1, 4
    cells = cells_from_mask(mask, (1, 4), (16, 24))
    back = mask_from_cells(cells, (1, 4), encoded=(64, 96), size=(64, 96), preset=DINO)
    assert (back == mask).float().mean() > 0.98
    assert back.dtype == torch.uint8
    assert mask_from_cells(cells, (1, 4), encoded=(64, 96), size=(128, 50), preset=DINOV3).shape == (128, 50)


def test_stretching_lets_a_weak_object_win() -> None:
    soft = torch.tensor([[[1.0, 0.7]], [[0.0, 0.3]]])
    options = {"encoded": (1, 2), "size": (1, 2)}
    assert mask_from_cells(soft, (9,), preset=DINO, **options).tolist() == [[0, 9]]  # type: ignore[arg-type]
    assert mask_from_cells(soft, (9,), preset=CRW, **options).tolist() == [[0, 0]]  # type: ignore[arg-type]
