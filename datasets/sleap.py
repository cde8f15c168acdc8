"""A video that was labelled in SLEAP: the joints of every animal as a file of keypoints.

VIDEO is the video, LABELS the `.slp` file; joints are named `track.node` and belong to the animal of their track. Needs the
package sleap-io. SLEAP counts pixels, so that 0 is the center of the first; here that is 0.5.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from mmssl.data.keypoints import Keypoints, write_keypoints
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError
from mmssl.media.video import open_video


def rows(
    video: Path, labels: Path, out: Path, *, start: int = 0, frames: int | None = None, name: str = ""
) -> Iterator[ManifestRow]:
    """The video's row, with its path relative to a folder.

    Args:
        video: The video that the labels are of.
        labels: `.slp` file of one video, with a track for each animal.
        out: Folder that paths are relative to; `keypoints/` in it gets the file of keypoints.
        start: First frame with keypoints in the file: joints are then carried from there.
        frames: Keypoints of so many frames from there on; of all where not given.
        name: The row's id; the video's name without suffix where empty.

    Raises:
        ManifestError: If sleap-io is not installed, or the labels cannot be read or have no tracks.
        MediaError: If the video cannot be read.
    """
    try:
        import sleap_io
    except ImportError as error:
        raise ManifestError(".slp files need sleap-io, which is not installed: pip install sleap-io") from error
    try:
        content = sleap_io.load_slp(str(labels), open_videos=False)
        points = torch.from_numpy(content.numpy()).float() + 0.5
    except Exception as error:
        raise ManifestError(f"{labels}: sleap-io cannot read it: {' '.join(str(error).split())}") from error
    if len(content.videos) != 1 or not content.tracks:
        raise ManifestError(f"{labels}: labels {len(content.videos)} videos and has {len(content.tracks)} tracks")
    nodes = content.skeletons[0].node_names
    keypoints = Keypoints(
        tuple(f"{track.name}.{node}" for track in content.tracks for node in nodes),
        {
            frame: points[frame].flatten(0, 1)
            for frame in range(start, min(len(points), start + (frames or len(points))))
            if not bool(points[frame].isnan().all())
        },
        tuple(place for place in range(len(content.tracks)) for _ in nodes),
    )
    name = name or video.stem
    write_keypoints(out / "keypoints" / f"{name}.json", keypoints)
    with open_video(video) as source:
        yield ManifestRow(
            id=name,
            uri=Path(os.path.relpath(video.resolve(), out.resolve())).as_posix(),
            media_type="video",
            group=name,
            duration_seconds=source.duration_seconds,
            fps=source.fps,
            num_frames=source.num_frames,
            width=source.size[1],
            height=source.size[0],
            extra={"keypoints": f"keypoints/{name}.json"},
        )


def main() -> None:
    """Writes the manifest and the file of keypoints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, help="the video")
    parser.add_argument("labels", type=Path, help=".slp file")
    parser.add_argument(
        "-o", "--out", type=Path, help="manifest to write; manifest.jsonl beside the video where not given"
    )
    parser.add_argument("--start", type=int, default=0, help="first frame to take keypoints of")
    parser.add_argument("--frames", type=int, help="keypoints of so many frames from there on")
    given = parser.parse_args()
    out = given.out or given.video.with_name("manifest.jsonl")
    write_manifest(out, rows(given.video, given.labels, out.parent, start=given.start, frames=given.frames))
    print(out)


if __name__ == "__main__":
    main()
