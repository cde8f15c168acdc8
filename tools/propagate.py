"""Carries a mask through a video: `python tools/propagate.py VIDEO --labels FILE [--encoder E] [--preset P] -o DIR`."""

import argparse
import sys
from pathlib import Path

from mmssl.errors import MmsslError
from mmssl.models.loading import load_encoder
from mmssl.propagation.video import propagate_video


def main() -> int:
    """Parses the arguments, propagates and prints the folder with the results."""
    parser = argparse.ArgumentParser(description="Carry the mask of a video's first frame through the whole video.")
    parser.add_argument("video", type=Path, help="a video file, or a folder of numbered images")
    parser.add_argument("--labels", type=Path, required=True, help="indexed PNG for the first frame: 0 is background")
    parser.add_argument("--encoder", default="lab", help="a checkpoint folder, timm:NAME[@FILE], lab or pixels")
    parser.add_argument("--preset", default="dino", help="protocol: dino, crw, vfs, dinov3")
    parser.add_argument("--out", "-o", type=Path, required=True, help="folder for masks, overlay and summary")
    options = parser.parse_args()
    try:
        result = propagate_video(
            options.video,
            options.labels,
            encoder=load_encoder(options.encoder).encoder,
            encoder_name=options.encoder,
            out=options.out,
            preset=options.preset,
        )
    except MmsslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(result.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
