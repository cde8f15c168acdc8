"""Answers as JSON Lines, CSV or Parquet, one row each, written as they come."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmssl.errors import ConfigError
from mmssl.files import atomic_file
from mmssl.zeroshot.answers import Answer

ROWS_A_BATCH = 4096


def write_answers(path: Path, answers: Iterable[Answer], *, top: int) -> None:
    """Writes answers, whole or not at all; the suffix says how.

    In CSV the best classes are the columns `class_1`, `probability_1` and on; otherwise `classes` and `probabilities` are lists.

    Args:
        path: `.jsonl`, `.csv` or `.parquet`.
        answers: Taken one at a time.
        top: Most classes that an answer names.
    """
    check_suffix(path)
    with atomic_file(path) as partial:
        WRITERS[path.suffix](partial, answers, top)


def check_suffix(path: Path) -> None:
    """Refuses a file that no writer is for.

    Raises:
        ConfigError: Naming the suffixes that there are.
    """
    if path.suffix not in WRITERS:
        raise ConfigError(
            f"{path}: answers are written as {', '.join(WRITERS)}, and a gallery as .html; give one of these"
        )


def read_answers(path: Path) -> Iterator[Answer]:
    """Answers from a file of JSON Lines that `write_answers` wrote."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            values = json.loads(line)
            yield Answer(
                **{**values, "classes": tuple(values["classes"]), "probabilities": tuple(values["probabilities"])}
            )


def _write_json_lines(path: Path, answers: Iterable[Answer], top: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for answer in answers:
            file.write(json.dumps(asdict(answer), ensure_ascii=False) + "\n")


def _write_csv(path: Path, answers: Iterable[Answer], top: int) -> None:
    ranks = [f"{name}_{rank}" for rank in range(1, top + 1) for name in ("class", "probability")]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for answer in answers:
            values = asdict(answer)
            best = zip(values.pop("classes"), values.pop("probabilities"), strict=True)
            cells = dict(zip(ranks, [cell for pair in best for cell in pair], strict=False))
            if writer is None:
                writer = csv.DictWriter(file, [*values, *ranks])
                writer.writeheader()
            writer.writerow(values | cells)


def _write_parquet(path: Path, answers: Iterable[Answer], top: int) -> None:
    import pyarrow
    import pyarrow.parquet

    numbers = ("start_seconds", "end_seconds", "similarity", "group_probability")
    lists = {"classes": pyarrow.list_(pyarrow.string()), "probabilities": pyarrow.list_(pyarrow.float64())}
    names = list(Answer.__dataclass_fields__)
    kinds = {name: pyarrow.float64() if name in numbers else lists.get(name, pyarrow.string()) for name in names}
    schema = pyarrow.schema(list(kinds.items()))
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for batch in _batches(answers):
            writer.write_table(pyarrow.Table.from_pylist([asdict(answer) for answer in batch], schema=schema))


def _batches(answers: Iterable[Answer]) -> Iterator[Sequence[Answer]]:
    batch: list[Answer] = []
    for answer in answers:
        batch.append(answer)
        if len(batch) == ROWS_A_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


WRITERS: dict[str, Callable[[Path, Iterable[Answer], int], Any]] = {
    ".jsonl": _write_json_lines,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
"""Writers by suffix."""
