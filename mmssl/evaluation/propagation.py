"""Scores an encoder by how well its features carry the masks of the first frame through videos."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from mmssl.data.manifest import Manifest, ManifestRow
from mmssl.errors import EvaluationError, LabelError, MmsslError
from mmssl.evaluation.cost import FrameTime, cost_rows
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.segmentation import SequenceScores, Statistics, mean_iou, score_sequence, statistics
from mmssl.evaluation.subject import Subject
from mmssl.media.image import read_index_png
from mmssl.propagation.masks import normalize_mask, objects_of
from mmssl.propagation.presets import Preset
from mmssl.propagation.video import find_preset, propagate_video

METRICS = ("J&F", "J", "J recall", "J decay", "F", "F recall", "F decay")


def propagation(
    subject: Subject,
    *,
    preset: str = "dino",
    temperature: float | None = None,
    short_side: int | None = None,
    split: str | None = None,
    classes: int | None = None,
    batch_size: int = 4,
    features: Path | None = None,
    report_seconds: bool = False,
) -> list[ReportRow]:
    """Carries each video's first mask through it and compares with the annotated frames, by the DAVIS protocol.

    The first and the last frame are not scored, nor are frames without annotation; the objects are those of the first
    frame; each measure is the mean over objects, of all videos together. Rows of the manifest without `masks` in
    `extra` take no part. A video that cannot be scored is named, with the reason, in every row's `detail`.

    Args:
        subject: Its encoder and its manifest; masks and an overlay of each video go to its folder, if it has one.
        preset: Name in `PRESETS`.
        temperature: In place of the preset's.
        short_side: Pixels, in place of the preset's.
        split: Rows of this split only; None for all.
        classes: Where the indices of the masks are classes, as on VIP (20 with the background): adds the mean IoU over
            the scored frames of all videos together.
        batch_size: Frames encoded together.
        features: Folder of feature caches, for the next evaluation of this encoder at this size; half precision.
        report_seconds: Whether to add rows with the times a frame and the peak memory, which differ from run to run.

    Returns:
        J&F, then mean, recall and decay of J and F, and the mean IoU where asked for; then the same for the first
        frame's mask copied to every frame (`identity`); None where no video could be scored.

    Raises:
        EvaluationError: If there is no manifest, or no row of it has masks.
        ConfigError: If there is no such preset.

    Source:
        Pont-Tuset et al. 2017, arXiv:1704.00675, and the DAVIS-2017 toolkit's semi-supervised track.
    """
    settings = changed_preset(preset, temperature=temperature, short_side=short_side)
    rows = rows_with("masks", subject, split)
    assert subject.manifest is not None
    subject.encoder.encoder.to(subject.device)
    scored: dict[str, _Scored] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for row in rows:
            out = (subject.out or Path(scratch)) / re.sub(r"[^\w.-]", "_", row.id)
            try:
                scored[row.id] = _score(subject, subject.manifest, row, settings, batch_size, out, classes, features)
            except MmsslError as error:
                failed[row.id] = str(error)
    name = split_name(rows)
    half = "" if features is None else "; features in half precision"
    scoring = "first mask given; J and F without the first and last frame, mean over objects"
    protocol = f"{describe_preset(preset, settings, stride=subject.encoder.encoder.stride)}{half}; {scoring}"
    report = _report(subject, name, protocol, {key: item.encoder for key, item in scored.items()}, failed, None)
    if report_seconds:
        times = {key: item.time for key, item in scored.items() if item.time is not None}
        report += cost_rows(subject, "propagation", times, split=name, protocol=protocol)
    copied = "the first frame's mask copied to every frame; scored as the encoders are"
    return report + _report(
        subject, name, copied, {key: item.identity for key, item in scored.items()}, failed, "identity"
    )


@dataclass(frozen=True)
class _Scored:
    """A video's scores, those of its first mask copied, and the time a frame where it was propagated now."""

    encoder: SequenceScores
    identity: SequenceScores
    time: FrameTime | None


def changed_preset(preset: str, *, temperature: float | None, short_side: int | None) -> Preset:
    """A preset with the values that are given in place of its own.

    Raises:
        ConfigError: If there is no such preset.
    """
    settings = find_preset(preset)
    return replace(
        settings,
        temperature=settings.temperature if temperature is None else temperature,
        short_side=settings.short_side if short_side is None else short_side,
    )


def rows_with(labels: str, subject: Subject, split: str | None) -> list[ManifestRow]:
    """Rows of a split that name their `masks`, or `keypoints`.

    Raises:
        EvaluationError: If there is no manifest or no such row.
    """
    if subject.manifest is None:
        raise EvaluationError(f"propagation reads videos and {labels}: give a manifest")
    rows = [row for row in subject.manifest.rows if split in (None, row.split) and row.extra.get(labels)]
    if not rows:
        where = "" if split is None else f" in split {split!r}"
        what = {"masks": "the folder of its masks, 00000.png and so on", "keypoints": "the JSON file of its points"}
        raise EvaluationError(f"{subject.manifest.path}: no row{where} has `{labels}`; each needs {what[labels]}")
    return rows


def split_name(rows: Sequence[ManifestRow]) -> str:
    """The split that rows are of; `all` where they are of several or none."""
    splits = {row.split for row in rows}
    return str(splits.pop()) if len(splits) == 1 and None not in splits else "all"


