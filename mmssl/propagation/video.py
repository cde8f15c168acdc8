"""Labels through a whole video: frames stream from the decoder, each is encoded once, masks are written as they come."""

import csv
import itertools
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

import mmssl
from mmssl.errors import CheckpointError, ConfigError
from mmssl.files import atomic_file, remove_partial
from mmssl.media.encode import VideoWriter
from mmssl.media.image import read_index_png, write_index_png
from mmssl.media.video import VideoFile, open_video
from mmssl.models.encoder import Encoder
from mmssl.progress import Progress
from mmssl.propagation.masks import cells_from_mask, input_size, mask_from_cells, objects_of, read_mask
from mmssl.propagation.overlay import Overlay
from mmssl.propagation.presets import PRESETS, Preset
from mmssl.propagation.propagator import Propagator
from mmssl.propagation.state import State, digest_of_files, digest_of_weights, write_json
from mmssl.propagation.streaming import InOrder, batches, prefetch

QUEUE_FRAMES = 8
"""Decoded frames, and finished masks, that may wait for the next step."""


RESULTS = ("summary.json", "frames.csv", "overlay.mp4")
"""Files that finished work leaves in its output folder beside the masks."""


@dataclass(frozen=True)
class VideoResult:
    """What a propagation made.

    Args:
        out: Folder with `masks/`, `overlay.mp4`, `frames.csv`, `summary.json` and `logs/timing.json`.
        num_frames: Frames of the video, each with a mask.
        objects: Indices of the objects in the masks.
        seconds_per_frame: Wall-clock time a frame of the frames done now; None where all had been done before.
    """

    out: Path
    num_frames: int
    objects: tuple[int, ...]
    seconds_per_frame: float | None

    def mask_file(self, frame: int) -> Path:
        """Where the mask of a frame lies."""
        return mask_file(self.out, frame)


def mask_file(out: Path, frame: int) -> Path:
    """Where the mask of a frame lies in an output folder."""
    return out / "masks" / f"{frame:05}.png"


