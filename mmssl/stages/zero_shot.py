"""What `mmssl zeroshot` does: inputs and classes to answers, a gallery and scores."""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmssl.data.manifest import ManifestRow
from mmssl.data.probing import probe_files
from mmssl.errors import ConfigError, EvaluationError
from mmssl.evaluation.zero_shot_probe import LabeledItems, ProbeScores, zero_shot_probe
from mmssl.evaluation.zero_shot_scores import ZeroShotScores, zero_shot_scores
from mmssl.files import atomic_file
from mmssl.models.image_text import ImageTextEncoder
from mmssl.models.loading import LoadedEncoder
from mmssl.stages.zero_shot_gallery import write_answer_gallery
from mmssl.zeroshot.answers import Answer, Classifier, calibrated_threshold
from mmssl.zeroshot.class_embeddings import class_embeddings, image_text_encoder
from mmssl.zeroshot.classes import ClassList
from mmssl.zeroshot.embedding_units import Embedded, Looking, embed_items
from mmssl.zeroshot.items import find_items
from mmssl.zeroshot.tables import check_suffix, read_answers, write_answers

GALLERY = ".html"
SEGMENTS_AT_ONCE = 32
LOOKING = Looking()


@dataclass(frozen=True)
class ZeroShotResult:
    """What a classification gave.

    Args:
        out: The files that were written.
        num_items: Images, videos and segments.
        num_rejected: That could not be read.
        threshold: Of 'none of these', where it was asked for.
        scores: Where the classes of some items are known.
        probe: Beside them, where labelled items to learn from were given.
    """

    out: tuple[Path, ...]
    num_items: int
    num_rejected: int
    threshold: float | None
    scores: ZeroShotScores | None
    probe: ProbeScores | None = None


