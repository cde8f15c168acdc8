"""Scenes of moving shapes: what there is, where it is at a moment, and what a camera sees of it."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from torch.nn.functional import interpolate

from mmssl.data.drawing import COLORS, SHAPES, Pose, Texture, draw, pixel_centers, texture
from mmssl.functional.random import ItemRandom
from mmssl.media.image import read_image

_DIRECTIONS = {"right": 0.0, "down": math.pi / 2, "left": math.pi, "up": -math.pi / 2}
_SCENES_TRIED = 50
_LEAST_VISIBLE = 0.6


@dataclass(frozen=True, eq=False)
class SceneObject:
    """A shape and its path through the clip, whose time runs from 0 to 1; lengths are in pixels, angles in radians.

    Args:
        kind: In `SHAPES`.
        color: In `COLORS`.
        surface: Moves and turns with it.
        heading: Where it goes, in a word.
        middle: Center at half time, (x, y).
        travel: From where it begins to where it ends, (x, y).
        wobble: Swing across the path: length, cycles, phase in cycles.
        radius: Mean radius.
        angle: At the begin.
        turn: From the begin to the end.
        pulse: Change of size: depth as a logarithm, cycles, phase in cycles.
    """

    kind: str
    color: str
    surface: Texture
    heading: str
    middle: tuple[float, float]
    travel: tuple[float, float]
    wobble: tuple[float, float, float]
    radius: float
    angle: float
    turn: float
    pulse: tuple[float, float, float]

    def growth(self, time: int | float) -> float:
        """Size relative to the mean size; the tone's loudness follows it."""
        depth, cycles, phase = self.pulse
        return math.exp(depth * math.sin(2 * math.pi * (cycles * time + phase)))

    def pose(self, time: int | float) -> Pose:
        """Where it stands at a time."""
        width, cycles, phase = self.wobble
        swing = width * math.sin(2 * math.pi * (cycles * time + phase))
        length = math.hypot(*self.travel)
        across = (-self.travel[1] / length, self.travel[0] / length)
        x, y = (
            middle + travel * (time - 0.5) + swing * side
            for middle, travel, side in zip(self.middle, self.travel, across, strict=True)
        )
        return Pose((x, y), self.radius * self.growth(time), self.angle + self.turn * time)


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that one video shows.

    Args:
        objects: The first one, object 1 of the labels, is the main one.
        order: Positions of the objects from back to front.
        canvas: What the camera pans over, RGB in 0..1.
        size: Height and width of the frame in pixels.
        pan: Where the camera begins and ends, (top, left, top, left), as parts of what the canvas leaves free.
        light: Change of brightness: depth, phase in cycles.
        cast: Color of the light, a factor for each of red, green and blue.
    """

    objects: tuple[SceneObject, ...]
    order: tuple[int, ...]
    canvas: Float32[ndarray, "tall wide 3"]
    size: tuple[int, int]
    pan: tuple[float, float, float, float]
    light: tuple[float, float]
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def draw(self, time: int | float) -> tuple[UInt8[ndarray, "height width 3"], UInt8[ndarray, "height width"]]:
        """The picture and the object, from 1, that each pixel belongs to; 0 is the background."""
        labels = np.zeros(self.size, np.uint8)
        image = self._background(time)
        self._draw_objects(image, labels, time)
        depth, phase = self.light
        image *= (1.0 + depth * math.sin(2 * math.pi * (time + phase))) * np.array(self.cast, np.float32)
        return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8), labels

    def labels(self, time: int | float) -> UInt8[ndarray, "height width"]:
        """The second part of `draw`."""
        labels = np.zeros(self.size, np.uint8)
        self._draw_objects(np.zeros((*self.size, 3), np.float32), labels, time)
        return labels

    def _draw_objects(
        self, image: Float32[ndarray, "height width 3"], labels: UInt8[ndarray, "height width"], time: int | float
    ) -> None:
        for position in self.order:
            shape = self.objects[position]
            draw(image, labels, shape.kind, shape.pose(time), shape.surface, position + 1)

    def _background(self, time: int | float) -> Float32[ndarray, "height width 3"]:
        """The part of the canvas that the camera sees, to a fraction of a pixel."""
        height, width = self.size
        margins = (self.canvas.shape[0] - height - 1, self.canvas.shape[1] - width - 1)
        begin, end = self.pan[:2], self.pan[2:]
        y, x = (
            margin * (first + (last - first) * time) for margin, first, last in zip(margins, begin, end, strict=True)
        )
        top, left = int(y), int(x)
        seen = self.canvas[top : top + height + 1, left : left + width + 1]
        rows = seen[:-1] * (1 - (y - top)) + seen[1:] * (y - top)
        return np.asarray(rows[:, :-1] * (1 - (x - left)) + rows[:, 1:] * (x - left), dtype=np.float32)


def random_scene(
    seed: int, number: int, *, num_objects: int, size: tuple[int, int], picture: Path | None, take: int = 0
) -> Scene:
    """A scene: the first one drawn that shows every object well in its first frame, for labels to start from.

    Args:
        seed: Another seed gives other scenes.
        number: Number of the video; of every five in a row, each kind is the main object of one.
        num_objects: Most objects; there are at least two where this allows it.
        size: Height and width in pixels.
        picture: Image to move in front of; None draws a texture.
        take: Another take shows the same things on other paths, from another camera, under light of another color.
    """
    scene = _draw_scene(ItemRandom(seed, 0, [number]), number, num_objects, size, picture)
    for attempt in range(1, _SCENES_TRIED):
        if _begins_well(scene):
            break
        scene = _draw_scene(ItemRandom(seed, attempt, [number]), number, num_objects, size, picture)
    return scene if take == 0 else _another_take(ItemRandom(seed, take, [number]), scene)


def _another_take(random: ItemRandom, scene: Scene) -> Scene:
    objects = []
    for position, shape in enumerate(scene.objects):
        moved = _draw_path(random, f"take/object{position}", scene.size)
        objects.append(replace(shape, **vars(moved)))
    top, left, bottom, right, depth, phase = _floats(random, "take/camera", 6)
    red, green, blue = (0.6 + 0.8 * value for value in _floats(random, "take/cast", 3))
    return replace(
        scene,
        objects=tuple(objects),
        pan=(top, left, bottom, right),
        light=(0.08 * depth, phase),
        cast=(red, green, blue),
    )


def _begins_well(scene: Scene) -> bool:
    alone = [replace(scene, order=(position,)).labels(0.0) for position in scene.order]
    together = scene.labels(0.0)
    areas = [int((labels > 0).sum()) for labels in alone]
    seen = [int((together == position + 1).sum()) for position in scene.order]
    whole = [math.pi * 0.3 * scene.objects[position].pose(0.0).radius ** 2 for position in scene.order]
    return all(
        visible >= _LEAST_VISIBLE * area and area >= _LEAST_VISIBLE * full
        for visible, area, full in zip(seen, areas, whole, strict=True)
    )


def _draw_scene(
    random: ItemRandom, number: int, num_objects: int, size: tuple[int, int], picture: Path | None
) -> Scene:
    block = ItemRandom(random.seed, 0, [number // len(SHAPES)])
    kind = list(SHAPES)[int(block.permutations("kinds", len(SHAPES))[0, number % len(SHAPES)])]
    fewest = min(2, num_objects)
    count = fewest + int(random.integers("objects", high=num_objects - fewest + 1)[0])
    names = [list(COLORS)[choice] for choice in random.permutations("colors", len(COLORS))[0].tolist()]
    objects = [
        _draw_object(random, f"object{position}", names[position], size, kind if position == 0 else None)
        for position in range(count)
    ]
    light = _floats(random, "light", 2)
    top, left, bottom, right = _floats(random, "pan", 4)
    return Scene(
        tuple(objects),
        tuple(random.permutations("order", count)[0].tolist()),
        _canvas(random, size, names[count % len(names)], picture),
        size,
        (top, left, bottom, right),
        (0.08 * light[0], light[1]),
    )


@dataclass(frozen=True)
class _Path:
    """The part of a `SceneObject` that says where it goes."""

    heading: str
    middle: tuple[float, float]
    travel: tuple[float, float]
    wobble: tuple[float, float, float]
    angle: float
    turn: float
    pulse: tuple[float, float, float]


def _draw_object(random: ItemRandom, name: str, color: str, size: tuple[int, int], kind: str | None) -> SceneObject:
    """The main object, whose kind is given, is larger than the others."""
    radius = _floats(random, f"{name}/path", 7)[2]
    return SceneObject(
        kind=kind or list(SHAPES)[int(random.integers(f"{name}/kind", high=len(SHAPES))[0])],
        color=color,
        surface=texture(random, f"{name}/texture", COLORS[color], contrast=0.4),
        radius=min(size) * (0.25 + 0.05 * radius if kind else 0.14 + 0.06 * radius),
        **vars(_draw_path(random, name, size)),
    )


def _draw_path(random: ItemRandom, name: str, size: tuple[int, int]) -> _Path:
    height, width = size
    side = min(size)
    heading = list(_DIRECTIONS)[int(random.integers(f"{name}/heading", high=len(_DIRECTIONS))[0])]
    angle, turn, _, speed, slant, x, y = _floats(random, f"{name}/path", 7)
    swing, swings, swing_phase, pulse, pulses, pulse_phase = _floats(random, f"{name}/rhythm", 6)
    direction = _DIRECTIONS[heading] + math.radians(25) * (2 * slant - 1)
    distance = side * (0.25 + 0.25 * speed)
    return _Path(
        heading=heading,
        middle=(width * (0.25 + 0.5 * x), height * (0.25 + 0.5 * y)),
        travel=(distance * math.cos(direction), distance * math.sin(direction)),
        wobble=(side * (0.01 + 0.03 * swing), 0.5 + swings, swing_phase),
        angle=2 * math.pi * angle,
        turn=math.radians(120) * (2 * turn - 1),
        pulse=(0.05 + 0.15 * pulse, 0.5 + pulses, pulse_phase),
    )


def _canvas(
    random: ItemRandom, size: tuple[int, int], color: str, picture: Path | None
) -> Float32[ndarray, "tall wide 3"]:
    """A picture a quarter larger than the frame, for the camera to pan over."""
    tall, wide = (side + side // 4 for side in size)
    if picture is None:
        dull = tuple(0.45 * value + 0.55 * 0.45 for value in COLORS[color])
        surface = texture(random, "background", (dull[0], dull[1], dull[2]), contrast=0.45)
        return surface.at(pixel_centers(0, tall, 0, wide) / (0.7 * tall)).reshape(tall, wide, 3)
    pixels = read_image(picture)
    scale = max(tall / pixels.shape[1], wide / pixels.shape[2])
    cover = (max(tall, round(pixels.shape[1] * scale)), max(wide, round(pixels.shape[2] * scale)))
    resized = interpolate(pixels[None].float() / 255, cover, mode="bicubic", antialias=True)[0].clamp(0, 1)
    top, left = ((have - want) // 2 for have, want in zip(cover, (tall, wide), strict=True))
    return np.asarray(resized[:, top : top + tall, left : left + wide].permute(1, 2, 0).numpy())


def _floats(random: ItemRandom, name: str, count: int) -> list[float]:
    """Numbers in [0, 1)."""
    return [float(value) for value in random.uniform(name, (count,))[0]]
