"""Permutations of nine things that differ in many places."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

LARGEST = 1512
"""How many there are."""


def distant_permutations(count: int) -> Int[Tensor, "count 9"]:
    """Permutations of 0..8, any two of which differ in at least 6 places, and the first 504 in at least 7.

    They are the maps x -> (a y + b) / (c y + d), y being x, its square or its fourth power, of the projective line over the
    field of eight elements onto itself: two such maps of one power agree on at most two points, and any two on at most three.

    Args:
        count: From 1 to 1512.

    Raises:
        ValueError: If there are not so many.

    Source:
        Noroozi and Favaro 2016, arXiv:1603.09246, section 4.2, for what they are for.
    """
    if not 1 <= count <= LARGEST:
        raise ValueError(f"there are 1 to {LARGEST} such permutations, not {count}")
    infinity = 8

    def inverted(x: int) -> int:
        if x in (0, infinity):
            return infinity - x
        return next(y for y in range(1, 8) if _product(x, y) == 1)

    moves: list[Callable[[int], int]] = [
        lambda x: x if x == infinity else x ^ 1,
        lambda x: x if x == infinity else _product(x, 2),
        inverted,
    ]
    linear = [tuple(range(9))]
    known = set(linear)
    for permutation in linear:
        for move in moves:
            moved = tuple(move(x) for x in permutation)
            if moved not in known:
                known.add(moved)
                linear.append(moved)
    squares = [x if x == infinity else _product(x, x) for x in range(9)]
    fourths = [squares[square] for square in squares]
    bent = [[permutation[x] for x in powers] for powers in (squares, fourths) for permutation in linear]
    return torch.tensor([*map(list, linear), *bent])[:count]


def _product(x: int, y: int) -> int:
    """In the field of eight elements: polynomials over two, their coefficients as bits, modulo z^3 + z + 1."""
    product = 0
    for bit in range(3):
        product ^= (x << bit) * (y >> bit & 1)
    for bit in (4, 3):
        product ^= (0b1011 << bit - 3) * (product >> bit & 1)
    return product