def find_preset(preset: str | Preset) -> Preset:
    """A preset by name, or itself.

    Raises:
        ConfigError: If there is none of that name.
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise ConfigError(f"{preset!r} is no preset; presets are {sorted(PRESETS)}")
    return PRESETS[preset]


def propagate_video(
    video: Path,
    labels: Path,
    *,
    encoder: Encoder,
    encoder_name: str,
    out: Path,
    preset: str | Preset = "dino",
    batch_size: int = 4,
    overlay: bool = True,
) -> VideoResult:
    """Carries the mask of the first frame through a video.

    Writes to `out`: `masks/00000.png` ... (indexed, DAVIS palette, at the video's size), `overlay.mp4` (constant mean
    frame rate), `frames.csv` (exact presentation time and area of each object in each frame), `summary.json`, and
    `logs/timing.json`, the only file that depends on the clock. Interrupted, the same call goes on where it stopped and
    ends with the same bytes; complete, it returns at once; with other input or settings it starts over.

    Args:
        video: A video file, or a folder of numbered images.
        labels: Indexed PNG for the first frame: 0 background, each other index an object. A mask of {0, 255} is one
            object, index 1 in the results; beside other objects 255 means nobody's pixels.
        encoder: Gives the features; used in evaluation mode, on the device it is on.
        encoder_name: How the results name it.
        out: Folder to write to; made where it is missing.
        preset: Protocol, or its name in `PRESETS`.
        batch_size: Frames encoded together.
        overlay: Whether to write `overlay.mp4`.

    Returns:
        Where things are.

    Raises:
        MediaError: If the video cannot be read.
        LabelError: If the labels cannot be read, have another size than the video, or hold no object.
        ConfigError: If there is no such preset.
        CheckpointError: If the encoder gives features that are not finite.
    """
    preset = find_preset(preset)
    with open_video(video) as source:
        mask = read_mask(labels, source.size)
        record = {
            "version": mmssl.__version__,
            "video": digest_of_files(video),
            "labels": digest_of_files(labels),
            "encoder": encoder_name,
            "weights": digest_of_weights(encoder),
            "preset": asdict(preset),
            "batch_size": batch_size,
            "overlay": overlay,
        }
        state = State(out, record)
        result = VideoResult(out, source.num_frames, objects_of(mask), None)
        if state.is_complete():
            return result
        remove_partial(out)
        if state.load()[0] == 0:
            _clear(out)
        (out / "masks").mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        run = _Run(source, mask, encoder, preset, out, state, batch_size, encoder_name)
        areas = run.run(overlay)
        seconds = (time.perf_counter() - began) / max(1, source.num_frames - run.begin)
    _write_frames(out / "frames.csv", source, result.objects, areas)
    facts = {
        "video": video.name,
        "labels": labels.name,
        "encoder": encoder_name,
        "preset": asdict(preset),
        "size": {"height": source.size[0], "width": source.size[1]},
        "encoded_size": {"height": run.encoded[0], "width": run.encoded[1]},
        "frames": source.num_frames,
        "objects": [
            {
                "index": index,
                "area_first_frame": areas[0][index],
                "area_mean": sum(area[index] for area in areas) / len(areas),
                "frames_present": sum(area[index] > 0 for area in areas),
                "areas": [area[index] for area in areas],
            }
            for index in result.objects
        ],
        "versions": {"mmssl": mmssl.__version__, "torch": torch.__version__},
    }
    (out / "logs").mkdir(exist_ok=True)
    timing = {"seconds_per_frame": seconds, "frames": source.num_frames - run.begin, "seconds": dict(run.seconds)}
    write_json(out / "logs" / "timing.json", timing)
    state.complete(facts)
    return VideoResult(out, result.num_frames, result.objects, seconds)


class _Run:
    """One pass over a video, from wherever an earlier one stopped.

    Masks that are done are read back for the overlay; frames before that point are encoded only where they are context.
    """

    def __init__(
        self,
        source: VideoFile,
        mask: UInt8[Tensor, "height width"],
        encoder: Encoder,
        preset: Preset,
        out: Path,
        state: State,
        batch_size: int,
        encoder_name: str,
    ) -> None:
        self.source, self.mask, self.preset, self.out, self.state = source, mask, preset, out, state
        self.encoder = encoder.eval()
        self.batch_size, self.encoder_name = batch_size, encoder_name
        self.objects = objects_of(mask)
        self.encoded = input_size(source.size, preset)
        self.seconds: dict[str, float] = defaultdict(float)
        self.begin, stored = state.load()
        self.propagator = Propagator(preset)
        self.recent: deque[Tensor] = deque([] if stored is None else list(stored), maxlen=preset.previous_frames)

    def run(self, overlay: bool) -> list[Counter[int]]:
        """Does the work; returns the area of each index in each frame."""
        areas: list[Counter[int]] = []
        drawing = Overlay(self.objects, self.source.size)
        with ExitStack() as stack:
            progress = stack.enter_context(
                Progress("propagate", self.source.num_frames, unit="frames", done=self.begin)
            )
            film = (
                stack.enter_context(
                    VideoWriter(self.out / "overlay.mp4", fps=self.source.fps or 1.0, size=self.source.size)
                )
                if overlay
                else None
            )
            writer = stack.enter_context(InOrder(QUEUE_FRAMES))

            def write(index: int, frame: Tensor, mask: Tensor) -> None:
                if index >= self.begin:
                    write_index_png(mask_file(self.out, index), mask)
                if film is not None:
                    film.write(drawing.draw(frame, mask))

            frames = stack.enter_context(closing(prefetch(self.source.iterate(), QUEUE_FRAMES)))
            for batch in self._timed("decode", batches(frames, self.batch_size)):
                for index, frame, mask in self._masks(batch):
                    counts = torch.bincount(mask.flatten(), minlength=256)
                    areas.append(Counter({label: int(counts[label]) for label in self.objects}))
                    self._timed_call("write", writer.submit, write, index, frame, mask)
                    if index >= self.begin:
                        progress.advance()
                done = batch[-1][0] + 1
                if done > self.begin and self.recent:
                    writer.submit(self.state.save, done, list(self.recent))
        return areas

    def _masks(self, batch: list[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Index, frame and mask of each frame of a batch."""
        first, last = batch[0][0], batch[-1][0]
        context_begin = self.begin - len(self.recent) if self.begin else 0
        if first == 0 or last >= context_begin:
            features = self._timed_call("encode", self._encode, [frame for _, frame in batch])
        for index, frame in batch:
            if index < self.begin:
                if index == 0:
                    self._step(features[0], 0)
                elif index >= max(1, context_begin):
                    self.propagator.step(features[index - first], self.recent[index - context_begin])
                yield index, frame, read_index_png(mask_file(self.out, index))
            else:
                yield index, frame, self._timed_call("propagate", self._step, features[index - first], index)

    def _step(self, features: Float[Tensor, "dim h w"], index: int) -> Tensor:
        """The mask of a frame that is not done yet, or of the first one."""
        if index == 0:
            labels = cells_from_mask(self.mask, self.objects, (features.shape[1], features.shape[2]))
            self.propagator.step(features, labels.to(features.device))
            return self.mask
        labels = self.propagator.step(features)
        self.recent.append(labels)
        return mask_from_cells(labels, self.objects, encoded=self.encoded, size=self.source.size, preset=self.preset)

    def _encode(self, frames: list[Tensor]) -> Float[Tensor, "frames dim h w"]:
        device = next(itertools.chain(self.encoder.parameters(), self.encoder.buffers()), torch.empty(0)).device
        with torch.inference_mode():
            images = torch.stack([frame.contiguous() for frame in frames]).to(device)
            if tuple(images.shape[2:]) != self.encoded:
                images = F.interpolate(images, self.encoded, mode="bilinear", align_corners=False, antialias=True)
            features = self.encoder.features(images.float() / 255)
        if not bool(torch.isfinite(features).all()):
            raise CheckpointError(f"{self.encoder_name}: gives features that are not finite (NaN or infinite)")
        return features

    def _timed(self, name: str, items: Iterator[Any]) -> Iterator[Any]:
        """The same items; the time spent waiting for them is counted."""
        while (item := self._timed_call(name, next, items, None)) is not None:
            yield item

    def _timed_call(self, name: str, call: Any, *args: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*args)
        finally:
            self.seconds[name] += time.perf_counter() - began


def _clear(out: Path) -> None:
    """Removes what other work left in an output folder, so that nothing of it stays among the new results."""
    for file in [*out.glob("masks/[0-9]*.png"), *(out / name for name in RESULTS)]:
        file.unlink(missing_ok=True)


def _write_frames(path: Path, source: VideoFile, objects: tuple[int, ...], areas: list[Counter[int]]) -> None:
    """One line a frame: index, exact presentation time, area of each object in pixels."""
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["frame", "pts_seconds", *(f"area_{index}" for index in objects)])
        for frame, (pts_seconds, area) in enumerate(zip(source.pts_seconds.tolist(), areas, strict=True)):
            table.writerow([frame, pts_seconds, *(area[index] for index in objects)])
