"""JHMDB: 15 joints of a person in every frame of short clips of 21 actions (Jhuang et al. 2013).

ROOT is the folder that holds `splits/ACTION_test_split1.txt`, `Rename_Images/ACTION/VIDEO/00001.png` and
`joint_positions/ACTION/VIDEO/joint_positions.mat`. JHMDB counts pixels from 1, so that 1 is the center of the first; here that
is 0.5. Joints outside of the picture count as not annotated. Needs the package scipy.
"""

from collections.abc import Iterator
from pathlib import Path

import scipy.io
import torch

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.frames_row import frames_row
from mmssl.data.keypoints import Keypoints, write_keypoints
from mmssl.data.manifest import ManifestRow, relocated, write_manifest
from mmssl.errors import ManifestError
from mmssl.media.image import image_size

JOINTS = (
    *("neck", "belly", "face", "right_shoulder", "left_shoulder", "right_hip", "left_hip", "right_elbow", "left_elbow"),
    *("right_knee", "left_knee", "right_wrist", "left_wrist", "right_ankle", "left_ankle"),
)


def rows(root: Path, out: Path, *, split: int = 1, part: str = "test") -> Iterator[ManifestRow]:
    """A row for each video of a part of a split whose frames and joints are there.

    Args:
        root: Folder of JHMDB.
        out: Folder that paths are relative to; `keypoints/` in it gets the files of keypoints.
        split: 1, 2 or 3; the field evaluates on 1.
        part: `test` or `train`.

    Raises:
        ManifestError: If the folder is not laid out so, or joints cannot be read.
    """
    lists = sorted(root.glob(f"splits/*_test_split{split}.txt"))
    if not lists:
        raise ManifestError(f"{root}: expected lists such as splits/wave_test_split{split}.txt")
    wanted = {"test": "2", "train": "1"}[part]
    found = [
        _row(root, out, file.name.removesuffix(f"_test_split{split}.txt"), Path(words[0]).stem, part)
        for file in lists
        for words in (line.split() for line in file.read_text(encoding="utf-8").splitlines())
        if len(words) == 2 and words[1] == wanted
    ]
    present = [row for row in found if row is not None]
    if not present:
        raise ManifestError(f"{root}: holds frames in Rename_Images and joints in joint_positions of no listed video")
    yield from present


def _row(root: Path, out: Path, action: str, video: str, part: str) -> ManifestRow | None:
    frames = sorted((root / "Rename_Images" / action / video).glob("*.png"))
    joints = root / "joint_positions" / action / video / "joint_positions.mat"
    if not frames or not joints.is_file():
        return None
    height, width = image_size(frames[0])
    try:
        places = torch.from_numpy(scipy.io.loadmat(str(joints))["pos_img"]).float().permute(2, 1, 0) - 0.5
    except Exception as error:
        raise ManifestError(f"{joints}: cannot be read as joints of JHMDB: {error!r}") from error
    places = places.masked_fill(
        ((places < 0) | (places > torch.tensor([width, height]))).any(dim=2, keepdim=True), torch.nan
    )
    file = f"keypoints/{action}/{video}.json"
    write_keypoints(out / file, Keypoints(JOINTS, dict(enumerate(places[: len(frames)]))))
    row = frames_row(f"{action}/{video}", frames, root=root, split=part, label=action, group=video)
    (moved,) = relocated([row], root, out)
    moved.extra["keypoints"] = file
    return moved


def main() -> None:
    """Writes the manifest and the files of keypoints."""
    parser = root_parser(__doc__, "folder of JHMDB")
    parser.add_argument("--split", type=int, choices=(1, 2, 3), default=1)
    parser.add_argument("--part", choices=("test", "train"), default="test")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    write_manifest(out, rows(given.root, out.parent, split=given.split, part=given.part))
    print(out)


if __name__ == "__main__":
    main()
