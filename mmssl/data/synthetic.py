"""Makes videos with known truth: textured shapes that move, turn, grow and hide one another, with masks, points and sound.

Nothing but the outline tells a shape's kind: color, texture, size, motion and background are drawn independently of it.
"""

import json
import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from mmssl.data.drawing import COLORS, SHAPES
from mmssl.data.manifest import Manifest, ManifestRow, media_type_of, write_manifest
from mmssl.data.scenes import Scene, random_scene
from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.media.encode import VideoWriter
from mmssl.media.image import write_index_png
from mmssl.media.worker_pool import WorkerPool
from mmssl.progress import Progress

TONES_HERTZ = {"circle": 262.0, "square": 330.0, "triangle": 440.0, "star": 587.0, "cross": 784.0}
"""Frequency of each kind's tone."""

SAMPLE_RATE = 16000


def write_synthetic(
    out: Path,
    *,
    num_videos: int = 40,
    num_frames: int = 32,
    fps: int | float = 16.0,
    size: tuple[int, int] = (192, 256),
    num_objects: int = 3,
    backgrounds: Path | None = None,
    test_fraction: int | float = 0.2,
    takes: int = 1,
    seed: int = 0,
    workers: int = 1,
) -> Manifest:
    """Writes videos, masks, keypoints, sound and `manifest.jsonl`; video `i` is the same for any number of videos.

    With several takes, so many videos in a row show the same things, each on other paths, from another camera and under
    light of another color. The label of a video is then its scene, and the first take of each has the split `train`.

    Args:
        out: Folder to fill.
        num_videos: Videos to make; kinds are balanced over every five of them.
        num_frames: Frames a video.
        fps: Frames a second.
        size: Height and width in pixels; even.
        num_objects: Most objects in a video; there are at least two where this allows it.
        backgrounds: Folder of images to move in front of; None draws textures.
        test_fraction: About this part of the videos has the split `test`, the others `train`.
        takes: Videos of each scene; all but the first have the split `test`, whatever `test_fraction` is.
        seed: Another seed gives other videos.
        workers: Processes; nothing but the time depends on it.

    Returns:
        The manifest, as written. A row's label is the kind of object 1, the largest, or its scene; `extra` has `masks`,
        `keypoints`, `sound` and `objects`.

    Raises:
        ConfigError: If a setting is out of range or `backgrounds` holds no image.
    """
    _check(num_videos, num_frames, fps, size, num_objects, test_fraction, takes)
    maker = _Maker(
        out,
        num_frames=num_frames,
        fps=fps,
        size=size,
        num_objects=num_objects,
        pictures=_pictures(backgrounds, test_fraction) if backgrounds is not None else None,
        test_fraction=test_fraction,
        takes=takes,
        seed=seed,
    )
    rows = []
    with Progress("synthetic", num_videos, unit="videos") as progress:
        for row in _made(maker, num_videos, workers):
            rows.append(row)
            progress.advance()
    path = out / "manifest.jsonl"
    write_manifest(path, rows)
    return Manifest(path, tuple(rows))


@dataclass(frozen=True)
class _Maker:
    """Makes one video by its number; the settings are those of `write_synthetic`."""

    out: Path
    num_frames: int
    fps: int | float
    size: tuple[int, int]
    num_objects: int
    pictures: dict[str, list[tuple[str, Path]]] | None
    test_fraction: int | float
    takes: int
    seed: int

    def __call__(self, number: int) -> ManifestRow:
        """Writes the files of a video; its row."""
        place, take = divmod(number, self.takes)
        split = _split(place // len(SHAPES), self.test_fraction)
        group, picture = f"{number:05}", None
        if self.pictures is not None:
            choice = ItemRandom(self.seed, 0, [place]).integers("picture", high=len(self.pictures[split]))
            group, picture = self.pictures[split][int(choice[0])]
        scene = random_scene(self.seed, place, num_objects=self.num_objects, size=self.size, picture=picture, take=take)
        _write_files(self.out, number, scene, self.num_frames, self.fps)
        row = _row(number, scene, self.num_frames, self.fps, split, group)
        if self.takes > 1:
            return replace(row, label=f"scene {place:05}", split="test" if take else "train", group=f"{number:05}")
        return row


def _made(maker: _Maker, num_videos: int, workers: int) -> Iterator[ManifestRow]:
    """The rows of all videos in order.

    Raises:
        ConfigError: If a video cannot be made.
    """
    if workers == 1:
        yield from map(maker, range(num_videos))
        return
    with WorkerPool[int, ManifestRow](maker, workers=workers) as pool:
        for outcome in pool.map(range(num_videos)):
            if outcome.value is None:
                raise ConfigError(f"synthetic: video {outcome.position} cannot be made: {outcome.error_message}")
            yield outcome.value


def _check(
    num_videos: int,
    num_frames: int,
    fps: int | float,
    size: tuple[int, int],
    num_objects: int,
    test_fraction: int | float,
    takes: int,
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
    if takes < 1:
        faults.append(f"takes must be at least 1, got {takes}")
    if faults:
        raise ConfigError("synthetic: " + "; ".join(faults))


def _split(block: int, test_fraction: int | float) -> str:
    """Whole blocks, which hold each kind once, go to the test split, the second block first."""
    return "test" if math.ceil(block * test_fraction) > math.ceil((block - 1) * test_fraction) else "train"


def _pictures(folder: Path, test_fraction: int | float) -> dict[str, list[tuple[str, Path]]]:
    """Group and path of the pictures of each split; pictures of one folder, such as the frames of a video, are one group."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if media_type_of(path.name) == "image"):
        inside = path.relative_to(folder)
        groups.setdefault((inside if len(inside.parts) == 1 else inside.parent).as_posix(), []).append(path)
    num_test = math.ceil(len(groups) * test_fraction)
    if len(groups) <= num_test:
        raise ConfigError(
            f"backgrounds: {folder} holds {len(groups)} images or folders of images; with test_fraction {test_fraction} at "
            f"least {2 if test_fraction else 1} are needed, so that train and test share none"
        )
    pictures = [(group, path) for group, paths in groups.items() for path in paths]
    tested = list(groups)[len(groups) - num_test :]
    return {
        "train": [picture for picture in pictures if picture[0] not in tested],
        "test": [picture for picture in pictures if picture[0] in tested],
    }


def _write_files(out: Path, number: int, scene: Scene, num_frames: int, fps: int | float) -> None:
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
    inner = (SHAPES[kind] * 0.85).tolist()
    return {"center": (0.0, 0.0), **{f"corner{place}": (x, y) for place, (x, y) in enumerate(inner)}}


def _keypoints(scene: Scene, time: int | float, labels: UInt8[ndarray, "height width"]) -> list[list[float] | None]:
    """Pixels (x, y) of each landmark, or None where it is hidden or outside."""
    height, width = labels.shape
    points: list[list[float] | None] = []
    for index, shape in enumerate(scene.objects):
        for x, y in shape.pose(time).to_image(np.array(list(_landmarks(shape.kind).values()))).tolist():
            inside = 0 <= x < width and 0 <= y < height
            seen = inside and labels[int(y), int(x)] == index + 1
            points.append([round(x, 3), round(y, 3)] if seen else None)
    return points


def _write_sound(path: Path, scene: Scene, visible: Float[ndarray, "frames objects"], fps: int | float) -> None:
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


def _row(number: int, scene: Scene, num_frames: int, fps: int | float, split: str, group: str) -> ManifestRow:
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
        group=group,
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
