"""Scores an encoder by how well its features carry joints and other points through videos."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.data.keypoints import Keypoints, read_keypoints
from mmssl.data.manifest import ManifestRow
from mmssl.errors import EvaluationError, MmsslError
from mmssl.evaluation.cost import FrameTime, cost_rows
from mmssl.evaluation.keypoint_scores import METRICS, Track, point_scores
from mmssl.evaluation.propagation import changed_preset, describe_preset, rows_with, split_name
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.media.image import read_index_png
from mmssl.media.video import VideoFile, open_video
from mmssl.progress import Progress
from mmssl.propagation.feature_cache import FeatureCache
from mmssl.propagation.frame_encoder import FeatureSource, FrameEncoder
from mmssl.propagation.masks import input_size
from mmssl.propagation.point_follower import PointRule
from mmssl.propagation.points import SIGMA_CELLS, propagate_points
from mmssl.propagation.presets import Preset
from mmssl.propagation.state import digest_of_files

FOLLOWED = {
    "features": "",
    "pixels": "; points followed by pixels",
    "rigid": "; points followed by pixels, animals rigid",
}
"""What the protocol says of each way to follow points."""


def keypoints(
    subject: Subject,
    *,
    preset: str = "dino",
    temperature: float | None = None,
    short_side: int | None = None,
    square: bool = False,
    queries: Literal["first", "each"] = "first",
    sigma_cells: float = SIGMA_CELLS,
    split: str | None = None,
    batch_size: int = 4,
    features: Path | None = None,
    points: PointRule = "features",
    report_seconds: bool = False,
) -> list[ReportRow]:
    """Carries each video's first annotated joints through it and compares with the other annotated frames.

    Rows of the manifest without `keypoints` in `extra` take no part; a video that cannot be scored is named, with the
    reason, in every row's `detail`. Metrics:

    - `pck@a`: nearer than a times the longer side of the box around the animal's annotated joints in that frame; over
      all joints of all frames.
    - `pck_crw@a`: CRW's: at most a x 0.6 x the diagonal of the box, joints that were not found left out; mean over joints.
    - `pck_badja@0.2`: nearer than 0.2 times the root of the mask's area; where the row has `masks`; mean over videos.
    - `delta_avg`: share nearer than 1, 2, 4, 8, 16 pixels at 256 x 256, averaged; mean over videos.

    Args:
        subject: Its encoder and its manifest.
        preset: Name in `PRESETS`.
        temperature: In place of the preset's.
        short_side: Pixels, in place of the preset's.
        square: Whether frames are squashed to a square of `short_side`, as the field does on JHMDB.
        queries: `first`: points of the first annotated frame, and no others; `each`: every point from the first frame that
            it is annotated on, as TAP-Vid has it.
        sigma_cells: Width of the Gaussian that a joint is drawn as.
        split: Rows of this split only; None for all.
        batch_size: Frames encoded together.
        features: Folder of feature caches, for the next evaluation of this encoder at this size; half precision.
        points: How joints are followed; `mmssl propagate` does it by `pixels`.
        report_seconds: Whether to add rows with the times a frame and the peak memory, which differ from run to run.

    Returns:
        The metrics, then the same for the joints' first places in every frame (`identity`); None where undefined.

    Raises:
        EvaluationError: If there is no manifest, or no row of it has keypoints.
        ConfigError: If there is no such preset.

    Source:
        Jabri et al. 2020, arXiv:2006.14613, section 4.2; see `mmssl.evaluation.points` for each measure.
    """
    settings = changed_preset(preset, temperature=temperature, short_side=short_side)
    rows = rows_with("keypoints", subject, split)
    subject.encoder.encoder.to(subject.device)
    run = _Run(subject, settings, square, queries, sigma_cells, batch_size, features, points)
    scored: dict[str, _Scored] = {}
    failed: dict[str, str] = {}
    with Progress("keypoints", len(rows), unit="videos") as progress:
        for row in rows:
            try:
                scored[row.id] = run.score(row)
            except MmsslError as error:
                failed[row.id] = str(error)
            progress.advance()
    shape = "squashed to a square of that side" if square else "whole frames"
    described = describe_preset(preset, settings, stride=subject.encoder.encoder.stride)
    described += "" if features is None else "; features in half precision"
    described += FOLLOWED[points]
    protocol = f"{described}; {shape}; joints as Gaussians of {sigma_cells:g} cells; " + (
        "first annotated frame's joints given" if queries == "first" else "each point given where first annotated"
    )

    def report(tracks: dict[str, Track], protocol: str, baseline: str | None) -> list[ReportRow]:
        pooled = point_scores(tracks.values())
        videos = {key: point_scores([track]) for key, track in tracks.items()}
        return [
            subject.row(
                "keypoints",
                metric,
                pooled[metric],
                split=split_name(rows),
                num_items=sum(int((~track.truth.isnan().any(dim=2)).sum()) for track in tracks.values()),
                protocol=protocol,
                encoder=baseline,
                detail={"sequences": {key: values[metric] for key, values in videos.items()}, "failed": failed},
            )
            for metric in METRICS
        ]

    lines = report({key: item.encoder for key, item in scored.items()}, protocol, None)
    if report_seconds:
        times = {key: item.time for key, item in scored.items()}
        lines += cost_rows(subject, "keypoints", times, split=split_name(rows), protocol=protocol)
    copied = "the given joints at the same place in every frame; scored as the encoders are"
    return lines + report({key: item.identity for key, item in scored.items()}, copied, "identity")


@dataclass(frozen=True)
class _Scored:
    encoder: Track
    identity: Track
    time: FrameTime


@dataclass(frozen=True)
class _Run:
    """What holds for all videos of one call."""

    subject: Subject
    preset: Preset
    square: bool
    queries: str
    sigma_cells: float
    batch_size: int
    features: Path | None
    points: PointRule

    def score(self, row: ManifestRow) -> _Scored:
        """Follows one video's points.

        Raises:
            MmsslError: If that cannot be done.
        """
        manifest = self.subject.manifest
        assert manifest is not None
        if row.status != "ok":
            raise EvaluationError(f"rejected: {row.error_type}: {row.error_message}")
        if row.start is not None or row.end is not None:
            raise EvaluationError("is a segment of a file; keypoints belong to the frames of whole files")
        path = manifest.path.parent / str(row.extra["keypoints"])
        given = read_keypoints(path)
        starts = start_points(given, each=self.queries == "each")
        if not starts or max(given.frames) <= min(starts):
            raise EvaluationError(f"{path}: needs joints on two frames at least")
        with open_video(manifest.resolve(row)) as source:
            size = source.size
            if max(given.frames) >= source.num_frames:
                raise EvaluationError(f"{path}: names frame {max(given.frames)} of {source.num_frames} frames")
            began, processor_began = time.perf_counter(), time.process_time()
            found = {
                index: points
                for index, points, _ in propagate_points(
                    source,
                    starts,
                    encode=self._encode(source, max(given.frames) + 1),
                    preset=self.preset,
                    stop=max(given.frames) + 1,
                    sigma_cells=self.sigma_cells,
                    batch_size=self.batch_size,
                    rule=self.points,
                    groups=given.groups(),
                )
                if index in given.frames
            }
            num_frames = max(given.frames) + 1 - min(starts)
            spent = FrameTime(
                (time.perf_counter() - began) / num_frames, (time.process_time() - processor_began) / num_frames
            )
        scored = [index for index in found if index > min(starts)]
        first = torch.full((len(given.names),), max(found) + 1)
        copied = torch.full((len(given.names), 2), torch.nan)
        for index, points in starts.items():
            which = ~points.isnan().any(dim=1)
            first[which], copied[which] = index, points[which]
        annotated = torch.stack([given.frames[index] for index in scored])
        unscored = torch.tensor(scored)[:, None] <= first
        truth = annotated.masked_fill(unscored[..., None], torch.nan)
        areas = mask_areas(manifest.path.parent / str(row.extra["masks"]), scored) if row.extra.get("masks") else None
        areas = torch.full((len(scored),), torch.nan) if areas is None else areas
        predicted = torch.stack([found[index] for index in scored])
        track = Track(given.names, given.groups(), predicted, truth, annotated, areas, size)
        return _Scored(track, replace(track, predicted=copied.expand(len(scored), -1, -1)), spent)

    def _encode(self, source: VideoFile, stop: int) -> FeatureSource:
        """What gives the features of a video up to a frame."""
        subject = self.subject
        encoded = (self.preset.short_side,) * 2 if self.square else input_size(source.size, self.preset)
        encode = FrameEncoder(subject.encoder.encoder, subject.encoder.reference, encoded)
        if self.features is None:
            return encode
        cache = FeatureCache(
            self.features,
            encode,
            encoder_digest=subject.encoder.digest,
            video_digest=digest_of_files(source.path),
            batch_size=self.batch_size,
        )
        cache.fill(source, stop=stop)
        return cache


def start_points(given: Keypoints, *, each: bool) -> dict[int, Float[Tensor, "points 2"]]:
    """The points to follow from each start frame: those of the first frame that has any, or each from its own first."""
    starts: dict[int, Tensor] = {}
    seen = torch.zeros(len(given.names), dtype=torch.bool)
    for index, points in sorted(given.frames.items()):
        fresh = ~points.isnan().any(dim=1) & ~seen
        if bool(fresh.any()) and (each or not starts):
            starts[index] = points.masked_fill(~fresh[:, None], torch.nan)
            seen |= fresh
    return starts


def mask_areas(folder: Path, frames: Iterable[int]) -> Float[Tensor, " frames"]:
    """Pixels that are not background in the mask of each frame; NaN where there is no mask."""
    files = [folder / f"{frame:05}.png" for frame in frames]
    return torch.tensor([float((read_index_png(file) > 0).sum()) if file.is_file() else torch.nan for file in files])
