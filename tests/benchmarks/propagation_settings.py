"""Compares settings of label propagation on a few videos, to choose a preset there and report it elsewhere.

    python -m tests.benchmarks.propagation_settings ENCODER MANIFEST --videos breakdance,car-roundabout,dance-twirl \\
        --set top_k=10 --set temperature=0.05,radius=20 -o ROWS

Each `--set` is the preset `dino` with something else in it; `dino` as it is comes first. Without `--set` it is `GRID`, one
setting at a time. A frame is encoded once for each size.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.data.manifest import Manifest, ManifestRow, read_manifest
from mmssl.evaluation.evaluate import write_rows
from mmssl.evaluation.propagation import describe_preset
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.segmentation import score_sequence, statistics
from mmssl.evaluation.subject import Subject
from mmssl.functional.affinity import Window
from mmssl.media.image import read_index_png
from mmssl.models.encoder import Encoder
from mmssl.models.loading import load_encoder
from mmssl.propagation.masks import normalize_mask, objects_of
from mmssl.propagation.presets import DINO, Preset
from mmssl.propagation.video import propagate_video

GRID = (
    "previous_frames=3",
    "previous_frames=15",
    "radius=8",
    "radius=20",
    "radius=1000",
    "top_k=3",
    "top_k=10",
    "top_k=20",
    "temperature=0.03",
    "temperature=0.05",
    "temperature=0.07",
    "temperature=0.2",
    "short_side=360",
    "short_side=720",
)

PROTOCOL = (
    f"{describe_preset('dino', DINO, stride=16)}, but for what is named; first mask given; J and F without the first and last "
    "frame, mean over objects"
)


class Remembering(Encoder):
    """An encoder that keeps the features of each frame it has seen.

    Args:
        encoder: The encoder.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim, self.feature_dim, self.stride, self.input = (
            encoder.dim,
            encoder.feature_dim,
            encoder.stride,
            encoder.input,
        )
        self.known: dict[bytes, Tensor] = {}

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """As `Encoder.features`."""
        maps = []
        for image in images:
            key = hashlib.sha1(image.contiguous().numpy().tobytes()).digest()
            if key not in self.known:
                self.known[key] = self.encoder.features(image[None])[0].clone()
            maps.append(self.known[key])
        return torch.stack(maps)


def changed(setting: str) -> Preset:
    """The preset `dino` with `name=value,...` in it."""
    preset = DINO
    for part in filter(None, setting.split(",")):
        name, _, value = part.partition("=")
        if name == "radius":
            preset = replace(preset, window=Window(int(value)), first_window=Window(int(value)))
        elif name in ("previous_frames", "top_k", "short_side"):
            preset = replace(preset, **{name: int(value)})  # type: ignore[arg-type]
        elif name == "temperature":
            preset = replace(preset, temperature=float(value))
        else:
            raise SystemExit(f"{name!r} is no setting; previous_frames, radius, top_k, temperature, short_side are")
    return preset


def score(
    encoder: Encoder, reference: str, manifest: Manifest, row: ManifestRow, preset: Preset
) -> tuple[float, float]:
    """Mean J and F of a video, over its objects."""
    masks = manifest.path.parent / str(row.extra["masks"])
    first = masks / "00000.png"
    is_single = not objects_of(read_index_png(first))
    with tempfile.TemporaryDirectory() as out:
        result = propagate_video(
            manifest.resolve(row),
            first,
            encoder=encoder,
            encoder_name=reference,
            out=Path(out),
            preset=preset,
            batch_size=1,
            overlay=False,
            plain=True,
        )
        frames = [place for place in range(1, result.num_frames - 1) if (masks / f"{place:05}.png").is_file()]
        scores = score_sequence(
            result.objects,
            (
                (
                    read_index_png(result.mask_file(place)),
                    normalize_mask(read_index_png(masks / f"{place:05}.png"), is_single=is_single),
                )
                for place in frames
            ),
        )
    region, boundary = (
        [statistics(values[key]).mean for key in result.objects] for values in (scores.region, scores.boundary)
    )
    return sum(region) / len(region), sum(boundary) / len(boundary)


def compare(reference: str, manifest: Manifest, videos: Sequence[str], settings: Sequence[str]) -> list[ReportRow]:
    """Rows of J&F, J and F for each setting; the settings stand where the encoder's name does."""
    loaded = load_encoder(reference)
    encoder = Remembering(loaded.encoder)
    rows = {row.id: row for row in manifest.rows}
    report = []
    order = sorted(settings, key=lambda setting: changed(setting).short_side)
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for place, setting in enumerate(order):
        preset = changed(setting)
        if place and preset.short_side != changed(order[place - 1]).short_side:
            encoder.known.clear()
        found[setting] = {key: score(encoder, reference, manifest, rows[key], preset) for key in videos}
        print(
            setting or "dino",
            {key: [round(each, 4) for each in pair] for key, pair in found[setting].items()},
            flush=True,
        )
    for setting in settings:
        subject = Subject(
            loaded, f"{','.join(videos)} with {reference}", name=setting or "dino", run="propagation_settings"
        )
        values = {
            "J&F": {key: (region + boundary) / 2 for key, (region, boundary) in found[setting].items()},
            "J": {key: region for key, (region, _) in found[setting].items()},
            "F": {key: boundary for key, (_, boundary) in found[setting].items()},
        }
        report += [
            subject.row(
                "propagation",
                metric,
                sum(sequences.values()) / len(sequences),
                split="val",
                num_items=len(sequences),
                protocol=PROTOCOL,
                detail={"sequences": sequences, "failed": {}},
            )
            for metric, sequences in values.items()
        ]
    return report


def main() -> None:
    """Parses the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="reference of an encoder")
    parser.add_argument("manifest", type=Path, help="videos with masks")
    parser.add_argument("--videos", required=True, help="rows of the manifest to take, by id")
    parser.add_argument("--set", action="append", dest="settings", help="name=value,...")
    parser.add_argument("-o", "--out", type=Path, required=True, help="rows to write")
    given = parser.parse_args()
    settings = ["", *(given.settings or GRID)]
    write_rows(given.out, compare(given.encoder, read_manifest(given.manifest), given.videos.split(","), settings))


if __name__ == "__main__":
    main()
