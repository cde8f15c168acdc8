"""What a stage says about itself in the report: blocks of text, tables, curves, pictures, as JSON beside its output."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from mmssl.evaluation.report_row import ReportRow
from mmssl.files import atomic_file

FILE = "section.json"

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Args:
        text: Plain text; an empty line starts a new paragraph.
    """

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Warn:
    """Something that makes what follows doubtful; shown at the top of the page too.

    Args:
        text: A sentence or two: what was seen, what it means, what to do.
    """

    kind: ClassVar[str] = "warn"
    text: str


@dataclass(frozen=True)
class Table:
    """Rows under column names; columns of numbers are set to the right and can be sorted.

    Args:
        columns: Names, with units.
        rows: One cell a column; None is an empty cell.
        title: Above the table.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of table {self.title!r} does not have {len(self.columns)} cells")


@dataclass(frozen=True)
class Series:
    """One curve.

    Args:
        name: As the legend shows it.
        x: Rising.
        y: One for each x; None, or what is not finite, leaves a gap.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"series {self.name!r} has {len(self.x)} x but {len(self.y)} y")


@dataclass(frozen=True)
class LinePlot:
    """Curves over one axis.

    Args:
        title: Above the plot.
        x_label: With its unit.
        y_label: With its unit.
        series: Drawn in one plot.
        log_y: Whether the y axis is logarithmic.
        caption: Below the plot.
    """

    kind: ClassVar[str] = "line_plot"
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_y: bool = False
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture in a grid.

    Args:
        file: PNG, JPEG, GIF or WebP, relative to the stage's folder; empty leaves the place in the grid free.
        caption: Below it.
        mark: `query`, `match` or `miss` draws a frame in that meaning's colour; empty draws none.
        sound: FLAC that a player below it plays, relative to the stage's folder; empty for none.
    """

    file: str
    caption: str = ""
    mark: str = ""
    sound: str = ""

    def __post_init__(self) -> None:
        if self.mark not in ("", "query", "match", "miss"):
            raise ValueError(f"mark must be query, match, miss or empty, got {self.mark!r}")


@dataclass(frozen=True)
class Images:
    """A grid of pictures.

    Args:
        pictures: Row by row.
        title: Above the grid.
        per_row: Pictures that belong together in a row; 0 puts as many into one as there is room for.
        caption: Below the grid.
    """

    kind: ClassVar[str] = "images"
    pictures: tuple[Picture, ...]
    title: str = ""
    per_row: int = 0
    caption: str = ""


@dataclass(frozen=True)
class Video:
    """A video, embedded where it is small; its poster alone where it is not.

    Args:
        file: MP4 (H.264), relative to the stage's folder.
        caption: Below it.
        poster: A picture shown before it plays, and in print.
    """

    kind: ClassVar[str] = "video"
    file: str
    caption: str = ""
    poster: str = ""


@dataclass(frozen=True)
class Reject:
    """A row that was left out, and why.

    Args:
        id: Of the manifest row.
        error_type: Name of the error's class.
        message: A sentence.
    """

    id: str
    error_type: str
    message: str


@dataclass(frozen=True)
class Rejects:
    """Everything that a stage left out.

    Args:
        rejects: All of them; the page shows the first and counts the rest.
        num_items: How many items there were in all.
    """

    kind: ClassVar[str] = "rejects"
    rejects: tuple[Reject, ...]
    num_items: int


@dataclass(frozen=True)
class Scores:
    """Report rows, shown as a table and bars with baselines beside.

    Args:
        rows: Of one or several evaluations; the first metric of each is its main one.
        title: Above the table.
    """

    kind: ClassVar[str] = "scores"
    rows: tuple[ReportRow, ...]
    title: str = ""


Block = Text | Warn | Table | LinePlot | Images | Video | Rejects | Scores


@dataclass(frozen=True)
class Section:
    """A stage's part of the report.

    Args:
        title: Its heading.
        blocks: From top to bottom.
    """

    title: str
    blocks: tuple[Block, ...]

    def to_json(self) -> dict[str, Any]:
        """The section as plain JSON values; numbers that are not finite become null."""
        blocks = [{"kind": block.kind, **asdict(block)} for block in self.blocks]
        return {"title": self.title, "blocks": [_finite(block) for block in blocks]}


@dataclass(frozen=True)
class Damaged:
    """Stands where a section or a block could not be read.

    Args:
        message: What was wrong.
    """

    kind: ClassVar[str] = "damaged"
    message: str


_KINDS: dict[str, TypeAdapter[Any]] = {
    block.kind: TypeAdapter(block) for block in (Text, Warn, Table, LinePlot, Images, Video, Rejects, Scores)
}


def write_section(folder: Path, section: Section) -> None:
    """Writes `section.json` into a stage's folder; whole or not at all."""
    text = json.dumps(section.to_json(), ensure_ascii=False, indent=1, allow_nan=False)
    with atomic_file(folder / FILE) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_section(folder: Path) -> tuple[str, list[Block | Damaged]]:
    """Title and blocks of a folder's section; what cannot be read becomes `Damaged`, nothing is raised."""
    file = folder / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        title, blocks = str(content["title"]), list(content["blocks"])
    except FileNotFoundError:
        return folder.name, []
    except (OSError, ValueError, KeyError, TypeError) as error:
        return folder.name, [Damaged(f"{folder.name}/{FILE} cannot be read: {error}")]
    return title, [_read_block(block) for block in blocks]


def _read_block(content: Any) -> Block | Damaged:
    """One block, checked against its dataclass."""
    try:
        fields = dict(content)
        block: Block = _KINDS[fields.pop("kind")].validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        return Damaged(f"a block cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}")
    except (KeyError, TypeError, ValueError) as error:
        return Damaged(f"a block cannot be read: {error!r}")
    return block


def _finite(value: Any) -> Any:
    """A copy in which every float that is not finite is None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(element) for element in value]
    return value
