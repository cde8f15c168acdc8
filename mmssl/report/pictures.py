"""Pictures that stages put into their sections: strips of a clip's frames, and what the index finds near a clip."""

from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from mmssl.data.dataset import ClipSource, evenly_spaced, sample_rate_of, sound_rate_of, sounds_of
from mmssl.files import atomic_file
from mmssl.media.audio import write_flac
from mmssl.media.image import write_jpeg
from mmssl.report.section import Images, Picture
from mmssl.report.spectrogram import as_pictures
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import Index

GAP_PIXELS = 2
WHITE = 255
SINGLE_A_ROW = 4
"""Sample clips of one frame that stand side by side."""


def contact_strip(
    frames: UInt8[Tensor, "frames 3 height width"], *, max_frames: int = 8, height: int = 96
) -> UInt8[Tensor, "3 strip_height strip_width"]:
    """Frames side by side with white gaps; of more than `max_frames`, ones that are evenly spread."""
    chosen = resized(frames[evenly_spaced(len(frames), max_frames)], height)
    gap = torch.full((3, height, GAP_PIXELS), WHITE, dtype=torch.uint8)
    return torch.cat([part for frame in chosen for part in (gap, frame)][1:], dim=2)


def resized(
    frames: UInt8[Tensor, "frames 3 height width"], height: int
) -> UInt8[Tensor, "frames 3 new_height new_width"]:
    """Frames of another height and the same aspect, by an antialiased filter."""
    width = max(1, round(height * frames.shape[3] / frames.shape[2]))
    return interpolate(frames, (height, width), mode="bilinear", antialias=True)


def _fitted(spectrogram: UInt8[Tensor, "1 3 height width"], width: int) -> UInt8[Tensor, "3 height new_width"]:
    """As wide as the frames above it, whose time it shares."""
    return interpolate(spectrogram, (spectrogram.shape[2], width), mode="bilinear", antialias=True)[0]


def sample_strips(folder: Path, source: ClipSource, *, count: int = 8, title: str = "Sample clips") -> Images:
    """Strips of clips that are evenly spread over a source, as files in the folder's `samples/`, with sound where there is any.

    Args:
        folder: The stage's folder.
        source: The clips.
        count: How many clips at most.
        title: Of the block.
    """
    items = source.items
    pictures = []
    for number, place in enumerate(evenly_spaced(len(items), count)):
        item = items[place]
        file = f"samples/{number:02}.jpg"
        clip = source.clips([place])[0]
        strip = contact_strip(as_pictures(clip))
        heard, rate = clip, sample_rate_of(source)
        if sound_rate_of(source) is not None:
            heard, rate = sounds_of(source, [place]), sound_rate_of(source)
            strip = torch.cat((strip, _fitted(as_pictures(heard), strip.shape[2])), dim=1)
        _write(folder / file, strip)
        sound = _write_sound(folder, file, heard, rate)
        begins = f"from {item.pts_seconds[0]:.2f} s" if len(item.pts_seconds) > 1 or item.pts_seconds[0] else ""
        facts = (item.id, begins, item.label, item.split)
        pictures.append(Picture(file, ", ".join(fact for fact in facts if fact), sound=sound))
    single = all(len(item.pts_seconds) == 1 for item in items)
    per_row = SINGLE_A_ROW if single else 1
    return Images(tuple(pictures), title=title, per_row=per_row)


def neighbor_gallery(
    folder: Path,
    table: EmbeddingTable,
    source: ClipSource,
    index: Index,
    *,
    num_queries: int = 6,
    num_neighbors: int = 5,
    height: int = 112,
) -> Images:
    """Some clips and, for each, the nearest clips of other groups, as files in the folder's `neighbors/`.

    Clips outside the split `train` are looked up where there are any; they are of different labels as far as there are
    enough labels.

    Args:
        folder: The stage's folder.
        table: Embeddings of the clips.
        source: The clips themselves, by the table's ids.
        index: Made of the table.
        num_queries: How many clips are looked up.
        num_neighbors: How many neighbors of each are shown.
        height: Of a picture, in pixels.

    Raises:
        RetrievalError: If the index holds embeddings of another encoder.
    """
    index.expect_encoder(table.encoder_digest)
    place_of = {id_: place for place, id_ in enumerate(table.ids)}
    source_place = {item.id: place for place, item in enumerate(source.items)}
    queries = _queries(table, num_queries)
    depth = num_neighbors + max(table.groups.count(table.groups[query]) for query in queries)
    found = index.search(table.embeddings[queries], depth)

    def thumbnail(place: int, caption: str, mark: str) -> Picture:
        file = f"neighbors/{source_place[table.ids[place]]:06}.jpg"
        write_thumbnail(folder / file, source, source_place[table.ids[place]], height=height)
        clip = source.clips([source_place[table.ids[place]]])[0]
        sound = _write_sound(folder, file, clip[len(clip) // 2 :][:1], sample_rate_of(source))
        return Picture(file, caption, mark, sound)

    pictures: list[Picture] = []
    for row, query in enumerate(queries):
        pictures.append(thumbnail(query, table.labels[query] or table.ids[query], "query"))
        others = [
            (place_of[id_], float(score))
            for id_, score in zip(found.ids[row], found.scores[row], strict=True)
            if table.groups[place_of[id_]] != table.groups[query]
        ]
        for place, score in others[:num_neighbors]:
            caption = f"{score:.2f} {table.labels[place] or table.ids[place]}"
            pictures.append(thumbnail(place, caption, _mark(table.labels[query], table.labels[place])))
        pictures += [Picture("")] * max(0, num_neighbors - len(others))
    return Images(
        tuple(pictures),
        title=f"Nearest clips by {table.encoder}",
        per_row=num_neighbors + 1,
        caption="Each row: a clip, then the clips of other groups that are nearest to it, with their cosine similarity.",
    )


def write_thumbnail(file: Path, source: ClipSource, place: int, *, height: int = 112) -> None:
    """Writes the middle frame of a clip, unless the file is there already."""
    if not file.exists():
        clip = as_pictures(source.clips([place])[0])
        _write(file, resized(clip[len(clip) // 2 :][:1], height)[0])


def _queries(table: EmbeddingTable, count: int) -> list[int]:
    """Positions of clips to look up: held-out ones where there are any, of one label after the other."""
    held_out = [place for place, split in enumerate(table.splits) if split not in (None, "train")]
    by_label: dict[str | None, list[int]] = {}
    for place in held_out or range(len(table)):
        by_label.setdefault(table.labels[place], []).append(place)
    if len(by_label) >= count:
        labels = sorted(by_label, key=str)
        return [by_label[labels[number]][0] for number in evenly_spaced(len(labels), count)]
    each = -(-count // len(by_label))
    return [places[spot] for places in by_label.values() for spot in evenly_spaced(len(places), each)][:count]


def _mark(query_label: str | None, label: str | None) -> str:
    if query_label is None or label is None:
        return ""
    return "match" if label == query_label else "miss"


def _write_sound(folder: Path, picture: str, clip: Tensor, sample_rate: int | None) -> str:
    """Windows of sound end to end, as a file beside their picture; its path, or nothing where the clip is of pictures."""
    if sample_rate is None:
        return ""
    file = str(Path(picture).with_suffix(".flac"))
    with atomic_file(folder / file) as partial:
        write_flac(partial, clip.flatten(), sample_rate=sample_rate)
    return file


def _write(path: Path, picture: UInt8[Tensor, "3 height width"]) -> None:
    with atomic_file(path) as partial:
        write_jpeg(partial, picture)
