"""A folder of features in half precision, a file a frame: encoded once, read by every later propagation of the video."""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import torch
from jaxtyping import Float, Float16
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmssl.errors import CheckpointError, MmsslWarning
from mmssl.files import atomic_file, remove_partial
from mmssl.media.video import VideoFile
from mmssl.progress import Progress
from mmssl.propagation.frame_encoder import FrameEncoder
from mmssl.propagation.streaming import prefetch

QUEUE_FRAMES = 8
"""Decoded frames that may wait for the encoder."""


class CacheWarning(MmsslWarning):
    """A file of features cannot be used; its frames are encoded again."""


class FeatureCache:
    """Features of one video by one encoder at one size; a `FeatureSource` whose frames need not be decoded.

    Files lie in a folder that is named by the digests of encoder and video and by the size, so that one cache holds any
    number of them and never confuses them. Frames are encoded in batches that begin at multiples of the batch size,
    whichever part of the video is asked for first: what a file holds does not depend on it.

    Args:
        folder: Of all caches; made where it is missing.
        encode: Encodes what is missing.
        encoder_digest: Of spec and weights.
        video_digest: Of the video's bytes.
        batch_size: Frames encoded together.
    """

    def __init__(
        self, folder: Path, encode: FrameEncoder, *, encoder_digest: str, video_digest: str, batch_size: int
    ) -> None:
        height, width = encode.encoded
        self.folder = folder / f"{encoder_digest[:16]}-{video_digest[:16]}-{width}x{height}"
        self._encode, self._batch_size = encode, batch_size
        self.encoded, self.stride, self.device = encode.encoded, encode.stride, encode.device

    def file(self, index: int) -> Path:
        """Where the features of a frame lie."""
        return self.folder / f"{index:06}.safetensors"

    def fill(self, source: VideoFile, *, stop: int | None = None) -> int:
        """Encodes the frames that are not there yet; interrupted, the next call goes on.

        Args:
            source: The video.
            stop: Frame to end before; the end of the video where not given.

        Returns:
            How many frames were encoded.

        Raises:
            CheckpointError: If a feature is not finite in half precision, or the folder cannot be written to.
        """
        stop = source.num_frames if stop is None else stop
        missing = [index for index in range(stop) if not self.file(index).is_file()]
        if not missing:
            return 0
        self._make_folder()
        batches = sorted({index // self._batch_size for index in missing})
        with Progress("encode", stop, unit="frames", done=stop - len(missing)) as progress:
            for first, last in _runs(batches):
                for index in self._write(source, first * self._batch_size, last * self._batch_size):
                    progress.advance(int(index in missing))
        return len(missing)

    def frames(
        self, source: VideoFile, *, start: int, stop: int
    ) -> Iterator[tuple[int, Float16[Tensor, "dim rows columns"]]]:
        """Features in order, read; a frame whose file is damaged or gone is encoded again, with a `CacheWarning`."""
        for index in range(start, stop):
            features = self._read(index)
            if isinstance(features, str):
                warnings.warn(
                    f"{self.file(index)}: {features}; its frames are encoded again", CacheWarning, stacklevel=2
                )
                first = index // self._batch_size * self._batch_size
                for _ in self._write(source, first, first + self._batch_size):
                    pass
                again = self._read(index)
                if isinstance(again, str):
                    raise CheckpointError(f"{self.file(index)}: {again}, after it was just written; check the disk")
                features = again
            yield index, features

    def __call__(
        self, frames: Sequence[Float16[Tensor, "dim rows columns"]]
    ) -> Float[Tensor, "frames dim rows columns"]:
        """Features in single precision, on the encoder's device."""
        return torch.stack(list(frames)).to(self.device).float()

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"{self.folder.parent}: cannot hold features: {error.strerror}") from error
        remove_partial(self.folder)

    def _write(self, source: VideoFile, start: int, stop: int) -> Iterator[int]:
        """Encodes whole batches and writes their frames; yields the index of each."""
        waiting: list[tuple[int, Tensor]] = []
        stop = min(stop, source.num_frames)
        with closing(prefetch(self._encode.frames(source, start=start, stop=stop), QUEUE_FRAMES)) as ahead:
            for item in ahead:
                waiting.append(item)
                if len(waiting) == self._batch_size or item[0] == stop - 1:
                    features = self._encode([frame for _, frame in waiting]).half().cpu()
                    if not bool(features.isfinite().all()):
                        raise CheckpointError(
                            f"{self._encode.name}: gives features too large for half precision; go without a cache"
                        )
                    for (index, _), each in zip(waiting, features, strict=True):
                        with atomic_file(self.file(index)) as partial:
                            save_file({"features": each.contiguous()}, partial, metadata={"sha256": _digest(each)})
                        yield index
                    waiting = []

    def _read(self, index: int) -> Float16[Tensor, "dim rows columns"] | str:
        """Features of a frame, or what is wrong with its file."""
        path = self.file(index)
        if not path.is_file():
            return "is gone"
        try:
            with safe_open(path, framework="pt") as stored:
                features: Tensor = stored.get_tensor("features")
                digest = (stored.metadata() or {}).get("sha256")
        except (OSError, SafetensorError) as error:
            return f"is damaged ({error})"
        return features if digest == _digest(features) else "is damaged (its digest is not that of its features)"


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last but one of each run of consecutive numbers, rising."""
    first = numbers[0]
    for number, following in zip(numbers, (*numbers[1:], None), strict=True):
        if following != number + 1:
            yield first, number + 1
            first = following if following is not None else number


def _digest(features: Tensor) -> str:
    return hashlib.sha256(features.contiguous().numpy().tobytes()).hexdigest()
