"""`mmssl propagate`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from mmssl.cli.retrieval import ENCODER_HELP


def propagate(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of numbered images.", show_default=False)],
    labels: Annotated[
        Path,
        typer.Option(
            "--labels",
            help="What you labeled, on one frame or several: indexed PNG (0 is background) or a folder of them, COCO JSON, "
            "CVAT XML, Label Studio JSON, DeepLabCut CSV, SLEAP .slp, or a CSV of points "
            "(frame,time_seconds,object,point,x,y,confidence).",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    encoder: Annotated[str, typer.Option(help=ENCODER_HELP)] = "default",
    preset: Annotated[str, typer.Option(help="Protocol; see `mmssl list presets`.")] = "default",
    labels_format: Annotated[
        str | None,
        typer.Option(
            help="Format of the labels, where it cannot be told from the file: indexed_png, coco, cvat, label_studio, "
            "deeplabcut, sleap, points_csv."
        ),
    ] = None,
    frame: Annotated[
        int | None, typer.Option(help="Frame that a single indexed PNG labels, counted from 0.", show_default="0")
    ] = None,
    save_as: Annotated[
        list[str] | None,
        typer.Option(
            help="Also write the results as coco, cvat, label_studio, deeplabcut, sleap or points_csv; may be repeated."
        ),
    ] = None,
    soft_masks: Annotated[bool, typer.Option("--soft-masks", help="Also write soft masks as 16-bit PNG.")] = False,
    stop_at_cuts: Annotated[
        bool, typer.Option(help="Find scene cuts and carry nothing across them; label each shot.")
    ] = True,
    points: Annotated[
        Literal["features", "pixels", "rigid"],
        typer.Option(
            help="How joints and points are followed: by features alone; by their patches of pixels, too, which small motion "
            "needs; rigid: also with the joints of each object held in place against each other, for bodies that hardly "
            "bend, as insects from above."
        ),
    ] = "pixels",
    overlay: Annotated[bool, typer.Option(help="Write overlay.mp4 and contact_sheet.png.")] = True,
    features: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps features in half precision: the next run on this video with other labels or another "
            "preset of the same resolution reads them instead of encoding. A frame of 832 x 480 pixels takes 1.2 MB for `lab`, "
            "2.0 MB for `default`. Results are the same up to half precision.",
            show_default=False,
        ),
    ] = None,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="First train the encoder on the frames of this video, without labels, for about 17 seconds of one core's time; "
            "kept in `adapted/` of the results' folder.",
        ),
    ] = False,
) -> None:
    """Carry labels on one or more frames to every frame of a video; print the folder with the results.

    Masks, boxes, keypoints and points go together. Labels are carried forwards and backwards from every labeled frame and
    fused in between. Look at `review.csv`, label one more frame where it is wrong, and run the same command again: only the
    frames between the neighboring labeled frames are done anew. Interrupted, the same command goes on where it stopped.

    It works at once with the encoder that comes along; --adapt trains that on the video first. --encoder takes others: a
    checkpoint of yours, timm:NAME, or lab (colors of patches, no weights). `mmssl list presets` shows the protocols;
    `default` is the one to begin with.

    Results: `masks/00000.png` ..., `objects.csv` (area, confidence, lost), `frames.csv` (exact times), `review.csv` (what to
    look at again), `overlay.mp4`, `contact_sheet.png`, `summary.json`, `logs/timing.json` (where the time went), and
    `labels.FORMAT` for each `--save-as`.

    Examples:
    - `mmssl propagate dog.mp4 --labels dog_00000.png -o out/`

    - `mmssl propagate dog.mp4 --labels masks/ -o out/` where `masks/` holds `00000.png`, `00120.png`

    - `mmssl propagate mouse.mp4 --labels mouse.slp --save-as sleap --save-as points_csv -o out/`

    - `mmssl propagate frames/ --labels first.png --encoder runs/demo/tracker --preset crw -o out/`

    - `mmssl propagate dog.mp4 --labels masks/ --encoder timm:resnet50:stride=8 --features cache/ -o out/`

    - `mmssl propagate dog.mp4 --labels dog_00000.png --adapt -o out/`
    """
    from mmssl.models.loading import load_encoder
    from mmssl.propagation.video import find_preset, propagate_video

    loaded = load_encoder(encoder)
    if adapt:
        from mmssl.propagation.given_labels import check_given
        from mmssl.training.adaptation import adapt_encoder

        find_preset(preset)
        check_given(video, labels, label_format=labels_format, label_frame=frame, save_as=tuple(save_as or ()))
        loaded = adapt_encoder(video, loaded, out=out / "adapted")
    result = propagate_video(
        video,
        labels,
        encoder=loaded.encoder,
        encoder_name=loaded.reference,
        encoder_digest=loaded.digest,
        out=out,
        preset=preset,
        label_format=labels_format,
        label_frame=frame,
        save_as=tuple(save_as or ()),
        soft_masks=soft_masks,
        stop_at_cuts=stop_at_cuts,
        overlay=overlay,
        features=features,
        points=points,
    )
    print("done before" if result.cost is None else result.cost, file=sys.stderr)
    print(result.out)
