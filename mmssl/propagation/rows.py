"""What is known of the objects on one frame, small enough to keep for every frame: one line of JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["labeled", "seen", "lost", "absent"]


@dataclass(frozen=True)
class ObjectRow:
    """One object on one frame.

    Args:
        status: `labeled` by a person; `seen` by propagation; `lost`: a labeled frame shows it, but it is not found here;
            `absent`: no labeled frame that counts here shows it.
        area: Pixels of a mask, or inside a box; for points, how many are seen.
        confidence: 0 to 1; 1 for labels of a person, None where none was asked for.
        reason: What lowers the confidence most, in words.
        box: Left, top, right and bottom edge in pixels.
        points: x, y and confidence a point; None for a point that is not seen.
    """

    status: Status
    area: int = 0
    confidence: float | None = None
    reason: str = ""
    box: tuple[float, ...] | None = None
    points: tuple[tuple[float, ...] | None, ...] = ()


FrameRow = Mapping[int, ObjectRow]
"""Objects of a frame by id."""


def to_line(frame: int, row: FrameRow) -> str:
    """One line of JSON, without its end."""
    objects = {
        str(key): {name: value for name, value in asdict(each).items() if value not in (None, "", ())}
        for key, each in row.items()
    }
    return json.dumps({"frame": frame, "objects": objects}, separators=(",", ":"))


def from_line(line: str) -> tuple[int, dict[int, ObjectRow]]:
    """Frame and objects of a line."""
    value = json.loads(line)
    return value["frame"], {int(key): _object_row(each) for key, each in value["objects"].items()}


def _object_row(value: dict[str, object]) -> ObjectRow:
    for name in ("box", "points"):
        if isinstance(given := value.get(name), list):
            value[name] = tuple(tuple(each) if isinstance(each, list) else each for each in given)
    return ObjectRow(**value)  # type: ignore[arg-type]
