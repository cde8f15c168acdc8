"""Carries labels through a video: `python tools/propagate.py VIDEO --labels FILE [--encoder E] [--preset P] -o DIR`."""

import argparse
import sys
from pathlib import Path

from mmssl.errors import MmsslError
from mmssl.memory import keep_freed_memory
from mmssl.models.loading import load_encoder
from mmssl.propagation.video import propagate_video
from mmssl.training.adaptation import adapt_encoder


def main() -> int:
    """Parses the arguments, propagates and prints the folder with the results."""
    parser = argparse.ArgumentParser(description="Carry labels on one or more frames to every frame of a video.")
    parser.add_argument("video", type=Path, help="a video file, or a folder of numbered images")
    parser.add_argument(
        "--labels",
        type=Path,
        required=True,
        help="indexed PNG (0 is background) or a folder of them, COCO, CVAT, Label Studio, DeepLabCut, SLEAP, points CSV",
    )
    parser.add_argument(
        "--encoder", default="default", help="default, a checkpoint folder, timm:NAME[@FILE], lab or pixels"
    )
    parser.add_argument("--preset", default="default", help="protocol; `mmssl list presets` shows them")
    parser.add_argument("--labels-format", help="format of the labels, where the file does not tell")
    parser.add_argument("--frame", type=int, help="frame that a single indexed PNG labels, counted from 0")
    parser.add_argument("--save-as", action="append", default=[], help="format to write results in; may be repeated")
    parser.add_argument("--soft-masks", action="store_true", help="also write soft masks as 16-bit PNG")
    parser.add_argument("--no-stop-at-cuts", action="store_true", help="carry labels across scene cuts")
    parser.add_argument("--no-overlay", action="store_true", help="write no overlay.mp4 and no contact_sheet.png")
    parser.add_argument("--out", "-o", type=Path, required=True, help="folder for the results")
    parser.add_argument("--features", type=Path, help="folder that keeps features for the next run on this video")
    parser.add_argument("--adapt", action="store_true", help="first train the encoder on this video, without labels")
    options = parser.parse_args()
    keep_freed_memory()
    try:
        loaded = load_encoder(options.encoder)
        if options.adapt:
            loaded = adapt_encoder(options.video, loaded, out=options.out / "adapted")
        result = propagate_video(
            options.video,
            options.labels,
            encoder=loaded.encoder,
            encoder_name=loaded.reference,
            encoder_digest=loaded.digest,
            out=options.out,
            preset=options.preset,
            label_format=options.labels_format,
            label_frame=options.frame,
            save_as=options.save_as,
            soft_masks=options.soft_masks,
            stop_at_cuts=not options.no_stop_at_cuts,
            overlay=not options.no_overlay,
            features=options.features,
        )
    except MmsslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("done before" if result.cost is None else result.cost, file=sys.stderr)
    print(result.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
