"""Makes videos with known truth: textured shapes that move, turn, grow and hide one another, with masks, points and sound.

Nothing but the outline tells a shape's kind: color, texture, size, motion and background are drawn independently of it.
"""

import json
import math
import wave
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray
from torch.nn.functional import interpolate

from mmssl.data.drawing import COLORS, SHAPES, Pose, Texture, draw, pixel_centers, texture
from mmssl.data.manifest import Manifest, ManifestRow, media_type_of, write_manifest
from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.media.encode import VideoWriter
from mmssl.media.image import read_image, write_index_png
from mmssl.progress import Progress

TONES_HERTZ = {"circle": 262.0, "square": 330.0, "triangle": 440.0, "star": 587.0, "cross": 784.0}
"""Frequency of each kind's tone."""

SAMPLE_RATE = 16000
_DIRECTIONS = {"right": 0.0, "down": math.pi / 2, "left": math.pi, "up": -math.pi / 2}
_SCENES_TRIED = 50
_LEAST_VISIBLE = 0.6


@dataclass(frozen=True, eq=False)
class _Object:
    """A shape and its path through the clip, whose time runs from 0 to 1."""

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

    def growth(self, time: float) -> float:
        """Size relative to the mean size; the tone's loudness follows it."""
        depth, cycles, phase = self.pulse
        return math.exp(depth * math.sin(2 * math.pi * (cycles * time + phase)))

    def pose(self, time: float) -> Pose:
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
class _Scene:
    """Everything that one video shows; object 1 is the main one, and `order` lists the objects from back to front."""

    objects: tuple[_Object, ...]
    order: tuple[int, ...]
    canvas: Float32[ndarray, "tall wide 3"]
    size: tuple[int, int]
    pan: tuple[float, float, float, float]
    light: tuple[float, float]

    def draw(self, time: float) -> tuple[UInt8[ndarray, "height width 3"], UInt8[ndarray, "height width"]]:
        """The picture and the object, from 1, that each pixel belongs to; 0 is the background."""
        labels = np.zeros(self.size, np.uint8)
        image = self._background(time)
        self._draw_objects(image, labels, time)
        depth, phase = self.light
        image *= 1.0 + depth * math.sin(2 * math.pi * (time + phase))
        return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8), labels

    def labels(self, time: float) -> UInt8[ndarray, "height width"]:
        """The second part of `draw`."""
        labels = np.zeros(self.size, np.uint8)
        self._draw_objects(np.zeros((*self.size, 3), np.float32), labels, time)
        return labels

    def _draw_objects(
        self, image: Float32[ndarray, "height width 3"], labels: UInt8[ndarray, "height width"], time: float
    ) -> None:
        for position in self.order:
            shape = self.objects[position]
            draw(image, labels, shape.kind, shape.pose(time), shape.surface, position + 1)

    def _background(self, time: float) -> Float32[ndarray, "height width 3"]:
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


