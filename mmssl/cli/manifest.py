"""`mmssl manifest build`, `check` and `convert`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Make and check manifests: one row a media file, JSONL or Parquet.")

SHOWN_FILES = 10
"""Of those that cannot be used, or not to their end; their rows name all."""

Out = Annotated[Path, typer.Option("--out", "-o", help="The manifest to write: `.jsonl` or `.parquet`.")]


@app.command(no_args_is_help=True)
def build(
    source: Annotated[Path, typer.Argument(help="A folder of media, or a manifest to probe.", show_default=False)],
    out: Out,
    workers: Annotated[int, typer.Option(min=1, help="Processes that probe files.")] = 2,
    probe: Annotated[bool, typer.Option(help="Read duration, size, rate and streams of each file.")] = True,
) -> None:
    """Make a manifest of a folder of media files, and probe each file.

    A file that cannot be read becomes a row with its reason, never a silent gap.

    Example:
    - `mmssl manifest build videos/ -o videos.jsonl`
    """
    from mmssl.data.building import build_manifest, unusable_parts

    manifest = build_manifest(source, out, workers=workers, probe=probe)
    found = list(unusable_parts(manifest.rows))
    for sentence in found[:SHOWN_FILES]:
        print(sentence, file=sys.stderr)
    more = f", {len(found) - SHOWN_FILES} of them not shown" if len(found) > SHOWN_FILES else ""
    print(f"{len(manifest.rows)} rows, {len(found)} rejected or cut off{more}", file=sys.stderr)
    print(out)


@app.command(no_args_is_help=True)
def check(
    file: Annotated[Path, typer.Argument(help="A manifest.", show_default=False)],
    read_data: Annotated[bool, typer.Option("--read-data", help="Open every media file too.")] = False,
) -> None:
    """Print every fault of a manifest with its line; exit with 2 where there is one.

    Example:
    - `mmssl manifest check videos.jsonl --read-data`
    """
    from mmssl.data.checking import check_manifest

    faults = check_manifest(file, read_data=read_data)
    for fault in faults:
        print(fault.text(file))
    print(f"{file}: {len(faults) or 'no'} fault{'' if len(faults) == 1 else 's'}", file=sys.stderr)
    if faults:
        raise typer.Exit(2)


@app.command(no_args_is_help=True)
def convert(
    source: Annotated[Path, typer.Argument(help="What you have.", show_default=False)],
    out: Out,
    form: Annotated[str, typer.Option(help="Its form; found out where not given.")] = "auto",
) -> None:
    """Turn what you have into a manifest: a folder, ImageFolder, CSV/TSV, JSONL, Kinetics list, NeMo, WebDataset tars.

    Example:
    - `mmssl manifest convert captions.csv -o captions.jsonl`
    """
    from mmssl.data.formats import convert_manifest

    convert_manifest(source, out, form=form)
    print(out)
