"""BADJA: joints of animals on DAVIS sequences, about every fifth frame (MIT).

MANIFEST is one that `davis.py` has made; JOINTS a JSON file `{"camel": [{"frame": "00002", "xy_480p": [[x, y], ...]}]}` with
the 37 joints of the SMAL model at the size of the 480p frames, (0, 0) where there is none. The 20 joints that BADJA annotates
become a file of keypoints in `keypoints/` beside the new manifest; masks stay DAVIS's.
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
        joints: File of the joints.
        out: Folder that paths are relative to; `keypoints/` in it gets a file for each row.

    Raises:
        ManifestError: If a file cannot be read, or no sequence has joints.
    """
    try:
        annotated = json.loads(joints.read_text(encoding="utf-8"))
        sequences = {name: _keypoints(frames) for name, frames in annotated.items()}
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ManifestError(f"{joints}: cannot be read as joints of BADJA: {error!r}") from error
    found = [row for row in read_manifest(manifest).rows if row.id in sequences]
    if not found:
        raise ManifestError(f"{manifest}: holds none of the sequences of {joints}: {sorted(sequences)}")
    for row in relocated(found, manifest.parent, out):
        file = f"keypoints/{row.id}.json"
        write_keypoints(out / file, sequences[row.id])
        yield replace(row, extra={**row.extra, "keypoints": file})


def _keypoints(frames: list[dict[str, object]]) -> Keypoints:
    places = list(JOINTS)
    points = {int(str(frame["frame"])): torch.tensor(frame["xy_480p"], dtype=torch.float32)[places] for frame in frames}
    return Keypoints(
        tuple(JOINTS.values()),
        {index: xy.masked_fill((xy == 0).all(dim=1, keepdim=True), math.nan) for index, xy in points.items()},
    )


def main() -> None:
    """Writes the manifest and the files of keypoints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="manifest of DAVIS, from davis.py")
    parser.add_argument("joints", type=Path, help="JSON file of the joints")
    parser.add_argument(
        "-o", "--out", type=Path, help="manifest to write; badja.jsonl beside the other where not given"
    )
    given = parser.parse_args()
    out = given.out or given.manifest.with_name("badja.jsonl")
    write_manifest(out, rows(given.manifest, given.joints, out.parent))
    print(out)


if __name__ == "__main__":
    main()