def _score(
    subject: Subject,
    manifest: Manifest,
    row: ManifestRow,
    preset: Preset,
    batch_size: int,
    out: Path,
    classes: int | None,
    features: Path | None,
) -> _Scored:
    """Propagates one video and scores it.

    Raises:
        MmsslError: If that cannot be done.
    """
    if row.status != "ok":
        raise EvaluationError(f"rejected: {row.error_type}: {row.error_message}")
    if row.start is not None or row.end is not None:
        raise EvaluationError("is a segment of a file; masks belong to the frames of whole files")
    masks = manifest.path.parent / str(row.extra["masks"])
    result = propagate_video(
        manifest.resolve(row),
        masks / "00000.png",
        encoder=subject.encoder.encoder,
        encoder_name=subject.name or subject.encoder.reference,
        encoder_digest=subject.encoder.digest,
        out=out,
        preset=preset,
        batch_size=batch_size,
        overlay=subject.out is not None,
        plain=True,
        features=features,
    )
    shutil.rmtree(out / "logs", ignore_errors=True)
    first = read_index_png(masks / "00000.png")
    annotated = [frame for frame in range(1, result.num_frames - 1) if (masks / f"{frame:05}.png").is_file()]
    if not annotated:
        raise EvaluationError(f"{masks}: no mask between the first and the last of {result.num_frames} frames")

    def truths() -> Iterator[tuple[int, Tensor]]:
        for frame in annotated:
            file = masks / f"{frame:05}.png"
            truth = normalize_mask(read_index_png(file), is_single=not objects_of(first))
            if classes is not None and max(objects_of(truth), default=0) >= classes:
                raise LabelError(f"{file}: has class {max(objects_of(truth))}, allowed are 0 to {classes - 1}")
            if truth.shape != first.shape:
                raise LabelError(f"{file}: is {tuple(truth.shape)}, the first mask {tuple(first.shape)}")
            yield frame, truth

    copied = read_index_png(result.mask_file(0))
    if classes is not None and max(result.objects) >= classes:
        raise LabelError(f"{masks}: has class {max(result.objects)} on the first frame, allowed are 0 to {classes - 1}")
    found = ((read_index_png(result.mask_file(frame)), truth) for frame, truth in truths())
    return _Scored(
        score_sequence(result.objects, found, classes=classes),
        score_sequence(result.objects, ((copied, truth) for _, truth in truths()), classes=classes),
        None if result.cost is None else FrameTime.of(result.cost),
    )


def _report(
    subject: Subject,
    split: str,
    protocol: str,
    scored: dict[str, SequenceScores],
    failed: dict[str, str],
    baseline: str | None,
) -> list[ReportRow]:
    """One row a metric, over all objects of all videos, with the values of each video beside it."""
    objects = {key: _object_values(scores) for key, scores in scored.items()}
    everything = [values for videos in objects.values() for values in videos]
    rows = []
    for place, metric in enumerate(METRICS):
        value = sum(values[place] for values in everything) / len(everything) if everything else None
        sequences = {key: sum(values[place] for values in videos) / len(videos) for key, videos in objects.items()}
        rows.append(
            subject.row(
                "propagation",
                metric,
                value,
                split=split,
                num_items=len(everything),
                protocol=protocol,
                encoder=baseline,
                detail={"sequences": sequences, "failed": failed},
            )
        )
    matrices = {key: scores.confusion for key, scores in scored.items() if scores.confusion is not None}
    if matrices:
        rows.append(
            subject.row(
                "propagation",
                "mIoU",
                mean_iou(torch.stack(list(matrices.values())).sum(dim=0)),
                split=split,
                num_items=len(matrices),
                protocol=protocol,
                encoder=baseline,
                detail={"sequences": {key: mean_iou(matrix) for key, matrix in matrices.items()}, "failed": failed},
            )
        )
    return rows


def _object_values(scores: SequenceScores) -> list[tuple[float, ...]]:
    """The `METRICS` of each object of a video."""
    values: list[tuple[float, ...]] = []
    for index in scores.region:
        region, boundary = statistics(scores.region[index]), statistics(scores.boundary[index])
        values.append(((region.mean + boundary.mean) / 2, *_values(region), *_values(boundary)))
    return values


def _values(of: Statistics) -> tuple[float, float, float]:
    return of.mean, of.recall, of.decay


def describe_preset(name: str, preset: Preset, *, stride: int) -> str:
    """The settings of a preset as part of a sentence.

    Args:
        name: Of the preset.
        preset: Its settings, perhaps changed.
        stride: Pixels a cell of the encoder.
    """
    window = asdict(preset.window)
    shape = (
        "whole frame"
        if window["radius"] is None
        else f"{'circle' if window['circular'] else 'square'} of radius {window['radius']:g}"
    )
    behind = ", ".join(f"t-{step}" for step in range(1, preset.previous_frames + 1, preset.previous_step))
    frames = f"{preset.previous_frames} previous frames" if preset.previous_step == 1 else f"frames {behind}"
    lasting = "".join(f", frame {place}" for place in preset.kept_frames)
    copies = {
        "joint": f"top-{preset.top_k}",
        "each_frame": f"top-{preset.top_k} of each frame, dot products, mean over frames",
        "dilated": f"following the object on frames more than {preset.dilate_beyond} away, all cells, dot products",
    }[preset.rule]
    fed_back = ", winners fed back" if preset.is_hard else ""
    cells = f", cells of {stride} instead of {preset.stride} pixels" if preset.stride not in (None, stride) else ""
    return (
        f"preset {name}: first{lasting} and {frames}, {shape}, {copies}, temperature {preset.temperature:g}{fed_back}, "
        f"{preset.short_side} pixels on the short side{cells}"
    )
