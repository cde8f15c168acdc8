"""Draws textured shapes: outlines by signed distance, textures by filtered noise; numpy, one frame at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray

from mmssl.functional.random import ItemRandom

TEXTURE_SIDE = 128
CIRCLE_RADIUS = 0.8


def _ring(radii: list[float], turn: int | float = 0.0) -> Float[ndarray, "corners 2"]:
    """Corners at equal angles around the origin, the first at the top, with radii that repeat."""
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii) - np.pi / 2 + turn
    return np.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None])


def _cross() -> Float[ndarray, "corners 2"]:
    arm = 0.34
    quarter = np.array([[arm, -1.0], [arm, -arm], [1.0, -arm]])
    turns = [np.linalg.matrix_power(np.array([[0.0, 1.0], [-1.0, 0.0]]), count) for count in range(4)]
    return np.asarray(np.concatenate([quarter @ turn for turn in turns]) / np.hypot(1.0, arm))


SHAPES: dict[str, Float[ndarray, "corners 2"]] = {
    "circle": _ring([CIRCLE_RADIUS] * 4),
    "square": _ring([1.0] * 4, np.pi / 4),
    "triangle": _ring([1.0] * 3),
    "star": _ring([1.0, 0.45] * 5),
    "cross": _cross(),
}
"""Corners of each kind, within the unit circle, x to the right, y down; of the circle, four points of its outline."""

COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.80, 0.16, 0.14),
    "orange": (0.93, 0.52, 0.10),
    "yellow": (0.90, 0.80, 0.16),
    "green": (0.20, 0.58, 0.22),
    "cyan": (0.16, 0.68, 0.72),
    "blue": (0.16, 0.30, 0.78),
    "purple": (0.52, 0.22, 0.66),
    "pink": (0.92, 0.50, 0.66),
    "gray": (0.50, 0.50, 0.52),
}
"""RGB in 0..1 of the colors that captions name."""


def signed_distance(points: Float[ndarray, "points 2"], kind: str) -> Float[ndarray, " points"]:
    """Distance of each point to the outline of a kind, negative inside."""
    x, y = np.ascontiguousarray(points.T)
    if kind == "circle":
        return np.asarray(np.hypot(x, y) - CIRCLE_RADIUS)
    corners = SHAPES[kind]
    nearest = np.full(len(points), np.inf)
    inside = np.zeros(len(points), bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = np.clip(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / ((x2 - x1) ** 2 + (y2 - y1) ** 2), 0.0, 1.0)
        away_x, away_y = x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1)
        np.minimum(nearest, away_x * away_x + away_y * away_y, out=nearest)
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * ((x2 - x1) / (y2 - y1)))
    distance = np.sqrt(nearest)
    return np.asarray(np.where(inside, -distance, distance))


def noise(random: ItemRandom, name: str, *, falloff: int | float) -> Float32[ndarray, "side side"]:
    """Periodic noise of mean 0 and deviation 1 whose amplitude falls with frequency to the power of `falloff`."""
    white = random.normal(name, (TEXTURE_SIDE, TEXTURE_SIDE))[0].numpy()
    frequencies = np.hypot(np.fft.fftfreq(TEXTURE_SIDE)[:, None], np.fft.rfftfreq(TEXTURE_SIDE)) * TEXTURE_SIDE
    frequencies[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(white) * np.maximum(frequencies, 1.0) ** -falloff, s=white.shape)
    return np.asarray(field / field.std(), dtype=np.float32)


def _stripes(u: ndarray, v: ndarray, warp: ndarray) -> ndarray:
    return np.asarray(np.sin(2 * np.pi * 4 * u + warp))


def _checks(u: ndarray, v: ndarray, warp: ndarray) -> ndarray:
    return np.asarray(np.tanh(4 * np.sin(2 * np.pi * 3 * u + 0.4 * warp) * np.sin(2 * np.pi * 3 * v - 0.4 * warp)))


def _spots(u: ndarray, v: ndarray, warp: ndarray) -> ndarray:
    return np.asarray(np.tanh(3 * (np.cos(2 * np.pi * 4 * u + 0.5 * warp) + np.cos(2 * np.pi * 4 * v) - 0.6)))


def _clouds(u: ndarray, v: ndarray, warp: ndarray) -> ndarray:
    return np.asarray(np.tanh(1.2 * warp))


PATTERNS: tuple[Callable[[ndarray, ndarray, ndarray], ndarray], ...] = (_stripes, _checks, _spots, _clouds)


@dataclass(frozen=True, eq=False)
class Texture:
    """A periodic picture that a point's coordinates look up, one period a unit."""

    colors: Float32[ndarray, "side side 3"]

    def at(self, points: Float[ndarray, "points 2"]) -> Float32[ndarray, "points 3"]:
        """Colors at points, bilinear."""
        place = (points * TEXTURE_SIDE - 0.5).astype(np.float32)
        whole = np.floor(place)
        x1, y1 = (place - whole).T[..., None]
        left, top = whole.astype(np.int64).T
        x, y, right, bottom = (value % TEXTURE_SIDE for value in (left, top, left + 1, top + 1))
        upper = self.colors[y, x] * (1 - x1) + self.colors[y, right] * x1
        lower = self.colors[bottom, x] * (1 - x1) + self.colors[bottom, right] * x1
        return np.asarray(upper * (1 - y1) + lower * y1)


