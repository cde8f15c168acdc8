"""Pictures that stages put into their sections: strips of a clip's frames, and what the index finds near a clip."""

from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.data.dataset import ClipSource
from mmssl.media.image import write_jpeg
from mmssl.report.section import Images, Picture
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import Index

GAP_PIXELS = 2


def contact_strip(
    frames: UInt8[Tensor, "frames 3 height width"], *, max_frames: int = 8
) -> UInt8[Tensor, "3 height strip_width"]:
    """Frames side by side with white gaps; of more than `max_frames`, ones that are evenly spread."""
    wanted = torch.linspace(0, len(frames) - 1, min(max_frames, len(frames))).round().long()
    gap = torch.full((3, frames.shape[2], GAP_PIXELS), 255, dtype=torch.uint8)
    parts = [part for frame in frames[wanted] for part in (gap, frame)]
    return torch.cat(parts[1:], dim=2)


def sample_strips(folder: Path, source: ClipSource, *, count: int = 6, title: str = "Sample clips") -> Images:
    """Strips of clips that are evenly spread over a source, as files in the folder's `samples/`.

    Args:
        folder: The stage's folder.
        source: The clips.
        count: How many clips at most.
        title: Of the block.
    """
    items = source.items
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, place in enumerate(_spread(len(items), count)):
        file = f"samples/{number:02}.jpg"
        write_jpeg(folder / file, contact_strip(source.clips([place])[0]))
        facts = [items[place].id, items[place].label, f"{items[place].pts_seconds[0]:.2f} s"]
        pictures.append(Picture(file, ", ".join(fact for fact in facts if fact)))
    return Images(tuple(pictures), title=title)


def neighbor_gallery(
    folder: Path,
    table: EmbeddingTable,
    source: ClipSource,
    index: Index,
    *,
    num_queries: int = 6,
    num_neighbors: int = 5,
) -> Images:
    """Some clips and the clips nearest to each, of other groups, as files in the folder's `neighbors/`.

    Args:
        folder: The stage's folder.
        table: Embeddings of the clips.
        source: The clips themselves, with the table's ids.
        index: Made of the table's embeddings.
        num_queries: How many clips are looked up; they are of different labels as far as there are enough.
        num_neighbors: How many neighbors of each are shown.

    Raises:
        RetrievalError: If the index holds embeddings of another encoder.
    """
    index.expect_encoder(table.encoder_digest)
    (folder / "neighbors").mkdir(parents=True, exist_ok=True)
    place_of = {id_: place for place, id_ in enumerate(table.ids)}
    source_place = {item.id: place for place, item in enumerate(source.items)}
    queries = _queries(table, num_queries)
    depth = num_neighbors + max(table.groups.count(table.groups[query]) for query in queries)
    found = index.search(table.embeddings[queries], depth)
    pictures: list[Picture] = []
    for row, query in enumerate(queries):
        others = [
            (place_of[id_], float(score))
            for id_, score in zip(found.ids[row], found.scores[row], strict=True)
            if table.groups[place_of[id_]] != table.groups[query]
        ]
        for column, (place, score) in enumerate([(query, 1.0), *others[:num_neighbors]]):
            file = f"neighbors/{row:02}_{column}.jpg"
            clip = source.clips([source_place[table.ids[place]]])[0]
            write_jpeg(folder / file, clip[len(clip) // 2])
            name = table.labels[place] or table.ids[place]
            caption = name if column == 0 else f"{name} {score:.2f}"
            pictures.append(Picture(file, caption, _mark(table, query, place)))
    return Images(
        tuple(pictures),
        title=f"Nearest clips by {table.encoder}",
        per_row=num_neighbors + 1,
        caption="Left: a clip. Right of it: the clips of other groups with the highest cosine similarity, which is below each.",
    )


def _queries(table: EmbeddingTable, count: int) -> list[int]:
    """Positions of clips: one a label, evenly spread over the labels; then, where labels are few, more of each."""
    rank: dict[str | None, int] = {}
    order = []
    for place, label in enumerate(table.labels):
        rank[label] = rank.get(label, -1) + 1
        order.append((rank[label], place))
    firsts = [place for number, place in order if number == 0]
    if len(firsts) >= count:
        return [firsts[number] for number in _spread(len(firsts), count)]
    return sorted(place for _, place in sorted(order)[:count])


def _mark(table: EmbeddingTable, query: int, place: int) -> str:
    if place == query:
        return "query"
    if table.labels[place] is None or table.labels[query] is None:
        return ""
    return "match" if table.labels[place] == table.labels[query] else "miss"


def _spread(length: int, count: int) -> list[int]:
    """At most `count` places from 0 to `length` - 1, evenly spread."""
    return [int(place) for place in torch.linspace(0, length - 1, min(count, length)).round().long()]
