"""`mmssl propagate`."""

from pathlib import Path
from typing import Annotated

import typer

from mmssl.cli.retrieval import ENCODER_HELP


def propagate(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of numbered images.", show_default=False)],
    labels: Annotated[
        Path, typer.Option("--labels", help="Indexed PNG for the first frame: 0 is background.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for masks, overlay and summary.")],
    encoder: Annotated[str, typer.Option(help=ENCODER_HELP)] = "lab",
    preset: Annotated[str, typer.Option(help="Protocol; see `mmssl list presets`.")] = "dino",
) -> None:
    """Carry the mask of a video's first frame through the whole video; print the folder with the results.

    Masks land in `DIR/masks/00000.png` ..., the overlay in `DIR/overlay.mp4`. Interrupted, the same command goes on.

    Examples:
    - `mmssl propagate dog.mp4 --labels dog_00000.png -o out/`

    - `mmssl propagate frames/ --labels first.png --encoder runs/demo/tracker --preset crw -o out/`
    """
    from mmssl.models.loading import load_encoder
    from mmssl.propagation.video import propagate_video

    loaded = load_encoder(encoder)
    result = propagate_video(video, labels, encoder=loaded.encoder, encoder_name=encoder, out=out, preset=preset)
    print(result.out)
