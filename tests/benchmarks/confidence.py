"""Fits the confidence of propagated labels on made videos, and tests it on real ones.

    python -m tests.benchmarks.confidence fit
    python -m tests.benchmarks.confidence test DAVIS_FOLDER [--encoder ENCODER] [--short-side 480] [--videos dog,camel,...]

`fit` makes videos with known masks, propagates the first mask of each, and prints the constants of `CALIBRATION`. `test`
prints, for the videos of a DAVIS folder: Spearman's correlation of confidence and true J over all objects and frames (and
of each sign alone), and the share of failures (J < 0.5) that are among the lowest tenth of confidences, beside the share
that a perfect ranking would have there. A lost object has confidence 0, as in `objects.csv`. An episode is a run of frames
on which an object fails: how many have a frame that `review.csv` lists, which spreads its tenth out in time, and the share
of all failures that lie in them; the same for every tenth frame.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import spearmanr

from mmssl.data.synthetic import write_synthetic
from mmssl.evaluation.segmentation import region_similarity
from mmssl.media.image import read_index_png
from mmssl.media.video import open_video
from mmssl.models.loading import load_encoder
from mmssl.propagation.channels import Channels
from mmssl.propagation.confidence import SIGNS, confidence
from mmssl.propagation.frame_encoder import FrameEncoder
from mmssl.propagation.masks import input_size, normalize_mask, objects_of
from mmssl.propagation.presets import DINO
from mmssl.propagation.tables import REVIEWED_ONE_IN, spread_out
from mmssl.propagation.video_labels import FrameLabels, LabelObject
from mmssl.propagation.walk import Walk

DIRECTIONS = (1, 1, 1, -1, -1)
"""Whether more of each sign may raise or lower the confidence."""


def samples(
    video: Path, masks: Path, *, encoder: str, short_side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[tuple[int, int]]]:
    """Signs [n, signs], true J [n], and (frame, object) of all objects on all annotated frames; signs of lost ones are NaN."""
    loaded = load_encoder(encoder).encoder
    preset = replace(DINO, short_side=short_side, size_multiple=16)
    first = read_index_png(masks / "00000.png")
    is_single = not objects_of(first)
    first = normalize_mask(first, is_single=is_single)
    objects = tuple(LabelObject(key, f"{key}", "mask") for key in objects_of(first))
    signs, overlaps, places = [], [], []
    with open_video(video) as source:
        encode = FrameEncoder(loaded, encoder, input_size(source.size, preset))
        stride = loaded.stride
        cells = (-(-encode.encoded[0] // stride), -(-encode.encoded[1] // stride))
        channels = Channels(objects, source.size, encode.encoded, cells, stride, preset)
        labels = channels.encode(FrameLabels(mask=first.numpy()))
        walk = Walk(source, encode, channels, labels, start=0, stop=source.num_frames - 1, batch_size=4)
        for steps in walk.batches():
            for step in steps:
                file = masks / f"{step.index:05}.png"
                if not file.is_file():
                    continue
                truth = normalize_mask(read_index_png(file), is_single=is_single)
                got = channels.mask(step.labels)
                assert step.signs is not None
                for each in objects:
                    is_lost = not bool((got == each.id).any())
                    signs.append(step.signs[channels.of_object[each.id].start].numpy() * (np.nan if is_lost else 1))
                    overlaps.append(region_similarity(got == each.id, truth == each.id))
                    places.append((step.index, each.id))
    return np.array(signs), np.array(overlaps, dtype=np.float32), places


def fit(num_videos: int) -> None:
    """Prints the constants."""
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_synthetic(Path(folder), num_videos=num_videos, num_frames=40, seed=7)
        for number, row in enumerate(manifest.rows):
            masks = manifest.path.parent / str(row.extra["masks"])
            short_side = (192, 256, 320)[number % 3]
            encoder = ("lab", "pixels")[number // 3 % 2]
            parts.append(samples(manifest.resolve(row), masks, encoder=encoder, short_side=short_side)[:2])
    signs, overlaps = (np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True))
    seen = ~np.isnan(signs).any(axis=1)
    signs, overlaps = signs[seen], overlaps[seen]

    def loss(values: NDArray[np.float64]) -> float:
        logits = values[0] + signs @ values[1:]
        return float(np.mean(np.logaddexp(0, logits) - overlaps * logits) + 1e-3 * (values[1:] ** 2).mean())

    bounds = [(None, None), *((0, None) if direction > 0 else (None, 0) for direction in DIRECTIONS)]
    found = minimize(loss, np.zeros(1 + len(SIGNS)), bounds=bounds, method="L-BFGS-B").x
    trust = 1 / (1 + np.exp(-(found[0] + signs @ found[1:])))
    print(
        json.dumps(
            {
                "samples": len(overlaps),
                "mean_J": round(float(overlaps.mean()), 3),
                "bias": round(float(found[0]), 3),
                "weights": [round(float(value), 3) for value in found[1:]],
                "typical": [round(float(value), 3) for value in signs.mean(0)],
                "spearman": round(float(spearmanr(trust, overlaps)[0]), 3),
                "mean_error": round(float(np.abs(trust - overlaps).mean()), 3),
            }
        )
    )


def test(folder: Path, videos: list[str], *, encoder: str, short_side: int, save: Path | None) -> None:
    """Prints how well confidence ranks true J, for each video and all together."""
    everything, tracks, frames = {}, [], []
    for video in videos:
        signs, overlaps, places = samples(
            folder / "JPEGImages" / "480p" / video,
            folder / "Annotations" / "480p" / video,
            encoder=encoder,
            short_side=short_side,
        )
        everything[video] = np.column_stack((signs, overlaps))
        print(json.dumps({"video": video, **measures(signs, overlaps)}), flush=True)
        tracks += [(video, key) for _, key in places]
        frames += [frame for frame, _ in places]
    if save is not None:
        np.savez(save, **everything)
    together = np.concatenate(list(everything.values()))
    signs, overlaps = together[:, :-1], together[:, -1]
    seen = ~np.isnan(signs).any(axis=1)
    alone = {
        name: round(float(spearmanr(signs[seen, place], overlaps[seen])[0]), 3) for place, name in enumerate(SIGNS)
    }
    print(json.dumps({"video": "all", "encoder": encoder, **measures(signs, overlaps), "signs_alone": alone}))
    print(json.dumps({"video": "all", **episodes(signs, overlaps, tracks, frames)}))


def measures(signs: NDArray[np.float32], overlaps: NDArray[np.float32]) -> dict[str, float | None]:
    """Rank correlation, calibration error, failures and how many of them a review of the lowest tenth catches."""
    trust = np.nan_to_num(confidence(torch.from_numpy(signs)).numpy(), nan=0.0)
    failed = overlaps < 0.5
    reviewed = np.argsort(trust, kind="stable")[: -(-len(trust) // 10)]
    failures = int(failed.sum())
    return {
        "samples": len(overlaps),
        "mean_J": round(float(overlaps.mean()), 3),
        "mean_confidence": round(float(trust.mean()), 3),
        "mean_error": round(float(np.abs(trust - overlaps).mean()), 3),
        "spearman": round(float(spearmanr(trust, overlaps)[0]), 3),
        "failures": failures,
        "caught_in_lowest_tenth": round(float(failed[reviewed].sum()) / failures, 3) if failures else None,
        "caught_by_perfect_ranking": round(min(1.0, len(reviewed) / failures), 3) if failures else None,
        "failures_among_reviewed": round(float(failed[reviewed].mean()), 3),
    }


def episodes(
    signs: NDArray[np.float32], overlaps: NDArray[np.float32], tracks: list[tuple[str, int]], frames: list[int]
) -> dict[str, float]:
    """Runs of failing frames, and how many of them the spread-out list of the lowest confidences touches.

    Args:
        signs: Of each object and frame.
        overlaps: True J of each.
        tracks: Video and object of each.
        frames: Frame of each, rising by one within a track.
    """
    trust = np.nan_to_num(confidence(torch.from_numpy(signs)).numpy(), nan=0.0)
    numbers = {track: number for number, track in enumerate(sorted(set(tracks)))}
    keys = [numbers[track] for track in tracks]
    doubtful = [(float(value), frame, key, "") for value, frame, key in zip(trust, frames, keys, strict=True)]
    kept = spread_out(doubtful, -(-len(doubtful) // REVIEWED_ONE_IN))
    listed = {"listed": {(key, frame) for _, frame, key, _ in kept}}
    listed["every_tenth"] = {(key, frame) for key, frame in zip(keys, frames, strict=True) if frame % 10 == 5}
    runs: list[list[tuple[int, int]]] = []
    for place in sorted((key, frame) for key, frame, j in zip(keys, frames, overlaps, strict=True) if j < 0.5):
        if not runs or runs[-1][-1] != (place[0], place[1] - 1):
            runs.append([])
        runs[-1].append(place)
    found: dict[str, float] = {"episodes": len(runs)}
    for name, places in listed.items():
        hit = [run for run in runs if places & set(run)]
        found |= {
            f"episodes_{name}": len(hit),
            f"failures_in_episodes_{name}": round(sum(map(len, hit)) / max(1, sum(map(len, runs))), 3),
        }
    return found


def main() -> None:
    """Parses the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fit", "test"))
    parser.add_argument("folder", type=Path, nargs="?", help="DAVIS, as it is unpacked")
    parser.add_argument("--videos", help="all of the folder where not given")
    parser.add_argument("--encoder", default="lab")
    parser.add_argument("--short-side", type=int, default=480)
    parser.add_argument("--save", type=Path, help="file for signs and true J of each video, as NumPy arrays")
    parser.add_argument("--num-videos", type=int, default=40)
    options = parser.parse_args()
    if options.what == "fit":
        fit(options.num_videos)
    else:
        found = sorted(folder.name for folder in (options.folder / "JPEGImages" / "480p").iterdir())
        videos = options.videos.split(",") if options.videos else found
        test(options.folder, videos, encoder=options.encoder, short_side=options.short_side, save=options.save)


if __name__ == "__main__":
    main()
