"""TAP-Vid: tracks of points through videos (Doersch et al. 2022), such as TAP-Vid-DAVIS.

FILE is the pickle of the set, `tapvid_davis.pkl`: for each video `video` (uint8 frames), `points` (x and y in 0..1 for each track
and frame) and `occluded`. Frames become folders of PNG files in `videos/` beside the manifest, tracks files of keypoints in which
hidden points are not annotated. Evaluate with `keypoints queries=each`, and read `delta_avg`.

The pickle is read without running code: anything but plain values and NumPy arrays is refused.
"""

import argparse
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mmssl.data.frames_row import frames_row
from mmssl.data.keypoints import Keypoints, write_keypoints
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError
from mmssl.media.image import write_png

ALLOWED = {
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *(("numpy", name) for name in ("ndarray", "dtype")),
    ("_codecs", "encode"),
}
"""What a pickle of NumPy arrays is made of."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"holds {module}.{name}, which is no array")
        return super().find_class(module, name)


def rows(file: Path, out: Path) -> Iterator[ManifestRow]:
    """A row for each video.

    Args:
        file: The pickle.
        out: Folder that paths are relative to; `videos/` and `keypoints/` in it get the files.

    Raises:
        ManifestError: If the file cannot be read, is not laid out so, or holds more than arrays.
    """
    try:
        with file.open("rb") as stream:
            videos = _PlainUnpickler(stream).load()
        named = (
            videos.items() if isinstance(videos, dict) else ((f"{place:05}", item) for place, item in enumerate(videos))
        )
        for name, video in named:
            yield _row(out, str(name), *(torch.from_numpy(video[key]) for key in ("video", "points", "occluded")))
    except (OSError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ManifestError(f"{file}: cannot be read as TAP-Vid: {error}") from error


def _row(out: Path, name: str, frames: torch.Tensor, points: torch.Tensor, occluded: torch.Tensor) -> ManifestRow:
    _, height, width, _ = frames.shape
    folder = out / "videos" / name
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{index:05}.png" for index in range(len(frames))]
    for file, frame in zip(files, frames, strict=True):
        write_png(file, frame.permute(2, 0, 1).contiguous())
    places = points.float() * torch.tensor([width, height])
    places = places.masked_fill(occluded.bool()[..., None], torch.nan).transpose(0, 1)
    tracks = Keypoints(tuple(f"{track:04}" for track in range(len(points))), dict(enumerate(places)))
    write_keypoints(out / "keypoints" / f"{name}.json", tracks)
    return frames_row(name, files, root=out, split="test", extra={"keypoints": f"keypoints/{name}.json"})


def main() -> None:
    """Writes the manifest, the frames and the files of keypoints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="pickle of TAP-Vid")
    parser.add_argument("-o", "--out", type=Path, help="manifest to write; manifest.jsonl beside FILE where not given")
    given = parser.parse_args()
    out = given.out or given.file.with_name("manifest.jsonl")
    write_manifest(out, rows(given.file, out.parent))
    print(out)


if __name__ == "__main__":
    main()
