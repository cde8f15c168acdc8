"""Named points in the frames of a video, as the JSON file that `extra["keypoints"]` of a manifest's row names."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.errors import LabelError
from mmssl.files import atomic_file


@dataclass(frozen=True)
class Keypoints:
    """Points of a video.

    The file is `{"names": [...], "frames": {"0": [[x, y], null, ...]}}`, with `"instances": [0, 0, 1, ...]` where the
    points belong to several animals or people.

    Args:
        names: One a point, all different.
        frames: For each annotated frame x and y of every point, in pixels of the full-size frame whose top-left pixel has
            its center at (0.5, 0.5); NaN where a point is not annotated.
        instances: Whom each point belongs to; all to one where it is empty.
    """

    names: tuple[str, ...]
    frames: Mapping[int, Float[Tensor, "points 2"]]
    instances: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"names are not all different: {list(self.names)}")
        if len(self.instances) not in (0, len(self.names)):
            raise ValueError(f"{len(self.instances)} instances for {len(self.names)} names")
        for frame, points in self.frames.items():
            if tuple(points.shape) != (len(self.names), 2):
                raise ValueError(f"frame {frame} has points of shape {tuple(points.shape)} for {len(self.names)} names")

    def groups(self) -> list[Tensor]:
        """The points of each instance, as indices."""
        instances = self.instances or (0,) * len(self.names)
        return [
            torch.tensor([place for place, owner in enumerate(instances) if owner == instance])
            for instance in sorted(set(instances))
        ]


def read_keypoints(path: Path) -> Keypoints:
    """Reads a file of keypoints.

    Raises:
        LabelError: If it cannot be read or is not written so.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        names = tuple(str(name) for name in values["names"])
        frames = {
            int(frame): torch.tensor(
                [[math.nan, math.nan] if point is None else [float(point[0]), float(point[1])] for point in points]
            ).reshape(-1, 2)
            for frame, points in values["frames"].items()
        }
        return Keypoints(names, dict(sorted(frames.items())), tuple(int(item) for item in values.get("instances", ())))
    except OSError as error:
        raise LabelError(f"{path}: keypoints cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise LabelError(
            f'{path}: is no file of keypoints, {{"names": [...], "frames": {{"0": [[x, y], ...]}}}}: {error!r}'
        ) from error


def write_keypoints(path: Path, keypoints: Keypoints) -> None:
    """Writes a file of keypoints, whole or not at all; coordinates keep a hundredth of a pixel."""
    frames = {
        str(frame): [None if math.isnan(x + y) else [round(x, 2), round(y, 2)] for x, y in points.tolist()]
        for frame, points in sorted(keypoints.frames.items())
    }
    values: dict[str, object] = {"names": list(keypoints.names), "frames": frames}
    if keypoints.instances:
        values["instances"] = list(keypoints.instances)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(values) + "\n", encoding="utf-8")