def write_synthetic(
    out: Path,
    *,
    num_videos: int = 40,
    num_frames: int = 32,
    fps: float = 16.0,
    size: tuple[int, int] = (192, 256),
    num_objects: int = 3,
    backgrounds: Path | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Manifest:
    """Writes videos, masks, keypoints, sound and `manifest.jsonl`; video `i` is the same for any number of videos.

    Args:
        out: Folder to fill.
        num_videos: Videos to make; kinds are balanced over every five of them.
        num_frames: Frames a video.
        fps: Frames a second.
        size: Height and width in pixels; even.
        num_objects: Most objects in a video; there are at least two where this allows it.
        backgrounds: Folder of images to move in front of; None draws textures.
        test_fraction: About this part of the videos has the split `test`, the others `train`.
        seed: Another seed gives other videos.

    Returns:
        The manifest, as written. A row's label is the kind of object 1, the largest; `extra` has `masks`, `keypoints`,
        `sound` and `objects`.

    Raises:
        ConfigError: If a setting is out of range or `backgrounds` holds no image.
    """
    _check(num_videos, num_frames, fps, size, num_objects, test_fraction)
    pictures = _pictures(backgrounds, test_fraction) if backgrounds is not None else None
    rows = []
    with Progress("synthetic", num_videos, unit="videos") as progress:
        for number in range(num_videos):
            split = _split(number // len(SHAPES), test_fraction)
            picture = pictures[split][number % len(pictures[split])] if pictures else None
            scene = _scene(number, num_objects, size, picture, seed)
            _write_files(out, number, scene, num_frames, fps)
            rows.append(_row(number, scene, num_frames, fps, split, picture))
            progress.advance()
    path = out / "manifest.jsonl"
    write_manifest(path, rows)
    return Manifest(path, tuple(rows))


def _check(
    num_videos: int, num_frames: int, fps: float, size: tuple[int, int], num_objects: int, test_fraction: float
) -> None:
    faults = []
    if num_videos < 1 or num_frames < 2:
        faults.append(f"num_videos must be at least 1 and num_frames at least 2, got {num_videos} and {num_frames}")
    if not fps > 0:
        faults.append(f"fps must be positive, got {fps}")
    if min(size) < 32 or size[0] % 2 or size[1] % 2:
        faults.append(f"size must be even and at least 32 x 32, got {size}")
    if not 1 <= num_objects <= len(COLORS):
        faults.append(f"num_objects must be within 1..{len(COLORS)}, got {num_objects}")
    if not 0 <= test_fraction <= 0.5:
        faults.append(f"test_fraction must be within 0..0.5, got {test_fraction}")
    if faults:
        raise ConfigError("synthetic: " + "; ".join(faults))


def _split(block: int, test_fraction: float) -> str:
    """Whole blocks, which hold each kind once, go to the test split, the second block first."""
    return "test" if math.ceil(block * test_fraction) > math.ceil((block - 1) * test_fraction) else "train"


def _pictures(folder: Path, test_fraction: float) -> dict[str, list[Path]]:
    """The pictures of each split, so that none stands behind videos of both."""
    found = sorted(path for path in folder.rglob("*") if media_type_of(path.name) == "image")
    num_test = math.ceil(len(found) * test_fraction)
    if len(found) <= num_test:
        raise ConfigError(
            f"backgrounds: {folder} holds {len(found)} images; with test_fraction {test_fraction} at least "
            f"{2 if test_fraction else 1} are needed, so that train and test share none"
        )
    return {"train": found[: len(found) - num_test], "test": found[len(found) - num_test :]}


def _scene(number: int, num_objects: int, size: tuple[int, int], picture: Path | None, seed: int) -> _Scene:
    """Draws scenes until one shows every object well in its first frame, as labels to propagate need."""
    scene = _draw_scene(ItemRandom(seed, 0, [number]), number, num_objects, size, picture)
    for attempt in range(1, _SCENES_TRIED):
        if _begins_well(scene):
            break
        scene = _draw_scene(ItemRandom(seed, attempt, [number]), number, num_objects, size, picture)
    return scene


def _begins_well(scene: _Scene) -> bool:
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
) -> _Scene:
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
    return _Scene(
        tuple(objects),
        tuple(random.permutations("order", count)[0].tolist()),
        _canvas(random, size, names[count % len(names)], picture),
        size,
        (top, left, bottom, right),
        (0.08 * light[0], light[1]),
    )


def _draw_object(random: ItemRandom, name: str, color: str, size: tuple[int, int], kind: str | None) -> _Object:
    """The main object, whose kind is given, is larger than the others."""
    height, width = size
    side = min(size)
    heading = list(_DIRECTIONS)[int(random.integers(f"{name}/heading", high=len(_DIRECTIONS))[0])]
    angle, turn, radius, speed, slant, x, y = _floats(random, f"{name}/path", 7)
    swing, swings, swing_phase, pulse, pulses, pulse_phase = _floats(random, f"{name}/rhythm", 6)
    direction = _DIRECTIONS[heading] + math.radians(25) * (2 * slant - 1)
    distance = side * (0.25 + 0.25 * speed)
    return _Object(
        kind=kind or list(SHAPES)[int(random.integers(f"{name}/kind", high=len(SHAPES))[0])],
        color=color,
        surface=texture(random, f"{name}/texture", COLORS[color], contrast=0.4),
        heading=heading,
        middle=(width * (0.25 + 0.5 * x), height * (0.25 + 0.5 * y)),
        travel=(distance * math.cos(direction), distance * math.sin(direction)),
        wobble=(side * (0.01 + 0.03 * swing), 0.5 + swings, swing_phase),
        radius=side * (0.25 + 0.05 * radius if kind else 0.14 + 0.06 * radius),
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


def _write_files(out: Path, number: int, scene: _Scene, num_frames: int, fps: float) -> None:
    """The video, a mask for each frame, the keypoints and the sound."""
    name = f"{number:05}"
    masks = out / "masks" / name
    for folder in (out / "videos", out / "keypoints", out / "sounds", masks):
        folder.mkdir(parents=True, exist_ok=True)
    frames: dict[str, list[list[float] | None]] = {}
    visible = np.zeros((num_frames, len(scene.objects)))
    with VideoWriter(out / "videos" / f"{name}.mp4", fps=fps, size=scene.size) as video:
        for frame in range(num_frames):
            time = frame / (num_frames - 1)
            image, labels = scene.draw(time)
            video.write(torch.from_numpy(image).permute(2, 0, 1))
            write_index_png(masks / f"{frame:05}.png", torch.from_numpy(labels))
            frames[str(frame)] = _keypoints(scene, time, labels)
            visible[frame] = [(labels == index + 1).sum() for index in range(len(scene.objects))]
    names = [f"{index + 1}/{point}" for index, shape in enumerate(scene.objects) for point in _landmarks(shape.kind)]
    keypoints = json.dumps({"names": names, "frames": frames})
    (out / "keypoints" / f"{name}.json").write_text(keypoints, encoding="utf-8")
    _write_sound(out / "sounds" / f"{name}.wav", scene, visible, fps)


def _landmarks(kind: str) -> dict[str, tuple[float, float]]:
    """The points of a shape that keypoints follow: its center, and places just inside its corners."""
    corners = SHAPES[kind][:: 12 if kind == "circle" else 1] * 0.85
    return {"center": (0.0, 0.0), **{f"corner{place}": (x, y) for place, (x, y) in enumerate(corners.tolist())}}


def _keypoints(scene: _Scene, time: float, labels: UInt8[ndarray, "height width"]) -> list[list[float] | None]:
    """Pixels (x, y) of each landmark, or None where it is hidden or outside."""
    height, width = labels.shape
    points: list[list[float] | None] = []
    for index, shape in enumerate(scene.objects):
        for x, y in shape.pose(time).to_image(np.array(list(_landmarks(shape.kind).values()))).tolist():
            inside = 0 <= x < width and 0 <= y < height
            seen = inside and labels[int(y), int(x)] == index + 1
            points.append([round(x, 3), round(y, 3)] if seen else None)
    return points


def _write_sound(path: Path, scene: _Scene, visible: Float[ndarray, "frames objects"], fps: float) -> None:
    """The tones of all objects, each as loud as its object is large to the eye at that moment."""
    num_frames = len(visible)
    times = np.arange(round(num_frames / fps * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros(len(times))
    for shape, areas in zip(scene.objects, visible.T, strict=True):
        loudness = np.interp(times, np.arange(num_frames) / fps, np.sqrt(areas / (scene.size[0] * scene.size[1])))
        for harmonic, strength in enumerate((0.6, 0.25, 0.15), 1):
            sound += loudness * strength * np.sin(2 * np.pi * harmonic * TONES_HERTZ[shape.kind] * times)
    samples = np.round(np.clip(sound * 0.6, -1.0, 1.0) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())


def _row(number: int, scene: _Scene, num_frames: int, fps: float, split: str, picture: Path | None) -> ManifestRow:
    name = f"{number:05}"
    height, width = scene.size
    return ManifestRow(
        id=name,
        uri=f"videos/{name}.mp4",
        media_type="video",
        caption=" and ".join(
            f"{_article(shape.color)} {shape.color} {shape.kind} moving {shape.heading}" for shape in scene.objects
        ),
        label=scene.objects[0].kind,
        split=split,
        group=picture.name if picture is not None else name,
        duration_seconds=num_frames / fps,
        fps=fps,
        num_frames=num_frames,
        width=width,
        height=height,
        extra={
            "masks": f"masks/{name}",
            "keypoints": f"keypoints/{name}.json",
            "sound": f"sounds/{name}.wav",
            "objects": [f"{shape.color} {shape.kind}" for shape in scene.objects],
        },
    )


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
