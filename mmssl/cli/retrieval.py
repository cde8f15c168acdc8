"""`mmssl embed`, `index`, `search` and `evaluate`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mmssl.evaluation.report_row import ReportRow

ENCODER_HELP = (
    "`default` (trained, comes with the package), a checkpoint or the folder of a train stage, `timm:NAME[:stride=8][@FILE]`, "
    "`open_clip:MODEL:TAG_OR_FILE`, `lab`, `pixels`, `mfcc`, `log_mel`, `random:` and one of these, or `sum:0.7*lab+0.3*ENCODER`."
)

Encoder = Annotated[str, typer.Argument(help=ENCODER_HELP, show_default=False)]
ManifestFile = Annotated[Path, typer.Argument(metavar="MANIFEST", help="JSONL or Parquet.", show_default=False)]
NumFrames = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Frames of each clip, 8 where not given, 1 for images; or windows of sound, 1 where not given.",
        show_default=False,
    ),
]
Size = Annotated[int, typer.Option(min=1, help="Side in pixels of the square that frames are cropped to.")]
Seconds = Annotated[float, typer.Option(min=0.01, help="Length of a window, for an encoder of sound.")]
Sampler = Annotated[str, typer.Option(help="Which frames make a clip; see `mmssl list samplers`.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes for decoding; changes nothing but the time.")]


def embed(
    encoder: Encoder,
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST",
            help="JSONL or Parquet; or a `.txt` with a sentence a line, for an encoder that knows text.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for clips and embeddings.")],
    num_frames: NumFrames = None,
    size: Size = 128,
    seconds: Seconds = 1.28,
    sampler: Sampler = "uniform",
    workers: Workers = 2,
) -> None:
    """Embed the clips of a manifest; print the folder, which `mmssl index` takes next.

    Examples:
    - `mmssl embed runs/demo/contrast videos.jsonl -o found/`

    - `mmssl embed timm:resnet18 images.jsonl -o found/ --num-frames 1 --size 224`

    - `mmssl embed runs/cpc/cpc recordings.jsonl -o found/ --seconds 2`
    """
    from mmssl.stages.quick_embed import ClipForm, embed_manifest, embed_sentences

    if manifest.suffix == ".txt":
        embed_sentences(encoder, manifest, out)
        print(out)
        return
    form = ClipForm(num_frames=num_frames, size=size, seconds=seconds, sampler=sampler)
    embed_manifest(encoder, manifest, out, form=form, workers=workers)
    print(out)


def index(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `mmssl embed` wrote.", show_default=False)],
    kind: Annotated[
        Literal["auto", "flat", "hnsw", "ivf", "ivf_pq"],
        typer.Option(
            help="`flat` compares with all embeddings; `hnsw` follows a graph; `ivf` looks into the nearest cells; `ivf_pq` "
            "does so with compressed embeddings; `auto` takes the second from 50,000 embeddings on, the third from a million, "
            "the fourth from ten million."
        ),
    ] = "auto",
    target_recall: Annotated[
        float,
        typer.Option(
            min=0.01, max=0.9999, help="Share of the true neighbors that a search is to find, where it is not exact."
        ),
    ] = 0.95,
    recall_at: Annotated[int, typer.Option(min=1, help="Neighbors that this is measured on.")] = 10,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="What `mmssl embed` wrote of queries of the kind that will be looked up, such as sentences for images.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make an index of embeddings, with a page of nearest neighbours; print the page's path.

    An index that is not exact is tuned: rows that it does not hold yet are looked up in it, and the least effort is kept that
    finds the share of their true neighbors that `--target-recall` asks for. What is reached on further such rows stands in the
    page and, with the curve of recall over time, in `recall.json` beside the index; where the target cannot be met, both say so.
    With `--queries`, these are looked up in the place of held-out rows, half of them to tune and half to measure.

    Examples:
    - `mmssl index found/`

    - `mmssl index found/ --kind hnsw --target-recall 0.99`

    - `mmssl embed runs/clip/pairs sentences.txt -o asked/ && mmssl index found/ --kind hnsw --queries asked/`
    """
    from mmssl.stages.quick import index_folder

    print(index_folder(folder, queries=queries, kind=kind, target_recall=target_recall, recall_at=recall_at))


