import torch

from mmssl.propagation.overlay import Overlay, contact_sheet, overlay_colors
from mmssl.propagation.video_labels import LabelObject


def objects(*ids: int) -> tuple[LabelObject, ...]:
    return tuple(LabelObject(key, f"{key}", "mask") for key in ids)


def test_object_is_tinted_and_outlined_and_the_rest_is_left_alone() -> None:
    frame = torch.full((3, 96, 120), 100, dtype=torch.uint8)
    mask = torch.zeros(96, 120, dtype=torch.uint8)
    mask[40:70, 50:90] = 2
    drawn = Overlay(objects(2), (96, 120)).draw(frame, mask)
    color = torch.from_numpy(overlay_colors())[2]
    assert drawn[:, 40, 60].tolist() == color.tolist()
    inside = drawn[:, 55, 70].float()
    assert torch.allclose(inside, 100 * 0.55 + color * 0.45, atol=1)
    assert torch.equal(drawn[:, 80:], frame[:, 80:])
    assert frame.eq(100).all()


def test_legend_shows_each_object_and_void_is_not_drawn() -> None:
    frame = torch.zeros(3, 200, 300, dtype=torch.uint8)
    mask = torch.full((200, 300), 255, dtype=torch.uint8)
    drawn = Overlay(objects(1, 3), (200, 300)).draw(frame, mask)
    found = {tuple(color) for color in drawn.flatten(1).T.tolist()}
    assert {tuple(overlay_colors()[index].tolist()) for index in (1, 3)} <= found
    assert drawn[:, 100:].eq(0).all()


def test_legend_of_many_objects_is_cut_at_the_frame() -> None:
    drawn = Overlay(objects(*range(1, 200)), (64, 64)).draw(
        torch.zeros(3, 64, 64, dtype=torch.uint8), torch.zeros(64, 64, dtype=torch.uint8)
    )
    assert drawn.shape == (3, 64, 64)


def test_colors_are_distinct() -> None:
    assert len({tuple(color) for color in overlay_colors().tolist()}) == 256


def test_boxes_and_skeletons_are_drawn_and_lost_objects_are_gray_in_the_legend() -> None:
    frame = torch.zeros(3, 120, 160, dtype=torch.uint8)
    person = LabelObject(5, "p", "keypoints", ("a", "b", "c"), ((0, 1), (1, 2)), color=(10, 200, 30))
    overlay = Overlay((LabelObject(4, "b", "box", color=(250, 0, 9)), person), (120, 160))
    drawn = overlay.draw(frame, boxes={4: (20.0, 40.0, 60.0, 80.0)}, points={5: ((100.5, 50.5), (100.5, 90.5), None)})
    assert drawn[:, 40, 30].tolist() == [250, 0, 9]
    assert drawn[:, 79, 59].tolist() == [250, 0, 9]
    assert drawn[:, 80, 60].tolist() == drawn[:, 60, 40].tolist() == [0, 0, 0]
    assert drawn[:, 70, 100].tolist() == [10, 200, 30]
    lost = overlay.draw(frame, lost=frozenset({4}))
    assert (drawn[:, 6, 8].tolist(), lost[:, 6, 8].tolist()) == ([250, 0, 9], [96, 96, 96])


def test_contact_sheet_holds_every_frame() -> None:
    frames = [torch.full((3, 30, 40), 10 * place + 50, dtype=torch.uint8) for place in range(6)]
    sheet = contact_sheet(frames, [f"frame {place}" for place in range(6)])
    assert sheet.shape == (3, 2 * (30 + 12 + 8) + 4, 4 * 44 + 4)
    assert [int(sheet[0, 20 + 50 * (place // 4), 20 + 44 * (place % 4)]) for place in range(6)] == list(
        range(50, 110, 10)
    )
