import torch

from mmssl.functional.correspondence import cell_centers, matching_cells, most_central

WHOLE = torch.tensor([[0.0, 0.0, 8.0, 12.0, 0.0]])


def by_loops(first: list[float], second: list[float], rows: int, columns: int) -> list[int]:
    """Walks over the cells of the first crop and searches each center among the cells of the second."""
    found = []
    for row in range(rows):
        for column in range(columns):
            y = first[0] + (row + 0.5) * first[2] / rows
            shown = columns - 1 - column if first[4] else column
            x = first[1] + (shown + 0.5) * first[3] / columns
            match = -1
            for other_row in range(rows):
                for other_column in range(columns):
                    top = second[0] + other_row * second[2] / rows
                    place = columns - 1 - other_column if second[4] else other_column
                    left = second[1] + place * second[3] / columns
                    if top <= y < top + second[2] / rows and left <= x < left + second[3] / columns:
                        match = other_row * columns + other_column
            found.append(match)
    return found


def test_matches_a_search() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.rand(20, 2, 2, generator=generator) * 30 + 10.3
    corners = torch.rand(20, 2, 2, generator=generator) * 20
    flips = torch.randint(0, 2, (20, 2, 1), generator=generator).float()
    boxes = torch.cat((corners, sizes, flips), dim=2)
    found = matching_cells(boxes[:, 0], boxes[:, 1], (4, 5))
    assert found.tolist() == [by_loops(*pair.tolist(), 4, 5) for pair in boxes]
    assert (found >= 0).any()
    assert (found < 0).any()


def test_the_same_crop_shows_each_place_in_its_own_cell() -> None:
    assert matching_cells(WHOLE, WHOLE, (2, 3)).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_a_mirrored_crop_turns_columns_around() -> None:
    mirrored = WHOLE.clone()
    mirrored[0, 4] = 1
    assert matching_cells(WHOLE, mirrored, (2, 3)).tolist() == [[2, 1, 0, 5, 4, 3]]
    assert matching_cells(mirrored, mirrored, (2, 3)).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_what_the_other_crop_does_not_show_has_no_match() -> None:
    right_half = torch.tensor([[0.0, 6.0, 8.0, 6.0, 0.0]])
    assert matching_cells(WHOLE, right_half, (2, 4)).tolist() == [[-1, -1, 1, 3, -1, -1, 5, 7]]


def test_centers_are_where_pixels_are() -> None:
    y, x = cell_centers(WHOLE, (8, 12))
    assert y.reshape(8, 12)[:, 0].tolist() == [row + 0.5 for row in range(8)]
    assert x.reshape(8, 12)[0].tolist() == [column + 0.5 for column in range(12)]


def test_most_central_among_those_with_a_match() -> None:
    matches = torch.tensor([[0, 1, -1, -1, -1, 2], [-1, -1, -1, -1, 4, -1], [-1, -1, -1, -1, -1, -1]])
    assert most_central(matches, (2, 3)).tolist() == [1, 4, 1]