def classify(
    inputs: Sequence[str],
    classes: ClassList,
    templates: Sequence[str],
    loaded: LoadedEncoder,
    out: Sequence[Path],
    *,
    looking: Looking = LOOKING,
    top: int = 5,
    background: Sequence[str] = (),
    false_accepts: float = 0.05,
    learnt: Sequence[str] = (),
    embeddings: Path | None = None,
    cache: Path | None = None,
    title: str = "Zero-shot classification",
    command: str = "",
) -> ZeroShotResult:
    """Classifies images and videos by the words of their classes.

    Interrupted, the same call goes on where it stopped.

    Args:
        inputs: See `find_items`.
        classes: What is looked for.
        templates: See `read_templates`.
        loaded: Knows images and text.
        out: Files to write: `.jsonl`, `.csv`, `.parquet`, and `.html` for the gallery; where some class is known, the scores
            go to `.scores.json` beside the first.
        looking: How images and videos are looked at.
        top: How many classes an answer names.
        background: Images that show none of the classes; they calibrate the answer 'none of these'.
        false_accepts: Share of such images that may be taken for a class all the same.
        learnt: Labelled images and videos, none of them among the inputs; a linear probe that learns from them stands beside the
            scores.
        embeddings: Folder that keeps the embeddings of images, so that other classes cost next to nothing; without it they
            are kept beside the first file until that is written.
        cache: See `class_embeddings`.
        title: Of the gallery.
        command: Shown in the gallery.

    Raises:
        ConfigError: If a file to write has no known suffix, or something is out of range.
        ManifestError: If an input is not there.
        CheckpointError: If the encoder knows no text.
        EvaluationError: If nothing of `learnt` has a known class, or an item is among the inputs too.
    """
    if not out or top < 1:
        raise ConfigError(f"expected a file to write and at least one class an answer, got {list(out)} and {top}")
    for file in out:
        if file.suffix != GALLERY:
            check_suffix(file)
    encoder = image_text_encoder(loaded)
    items = _stretched(find_items(inputs, class_names=classes.numbers), looking)
    work = embeddings or out[0].with_name(f".{out[0].name}.work")
    vectors = class_embeddings(loaded, classes, templates, cache=cache)
    classifier = Classifier(classes, vectors, encoder.scale, top=max(top, 5))
    if background:
        unlabeled = _stretched(find_items(background), looking)
        best = [
            classifier.similarities(part.embeddings).max(axis=1)[[row.status == "ok" for row in part.rows]]
            for part in embed_items(loaded, encoder, unlabeled, looking, folder=work)
        ]
        threshold = calibrated_threshold(np.concatenate(best), false_accepts=false_accepts)
        classifier = replace(classifier, threshold=threshold)
    record = _Record(classes, top, keep_embeddings=bool(learnt))
    parts = embed_items(loaded, encoder, items, looking, folder=work)
    answers = record.noted(
        answer
        for part in map(record.seen, parts)
        for answer in classifier.answers(part.rows, classifier.similarities(part.embeddings))
    )
    tables = [file for file in out if file.suffix != GALLERY]
    first = tables[0] if tables and tables[0].suffix == ".jsonl" else work / "answers" / "answers.jsonl"
    write_answers(first, answers, top=top)
    for file in tables:
        if file != first:
            write_answers(file, read_answers(first), top=top)
    scores, probe = record.scores(), None
    if scores is not None and learnt:
        examples = _Record(classes, top, keep_embeddings=True)
        labeled = _stretched(find_items(learnt, class_names=classes.numbers), looking)
        for part in embed_items(loaded, encoder, labeled, looking, folder=work):
            examples.seen(part)
        probe = zero_shot_probe(loaded, examples.labeled(), record.labeled())
    if scores is not None:
        with atomic_file(out[0].with_suffix(".scores.json")) as partial:
            facts: dict[str, object] = {
                "model": loaded.reference,
                "model_digest": loaded.digest,
                "templates": list(templates),
            }
            facts["protocol"] = protocol(len(templates), len(classes.names), encoder)
            facts["linear_probe"] = None if probe is None else asdict(probe)
            partial.write_text(
                json.dumps({**asdict(scores), **facts}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
    for file in out:
        if file.suffix == GALLERY:
            write_answer_gallery(
                file,
                lambda: read_answers(first),
                classes,
                title=title,
                model=loaded.reference,
                num_templates=len(templates),
                threshold=classifier.threshold,
                scores=scores,
                probe=probe,
                workers=looking.workers,
                command=command,
            )
    if embeddings is None:
        shutil.rmtree(work)
    else:
        shutil.rmtree(work / "answers", ignore_errors=True)
    return ZeroShotResult(tuple(out), record.num_items, record.num_rejected, classifier.threshold, scores, probe)


def protocol(num_templates: int, num_classes: int, encoder: ImageTextEncoder) -> str:
    """How answers come about, as a sentence."""
    return (
        f"A class's embedding is the normalized mean of its names', each the normalized mean over {num_templates} prompts; an "
        f"image gets the nearest of {num_classes} by cosine similarity, its probability by a softmax at the model's own scale, "
        f"{encoder.scale:.4g}; a video's embedding is {encoder.clip_is}."
    )


class _Record:
    """What is counted while answers go by."""

    def __init__(self, classes: ClassList, top: int, *, keep_embeddings: bool) -> None:
        self._classes = classes
        self._top = top
        self._keep_embeddings = keep_embeddings
        self._labeled: list[tuple[ManifestRow, Tensor]] = []
        self.num_items = self.num_rejected = 0
        self._scored: list[Answer] = []
        self._strangers: Counter[str] = Counter()

    def seen(self, part: Embedded) -> Embedded:
        """The part; the embeddings of items of a known class are kept where they are to be."""
        if self._keep_embeddings:
            self._labeled += [
                (row, embedding)
                for row, embedding in zip(part.rows, part.embeddings, strict=True)
                if row.status == "ok" and row.label in self._classes.numbers
            ]
        return part

    def labeled(self) -> LabeledItems:
        """The items of a known class that were seen.

        Raises:
            EvaluationError: If there are none.
        """
        if not self._labeled:
            raise EvaluationError(
                "no item to learn a linear probe from bears the name of a class; give labels or folders"
            )
        rows, embeddings = zip(*self._labeled, strict=True)
        return LabeledItems(rows, torch.stack(embeddings).numpy())

    def noted(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        """The answers, with as many classes as are asked for."""
        for answer in answers:
            self.num_items += 1
            self.num_rejected += answer.status != "ok"
            if answer.status == "ok" and answer.label is not None:
                if answer.label in self._classes.numbers:
                    self._scored.append(answer)
                else:
                    self._strangers[answer.label] += 1
            yield replace(answer, classes=answer.classes[: self._top], probabilities=answer.probabilities[: self._top])

    def scores(self) -> ZeroShotScores | None:
        """Scores of the answers whose class is known; says on standard error which labels are no classes."""
        if self._strangers:
            names = ", ".join(map(repr, list(self._strangers)[:5]))
            print(f"not scored: {self._strangers.total()} items, whose labels are no classes: {names}", file=sys.stderr)
        if not self._scored:
            return None
        numbers = self._classes.numbers
        return zero_shot_scores(
            np.array([[numbers[name] for name in answer.classes] for answer in self._scored]),
            np.array([answer.probabilities[0] for answer in self._scored]),
            np.array([numbers[str(answer.label)] for answer in self._scored]),
            self._classes.names,
            accepted=np.array([answer.answer == answer.classes[0] for answer in self._scored]),
        )


def _stretched(rows: Sequence[ManifestRow], looking: Looking) -> list[ManifestRow]:
    """The rows, with long videos cut into stretches of whole segments, so that memory does not grow with their length."""
    if looking.segment_seconds is None:
        return list(rows)
    stretch = SEGMENTS_AT_ONCE * looking.segment_seconds
    unknown = [row for row in rows if row.status == "ok" and row.media_type == "video" and row.duration_seconds is None]
    paths = list(dict.fromkeys(Path(row.uri) for row in unknown))
    outcomes = zip(paths, probe_files(paths, workers=looking.workers), strict=True) if paths else ()
    durations = {str(path): found.value.duration_seconds for path, found in outcomes if found.value is not None}
    cut: list[ManifestRow] = []
    for row in rows:
        length = row.duration_seconds if row.duration_seconds is not None else durations.get(str(Path(row.uri)))
        if row.status != "ok" or row.media_type != "video" or length is None:
            cut.append(row)
            continue
        begin = row.start or 0.0
        end = length if row.end is None else min(row.end, length)
        count = max(1, round((end - begin) / stretch))
        edges = [row.start, *(begin + number * stretch for number in range(1, count)), row.end]
        cut += [replace(row, start=edges[place], end=edges[place + 1]) for place in range(count)]
    return cut
