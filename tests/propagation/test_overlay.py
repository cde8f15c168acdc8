import torch

from mmssl.propagation.overlay import Overlay, overlay_colors


def test_object_is_tinted_and_outlined_and_the_rest_is_left_alone() -> None:
    frame = torch.full((3, 96, 120), 100, dtype=torch.uint8)
    mask = torch.zeros(96, 120, dtype=torch.uint8)
    mask[40:70, 50:90] = 2
    drawn = Overlay((2,), (96, 120)).draw(frame, mask)
    color = torch.from_numpy(overlay_colors())[2]
    assert drawn[:, 40, 60].tolist() == color.tolist()
    inside = drawn[:, 55, 70].float()
    assert torch.allclose(inside, 100 * 0.55 + color * 0.45, atol=1)
    assert torch.equal(drawn[:, 80:], frame[:, 80:])
    assert frame.eq(100).all()


def test_legend_shows_each_object_and_void_is_not_drawn() -> None:
    frame = torch.zeros(3, 200, 300, dtype=torch.uint8)
    mask = torch.full((200, 300), 255, dtype=torch.uint8)
    drawn = Overlay((1, 3), (200, 300)).draw(frame, mask)
    found = {tuple(color) for color in drawn.flatten(1).T.tolist()}
    assert {tuple(overlay_colors()[index].tolist()) for index in (1, 3)} <= found
    assert drawn[:, 100:].eq(0).all()


def test_legend_of_many_objects_is_cut_at_the_frame() -> None:
    drawn = Overlay(tuple(range(1, 200)), (64, 64)).draw(
        torch.zeros(3, 64, 64, dtype=torch.uint8), torch.zeros(64, 64, dtype=torch.uint8)
    )
    assert drawn.shape == (3, 64, 64)


def test_colors_are_distinct() -> None:
    assert len({tuple(color) for color in overlay_colors().tolist()}) == 256