def search(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder with an index, or a run's folder.", show_default=False)
    ],
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY_FILE_OR_TEXT",
            help="An image, a video or a recording; or a sentence, where the index was made with an encoder that knows text.",
            show_default=False,
        ),
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="How many neighbours.")] = 10,
    encoder: Annotated[
        str | None, typer.Option(help="The encoder that made the index, where it has moved.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print the nearest clips of an image, a video, a recording or a sentence, best first: cosine similarity and id.

    What is no file, and bears no suffix of one, is a sentence.

    Examples:
    - `mmssl search found/ query.jpg`

    - `mmssl search found/ "a dog on a beach"`

    - `mmssl search runs/demo/index query.mp4 -k 5 --json`
    """
    from mmssl.data.manifest import media_type_of
    from mmssl.stages.quick import search_folder

    is_file = Path(query).exists() or media_type_of(query) is not None
    for name, score in search_folder(folder, Path(query) if is_file else query, k=k, encoder=encoder):
        print(json.dumps({"id": name, "score": score}, ensure_ascii=False) if as_json else f"{score:.4f}  {name}")


def duplicates(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="A folder of images and videos, or what `mmssl embed` wrote.", show_default=False
        ),
    ],
    threshold: Annotated[
        float | None,
        typer.Option(
            min=-1,
            max=1,
            help="Cosine similarity of near-duplicates; calibrated on the data if left out.",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="For a folder of files, in place of `default`.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="For a folder of files: where results go, in place of the cache.", show_default=False
        ),
    ] = None,
    workers: Workers = 2,
) -> None:
    """Find what is there twice: files with the same bytes, and clips that show nearly the same; print the tables and the page.

    The threshold is what 95 % of copies of the data's own clips reach, made smaller, trimmed, darker and of less contrast; and
    not below what, by the spread of random pairs, only one clip in a hundred reaches with a different one. In the tables, `kind`
    is `first` for the first of a group, `exact` where the bytes of its file are those of `copy_of`, and `near` else. Clips of one
    video are not compared with each other. Files of a folder are embedded first, which is kept until one of them changes.

    Examples:
    - `mmssl duplicates photos/`

    - `mmssl embed default photos.jsonl -o found/ --num-frames 1 && mmssl duplicates found/`
    """
    from mmssl.stages.quick import find_duplicates

    report, tables = find_duplicates(folder, threshold=threshold, encoder=encoder, out=out, workers=workers)
    for file in (*tables, report):
        print(file)


def evaluate(
    encoder: Encoder,
    manifest: ManifestFile,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the evaluation.", show_default=False),
    ] = None,
    evaluation: Annotated[
        str, typer.Option("--evaluation", help="Which protocol; see `mmssl list evaluations`.", show_default=False)
    ] = ...,  # type: ignore[assignment]
    as_json: Annotated[bool, typer.Option("--json", help="One report row a line and nothing else.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Keep clips, pictures and the report in this folder.")
    ] = None,
    num_frames: NumFrames = None,
    size: Size = 128,
    seconds: Seconds = 1.28,
    sampler: Sampler = "uniform",
    workers: Workers = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of sampling and of randomly initialized baselines.")] = 0,
    baselines: Annotated[bool, typer.Option(help="Score the evaluation's baseline encoders too.")] = True,
) -> None:
    """Score an encoder on a manifest by one protocol, with baselines beside.

    Examples:
    - `mmssl evaluate runs/demo/contrast test.jsonl --evaluation knn ks='[20]'`

    - `mmssl evaluate lab davis.jsonl --evaluation propagation preset=dino --json`
    """
    from mmssl.stages.quick import evaluate_manifest
    from mmssl.stages.quick_embed import ClipForm

    rows = evaluate_manifest(
        encoder,
        manifest,
        evaluation,
        settings or (),
        out=out,
        form=ClipForm(num_frames=num_frames, size=size, seconds=seconds, sampler=sampler),
        workers=workers,
        seed=seed,
        baselines=baselines,
    )
    if as_json:
        for row in rows:
            print(json.dumps(row.to_json(), ensure_ascii=False))
    else:
        print_scores(rows)


def print_scores(rows: Sequence["ReportRow"]) -> None:
    """Rows as a table on stdout; their protocols, those of baselines by name, on stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table("encoder", "metric", "value", "items", "split", "seed")
    for row in rows:
        value = "-" if row.value is None else f"{row.value:.4f}"
        name = f"{row.encoder} (baseline)" if row.baseline else row.encoder
        table.add_row(name, row.metric, value, str(row.num_items), row.split, str(row.seed))
    Console().print(table)
    scored = {row.protocol for row in rows if not row.baseline}
    lines = (row.protocol if row.protocol in scored else f"{row.encoder}: {row.protocol}" for row in rows)
    for line in dict.fromkeys(lines):
        print(line, file=sys.stderr)