def texture(random: ItemRandom, name: str, color: tuple[float, float, float], *, contrast: int | float) -> Texture:
    """A random pattern in shades of a color, with fine noise of other hues, so that no patch is of one color."""
    cells = (np.arange(TEXTURE_SIDE, dtype=np.float32) + 0.5) / TEXTURE_SIDE
    u, v = np.meshgrid(cells, cells)
    warp = noise(random, f"{name}/warp", falloff=2.0)
    pattern = PATTERNS[int(random.integers(f"{name}/pattern", high=len(PATTERNS))[0])](u, v, warp)
    grain = noise(random, f"{name}/grain", falloff=0.8)
    hues = np.stack([noise(random, f"{name}/hue{channel}", falloff=1.6) for channel in range(3)], axis=-1)
    shade = 1.0 + contrast * (0.75 * pattern + 0.25 * grain)
    colors = np.array(color, dtype=np.float32) * shade[..., None] + 0.05 * hues
    return Texture(np.clip(colors, 0.0, 1.0).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a shape stands in one frame: center in pixels, radius in pixels, angle in radians clockwise."""

    center: tuple[float, float]
    radius: float
    angle: float

    @property
    def _rotation(self) -> Float[ndarray, "2 2"]:
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, sin], [-sin, cos]])

    def to_image(self, points: Float[ndarray, "points 2"]) -> Float[ndarray, "points 2"]:
        """Points of the unit circle as pixels of the frame."""
        return np.asarray(points @ self._rotation * self.radius + np.array(self.center))

    def to_shape(self, points: Float[ndarray, "points 2"]) -> Float[ndarray, "points 2"]:
        """Pixels of the frame as points of the unit circle."""
        return np.asarray((points - np.array(self.center)) @ self._rotation.T / self.radius)


def pixel_centers(top: int, bottom: int, left: int, right: int) -> Float[ndarray, "pixels 2"]:
    """(x, y) of the pixels of a box, row by row; the center of the top left pixel of the frame is (0.5, 0.5)."""
    y, x = np.mgrid[top:bottom, left:right]
    return np.stack([x.ravel(), y.ravel()], axis=1) + 0.5


def draw(
    image: Float32[ndarray, "height width 3"],
    labels: UInt8[ndarray, "height width"],
    kind: str,
    pose: Pose,
    surface: Texture,
    index: int,
) -> None:
    """Draws a shape over an image, its edge antialiased, and over the labels, where a pixel's center decides."""
    height, width = labels.shape
    reach = pose.radius + 1.5
    left, right = (int(np.clip(pose.center[0] + side * reach, 0, width)) for side in (-1, 1))
    top, bottom = (int(np.clip(pose.center[1] + side * reach, 0, height)) for side in (-1, 1))
    if left >= right or top >= bottom:
        return
    points = pose.to_shape(pixel_centers(top, bottom, left, right))
    distance = signed_distance(points, kind) * pose.radius
    box = (slice(top, bottom), slice(left, right))
    covered = distance < 0.5
    place = covered.reshape(bottom - top, right - left)
    alpha = np.clip(0.5 - distance[covered], 0.0, 1.0).astype(np.float32)[:, None]
    below = image[box][place]
    image[box][place] = below + alpha * (surface.at(points[covered] * 0.5) - below)
    labels[box][(distance < 0).reshape(place.shape)] = index
