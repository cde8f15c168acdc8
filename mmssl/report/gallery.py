"""The gallery of a zero-shot classification: one HTML file that shows what was put into which class, and how surely."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmssl.files import atomic_file
from mmssl.report.page import environment
from mmssl.report.section import Rejects, Table


@dataclass(frozen=True)
class GalleryItem:
    """A picture with its answer.

    Args:
        name: Of the item.
        answer: The class it is shown under.
        probability: Of the best class, 0 to 1.
        best: The best classes and their probabilities, best first.
        moment: The part of a video, such as `5.0 to 10.0 s`; empty for an image.
        label: The right class, where it is known.
        is_right: Whether the answer is that; None where it is not known.
        picture: JPEG; empty where it could not be made.
    """

    name: str
    answer: str
    probability: float
    best: tuple[tuple[str, float], ...]
    moment: str = ""
    label: str | None = None
    is_right: bool | None = None
    picture: bytes = b""

    @property
    def uri(self) -> str:
        """The picture as the page holds it."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.picture).decode()}" if self.picture else ""


@dataclass(frozen=True)
class GalleryClass:
    """A class and what is shown of it.

    Args:
        name: Of the class.
        num_items: All items with this answer.
        items: The surest of them, surest first.
    """

    name: str
    num_items: int
    items: tuple[GalleryItem, ...]


def write_gallery(
    path: Path,
    classes: Sequence[GalleryClass],
    *,
    title: str,
    facts: Mapping[str, str],
    tables: Sequence[Table] = (),
    rejects: Rejects,
    command: str = "",
) -> None:
    """Writes the page, which needs no other file and no network.

    Args:
        path: HTML file to write.
        classes: In the order in which the page shows them; those without items are only named.
        title: Heading.
        facts: Shown below it, such as the model.
        tables: Scores and confusions.
        rejects: What could not be classified.
        command: That made the page.
    """
    page = environment().get_template("gallery.html.j2")
    shown = [entry for entry in classes if entry.items]
    text = page.render(
        title=title,
        facts=facts,
        shown=shown,
        empty=[entry.name for entry in classes if not entry.num_items],
        is_scored=any(item.is_right is not None for entry in shown for item in entry.items),
        tables=tables,
        rejects=rejects,
        command=command,
    )
    with atomic_file(path) as partial:
        partial.write_text(text.lstrip(), encoding="utf-8")
