"""`mmssl export`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    encoder: Annotated[
        str,
        typer.Argument(
            help="A checkpoint or the folder of a train stage, trained with the encoder `open_clip`; or "
            "`open_clip:MODEL:TAG_OR_FILE`.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; new, empty or an earlier export.")],
) -> None:
    """Write a model of images and text as open_clip opens it: `open_clip_config.json` and safetensors; print the folder.

    In Python, `open_clip.create_model_and_transforms("local-dir:FOLDER")` gives the model and how it wants its images; here,
    `open_clip:FOLDER` and `mmssl zeroshot --model FOLDER` take it.

    Example:
    - `mmssl export runs/clip/pairs -o clip-of-mine/`
    """
    from mmssl.models.loading import load_encoder
    from mmssl.models.open_clip_export import export_open_clip

    export_open_clip(load_encoder(encoder), out)
    print(out)
