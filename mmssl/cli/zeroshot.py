"""`mmssl zeroshot`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUTS...",
        help="Images, videos, folders, glob patterns in quotes, manifests; `-` for a list of paths on standard input.",
        show_default=False,
    ),
]


def zeroshot(
    inputs: Inputs,
    classes: Annotated[
        Path,
        typer.Option(
            "--classes",
            help="Text file with a name a line, CSV (name, synonyms, parent, prompt; several with | between), or a folder "
            "whose folders are named after the classes.",
            show_default=False,
        ),
    ],
    out: Annotated[
        list[Path],
        typer.Option(
            "--out", "-o", help="File to write: .jsonl, .csv, .parquet, or .html for a gallery; may be repeated."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="Name in open_clip, a folder with open_clip_config.json, `open_clip:MODEL:TAG_OR_FILE`, or a checkpoint trained "
            "here."
        ),
    ] = "ViT-B-32",
    pretrained: Annotated[
        str | None,
        typer.Option(
            help="Tag or file of the model's weights, where --model is a name in open_clip; laion2b_s34b_b79k for the default "
            "model.",
            show_default=False,
        ),
    ] = None,
    templates: Annotated[
        str,
        typer.Option(
            help="File with a template a line, one template such as 'a photo of a {}', or a set: plain, names, imagenet (80), "
            "cifar (18), actions (28)."
        ),
    ] = "plain",
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="Classes that an answer names.")] = 5,
    num_frames: Annotated[int, typer.Option(min=1, help="Frames of a video, or of each of its segments.")] = 8,
    segment_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.04, help="Cut videos into segments of this length, with an answer each.", show_default=False
        ),
    ] = None,
    background: Annotated[
        list[str] | None,
        typer.Option(
            help="Images that show none of the classes, without labels; they calibrate the answer 'none of these'. May be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    false_accepts: Annotated[
        float,
        typer.Option(help="Share of images such as those of --background that may be given a class all the same."),
    ] = 0.05,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            help="Labelled images, in folders that bear the names of classes or in a manifest, none of them among INPUTS: what a "
            "linear probe learns from them on the same embeddings stands beside the scores. May be repeated.",
            show_default=False,
        ),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps the embeddings of the images, so that other classes or templates cost next to nothing.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Frames in one pass of the model.")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Processes for decoding; changes nothing but the time.")] = 2,
    device: Annotated[str, typer.Option(help="`auto` (CUDA where there is one), `cpu` or `cuda`.")] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(
            help="Of the image tower's products: `bfloat16` is about 1.5 times as fast where the processor has instructions for "
            "it, and moves an embedding by less than 0.01; `float32`; `auto` takes bfloat16 where it is fast."
        ),
    ] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of random weights, where --model asks for them.")] = 0,
) -> None:
    """Classify your own images and videos by the words of their classes; print the files with the answers.

    A file that cannot be read is a row with its reason. Where the class of an item is known, from a manifest's label or from a
    folder that bears its name, the answers are scored: FILE.scores.json holds acc1, acc5, mean per-class recall, the confusion
    matrix and the calibration error. Interrupted, the same command goes on where it stopped.

    Weights are those that are named, never random ones: where they are not on this machine and no hub can be reached, the
    message says which file to bring and where it was looked for.

    Examples:
    - `mmssl zeroshot photos/ --classes animals.txt -o found.jsonl -o found.html`

    - `mmssl zeroshot 'clips/*.mp4' --classes actions.csv --templates actions --segment-seconds 5 -o found.csv`

    - `mmssl zeroshot photos/ --classes pets.txt --model ViT-B-16 --pretrained weights.safetensors -o found.parquet`

    - `mmssl zeroshot photos/ --classes pets.txt --background street/ -o found.html`

    - `mmssl zeroshot test/ --classes classes.txt --probe train/ -o found.html` also says what labels would give

    - `find photos | mmssl zeroshot - --classes animals.txt --model runs/mine/pairs -o found.jsonl`
    """
    from mmssl.media.worker_pool import start_early
    from mmssl.zeroshot.pictures import read_pictures

    start_early(read_pictures)
    import torch

    from mmssl.models.loading import load_encoder
    from mmssl.models.open_clip_weights import named_model
    from mmssl.stages.zero_shot import classify
    from mmssl.zeroshot.classes import read_classes
    from mmssl.zeroshot.embedding_units import Looking
    from mmssl.zeroshot.templates import read_templates

    class_list, template_list = read_classes(classes), read_templates(templates)
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    result = classify(
        inputs,
        class_list,
        template_list,
        load_encoder(named_model(model, pretrained), seed=seed),
        out,
        looking=Looking(num_frames, segment_seconds, batch_size, workers, chosen, precision),
        top=top,
        background=background or (),
        false_accepts=false_accepts,
        learnt=probe or (),
        embeddings=embeddings,
        title=classes.stem,
        command=shlex.join(
            ["mmssl", "zeroshot", *sys.argv[sys.argv.index("zeroshot") + 1 if "zeroshot" in sys.argv else 1 :]]
        ),
    )
    print(f"{result.num_items} items, {result.num_rejected} of them could not be read", file=sys.stderr)
    if result.threshold is not None:
        print(f"none of these: below a similarity of {result.threshold:.4f}", file=sys.stderr)
    if result.scores is not None:
        acc5 = "null" if result.scores.acc5 is None else f"{result.scores.acc5:.4f}"
        print(
            f"scored {result.scores.num_items} with a known class: acc1 {result.scores.acc1:.4f} (chance "
            f"{result.scores.chance:.4f}), acc5 {acc5}, mean per-class recall {result.scores.mean_per_class_recall:.4f}, "
            f"calibration error {result.scores.ece:.4f}",
            file=sys.stderr,
        )
    if result.probe is not None:
        print(
            f"a linear probe on {result.probe.num_train} labelled items: acc1 {result.probe.acc1:.4f}, mean per-class recall "
            f"{result.probe.mean_per_class_recall:.4f}",
            file=sys.stderr,
        )
    for file in result.out:
        print(file)
