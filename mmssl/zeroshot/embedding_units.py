"""Embeds images and videos in fixed units of items, each kept as soon as it is done, so that an interrupted run goes on."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.config import digest
from mmssl.data.manifest import ManifestRow, row_from_json, row_to_json
from mmssl.files import atomic_file, remove_partial
from mmssl.media.worker_pool import WorkerPool
from mmssl.models.image_text import ImageTextEncoder
from mmssl.models.loading import LoadedEncoder
from mmssl.models.precision import Precision, products_in, settled_precision
from mmssl.progress import Progress
from mmssl.zeroshot.pictures import Pictures, PictureTask, read_pictures

ITEMS_A_UNIT = 128
TIME_LIMIT_SECONDS = 300.0
MEMORY_LIMIT_BYTES = 6 << 30


@dataclass(frozen=True)
class Looking:
    """How images and videos are looked at.

    Args:
        num_frames: Of a video, evenly spread; the model makes one embedding of theirs.
        segment_seconds: Length of the segments that a video is cut into; None for the whole of it as one.
        batch_size: Frames in one forward pass; changes nothing but time and memory.
        workers: Processes that decode; likewise.
        device: Where the image tower runs.
        precision: Of the image tower's products, see `models.precision`.
    """

    num_frames: int = 8
    segment_seconds: float | None = None
    batch_size: int = 64
    workers: int = 2
    device: str = "cpu"
    precision: Precision = "auto"


@dataclass(frozen=True)
class Embedded:
    """A unit's rows; a video in segments gives a row for each.

    Args:
        rows: With the part of the file that each stands for; those that could not be read are rejected, with the reason.
        embeddings: Unit vectors; zeros for rejected rows.
    """

    rows: tuple[ManifestRow, ...]
    embeddings: Float[Tensor, "rows dim"]


def embed_items(
    loaded: LoadedEncoder, encoder: ImageTextEncoder, items: Sequence[ManifestRow], looking: Looking, *, folder: Path
) -> Iterator[Embedded]:
    """The embeddings of items, unit by unit in their order; units that the folder holds already are read.

    Args:
        loaded: Names the encoder.
        encoder: The encoder itself.
        items: Images and videos.
        looking: How.
        folder: Keeps the units.
    """
    looking = replace(looking, precision=settled_precision(looking.precision, looking.device))
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder)
    units = [list(items[start : start + ITEMS_A_UNIT]) for start in range(0, len(items), ITEMS_A_UNIT)]
    files = [folder / f"{_key(loaded, unit, looking)}.safetensors" for unit in units]
    done = {number for number, file in enumerate(files) if _read(file) is not None}
    pool = WorkerPool[PictureTask, Pictures](
        partial(read_pictures, framing=encoder.framing),
        workers=looking.workers,
        time_limit_seconds=TIME_LIMIT_SECONDS,
        memory_limit_bytes=MEMORY_LIMIT_BYTES,
    )
    missing = [number for number in range(len(units)) if number not in done]
    tasks = (
        PictureTask(row, looking.num_frames, looking.segment_seconds)
        for number in missing
        for row in units[number]
        if row.status == "ok"
    )
    encoder.to(looking.device).eval()
    before = len(items) - sum(len(units[number]) for number in missing)
    example = torch.zeros(1, 3, *encoder.framing.size, device=looking.device)
    products = products_in(looking.precision if missing else "float32", encoder, example)
    with pool, products, Progress("look", len(items), unit="files", done=before) as progress:
        outcomes = pool.map(tasks)
        for number, unit in enumerate(units):
            kept = _read(files[number]) if number in done else None
            if kept is not None:
                yield kept
                continue
            collected = _Collected(encoder, looking)
            for row in unit:
                if row.status != "ok":
                    collected.reject(row)
                    progress.advance()
                    continue
                outcome = next(outcomes)
                if outcome.value is None:
                    collected.reject(_rejected(row, outcome.error_type or "", outcome.error_message or ""))
                else:
                    collected.add(row, outcome.value)
                progress.advance()
            embedded = collected.finished()
            _write(files[number], embedded)
            yield embedded


class _Collected:
    """The rows of a unit while it is made; frames are embedded as soon as a batch is full."""

    def __init__(self, encoder: ImageTextEncoder, looking: Looking) -> None:
        self._encoder = encoder
        self._looking = looking
        self._rows: list[ManifestRow] = []
        self._owners: list[tuple[int, int]] = []
        """The row of each span, and its number of frames."""
        self._waiting: list[Tensor] = []
        self._embedded: list[Tensor] = []

    def reject(self, row: ManifestRow) -> None:
        """Adds a row that has no embedding."""
        self._rows.append(row)

    def add(self, row: ManifestRow, pictures: Pictures) -> None:
        """Adds the rows of a file."""
        each = len(pictures.frames) // len(pictures.spans)
        for span in pictures.spans:
            self._owners.append((len(self._rows), each))
            self._rows.append(row if span is None else replace(row, start=span[0], end=span[1]))
        self._waiting.append(pictures.frames)
        if sum(map(len, self._waiting)) >= self._looking.batch_size:
            self._embed()

    def finished(self) -> Embedded:
        """The unit: for each row what the encoder makes of its frames' embeddings, normalised."""
        self._embed()
        pooled = torch.zeros(len(self._rows), self._encoder.dim)
        frames = torch.cat(self._embedded) if self._embedded else torch.zeros(0, self._encoder.dim)
        counts = torch.tensor([count for _, count in self._owners])
        owners = torch.tensor([owner for owner, _ in self._owners])
        first = counts.cumsum(0) - counts
        for count in sorted(set(counts.tolist())):
            alike = counts == count
            clips = frames[first[alike][:, None] + torch.arange(count)]
            with torch.inference_mode():
                pooled[owners[alike]] = self._encoder.over_frames(clips.to(self._looking.device)).float().cpu()
        rows = list(self._rows)
        for place in (~torch.isfinite(pooled).all(1)).nonzero()[:, 0].tolist():
            message = f"{rows[place].uri}: the model's embedding of it is not finite"
            rows[place] = _rejected(rows[place], "EmbeddingError", message)
            pooled[place] = 0
        return Embedded(tuple(rows), normalize(pooled, dim=1))

    def _embed(self) -> None:
        if not self._waiting:
            return
        with torch.inference_mode():
            for part in torch.split(torch.cat(self._waiting), self._looking.batch_size):
                found = self._encoder(part.to(self._looking.device).float().div(255))
                self._embedded.append(found.float().cpu())
        self._waiting = []


def _rejected(row: ManifestRow, error_type: str, message: str) -> ManifestRow:
    return replace(row, status="rejected", error_type=error_type, error_message=message)


def _key(loaded: LoadedEncoder, unit: Sequence[ManifestRow], looking: Looking) -> str:
    """Names what a unit depends on, the files' sizes and times of change among it."""
    facts = [[row_to_json(row), _stamp(Path(row.uri))] for row in unit]
    return digest(
        ["zero-shot unit 2", loaded.digest, looking.num_frames, looking.segment_seconds, looking.precision, facts]
    )


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _write(file: Path, embedded: Embedded) -> None:
    rows = json.dumps([row_to_json(row) for row in embedded.rows])
    with atomic_file(file) as partial:
        save_file({"embeddings": embedded.embeddings}, partial, metadata={"rows": rows})


def _read(file: Path) -> Embedded | None:
    """A unit that is done; None where it is not there or damaged."""
    try:
        with safe_open(file, framework="pt") as opened:
            rows = tuple(row_from_json(values) for values in json.loads(opened.metadata()["rows"]))
            return Embedded(rows, opened.get_tensor("embeddings").clone())
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
