"""BADJA: joints of animals on DAVIS sequences, about every fifth frame (MIT).

MANIFEST is one that `davis.py` has made. JOINTS is BADJA's folder `joint_annotations`, whose coordinates are those of the full
resolution and which says which joints are hidden (they count as not annotated here), or a JSON file
`{"camel": [{"frame": "00002", "xy_480p": [[x, y], ...]}]}` at the size of the 480p frames. Both have the 37 joints of the SMAL
model, (0, 0) where there is none. The 20 joints that BADJA annotates become a file of keypoints in `keypoints/` beside the new
manifest; masks stay DAVIS's.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from mmssl.data.keypoints import Keypoints, write_keypoints
from mmssl.data.manifest import ManifestRow, read_manifest, relocated, write_manifest
from mmssl.errors import ManifestError

JOINTS = {
    **{8 + joint: f"front_right_{joint}" for joint in range(3)},
    **{12 + joint: f"front_left_{joint}" for joint in range(3)},
    15: "neck",
    **{18 + joint: f"back_right_{joint}" for joint in range(3)},
    **{22 + joint: f"back_left_{joint}" for joint in range(3)},
    25: "tail_root",
    28: "tail_middle",
    31: "tail_tip",
    32: "jaw",
    33: "nose",
    35: "right_ear",
    36: "left_ear",
}
"""The joints that BADJA annotates, by their place in the SMAL model; those of a leg run down from the body."""


def rows(manifest: Path, joints: Path, out: Path) -> Iterator[ManifestRow]:
    """The manifest's rows of the sequences that have joints, with paths relative to another folder.

    Args:
        manifest: Manifest of DAVIS.
        joints: Folder or file of the joints.
        out: Folder that paths are relative to; `keypoints/` in it gets a file for each row.

    Raises:
        ManifestError: If a file cannot be read, or no sequence has joints.
    """
    try:
        sequences = {name: _keypoints(frames) for name, frames in _annotated(joints).items()}
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ManifestError(f"{joints}: cannot be read as joints of BADJA: {error!r}") from error
    found = [row for row in read_manifest(manifest).rows if row.id in sequences]
    if not found:
        raise ManifestError(f"{manifest}: holds none of the sequences of {joints}: {sorted(sequences)}")
    for row in relocated(found, manifest.parent, out):
        file = f"keypoints/{row.id}.json"
        write_keypoints(out / file, sequences[row.id])
        yield replace(row, extra={**row.extra, "keypoints": file})


def _annotated(joints: Path) -> dict[str, list[tuple[str, list[list[float]]]]]:
    """For each sequence its annotated frames: name and x and y of all joints of the model."""
    if not joints.is_dir():
        sequences = json.loads(joints.read_text(encoding="utf-8"))
        return {
            name: [(str(frame["frame"]), frame["xy_480p"]) for frame in frames] for name, frames in sequences.items()
        }
    annotated = {}
    for file in sorted(joints.glob("*.json")):
        frames = json.loads(file.read_text(encoding="utf-8"))
        annotated[file.stem] = [
            (
                Path(frame["image_path"]).stem,
                [
                    [float(x), float(y)] if seen else [0.0, 0.0]
                    for (y, x), seen in zip(frame["joints"], frame["visibility"], strict=True)
                ],
            )
            for frame in frames
        ]
    return annotated


def _keypoints(frames: list[tuple[str, list[list[float]]]]) -> Keypoints:
    places = list(JOINTS)
    points = {int(frame): torch.tensor(joints, dtype=torch.float32)[places] for frame, joints in frames}
    return Keypoints(
        tuple(JOINTS.values()),
        {index: xy.masked_fill((xy == 0).all(dim=1, keepdim=True), math.nan) for index, xy in points.items()},
    )


def main() -> None:
    """Writes the manifest and the files of keypoints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="manifest of DAVIS, from davis.py")
    parser.add_argument("joints", type=Path, help="folder joint_annotations, or a JSON file of joints")
    parser.add_argument(
        "-o", "--out", type=Path, help="manifest to write; badja.jsonl beside the other where not given"
    )
    given = parser.parse_args()
    out = given.out or given.manifest.with_name("badja.jsonl")
    write_manifest(out, rows(given.manifest, given.joints, out.parent))
    print(out)


if __name__ == "__main__":
    main()
