"""The evaluate stage: encoders before data by one protocol, with baselines beside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mmssl.config import Spec, normalized
from mmssl.data.dataset import ClipSource
from mmssl.data.manifest import read_manifest
from mmssl.evaluation import EVALUATION_CHOICE, NEEDS
from mmssl.evaluation.evaluate import evaluate as score
from mmssl.evaluation.evaluate import folder_name
from mmssl.report.section import Block, Images, Picture, Scores, Section, Video, write_section
from mmssl.stages.clips import dataset_name, of_splits, open_clips
from mmssl.stages.context import Input, Needs, RunContext
from mmssl.stages.decode import ManifestFile
from mmssl.stages.embed import EncoderReference, tables_of

PICTURES = (".png", ".jpg", ".gif")
SHOWN_FILES = 24


def evaluate(
    out: Path,
    context: RunContext,
    *,
    encoders: list[EncoderReference],
    evaluation: Annotated[Spec | str, EVALUATION_CHOICE, Needs(NEEDS)],
    clips: Annotated[Path, Input("decode")] | None = None,
    manifest: ManifestFile | None = None,
    embeddings: Annotated[Path, Input("embed")] | None = None,
    splits: list[str] | None = None,
    baselines: bool = True,
) -> None:
    """Scores encoders, and what stands beside them: chance, raw pixels, random weights.

    Args:
        out: Gets `rows.jsonl`, what the evaluation draws, and the section of the report.
        context: Facts of the run.
        encoders: References, such as `$tracker`, `timm:resnet18`, `lab`.
        evaluation: Which protocol, with its settings.
        clips: Folder of a decode stage, for evaluations that embed clips.
        manifest: For evaluations that read media files.
        embeddings: Folder of an embed stage, whose tables are used instead of embedding again.
        splits: Of the clips that the evaluation is given, and that are embedded for it; all where not given.
        baselines: Whether to score the evaluation's baselines too.
    """
    name = str(normalized(evaluation)["name"])
    read = read_manifest(manifest) if manifest is not None else None
    source: ClipSource | None = open_clips(clips) if clips is not None else None
    if source is not None and splits is not None:
        source = of_splits(source, splits)
    rows = score(
        encoders,
        evaluation,
        dataset=read.name if read is not None else dataset_name(clips) if clips is not None else "",
        manifest=read,
        clips=source,
        tables=list(tables_of(embeddings).values()) if embeddings is not None else [],
        run=context.run,
        recipe_digest=context.recipe_digest,
        seed=context.seed,
        out=out,
        baselines=baselines,
        label=context.label,
    )
    blocks: tuple[Block, ...] = (Scores(tuple(rows)), *_drawn(out, [row.encoder for row in rows]))
    write_section(out, Section(f"Evaluation: {name}", blocks))


def _drawn(out: Path, names: Sequence[str]) -> list[Block]:
    """Videos and pictures that the evaluation left in its folders, in the order of the encoders' names."""
    places = {folder: place for place, folder in enumerate(dict.fromkeys(map(folder_name, names)))}
    found = [file.relative_to(out) for file in out.rglob("*") if not file.name.startswith(".")]
    files = sorted(found, key=lambda file: (places.get(file.parts[0], len(places)), file))
    videos = [file for file in files if file.suffix == ".mp4"]
    pictures = [file for file in files if file.suffix in PICTURES and "masks" not in file.parts]
    blocks: list[Block] = [Video(str(file), _caption(file)) for file in videos[:SHOWN_FILES]]
    if pictures:
        shown = tuple(Picture(str(file), _caption(file)) for file in pictures[:SHOWN_FILES])
        blocks.append(Images(shown))
    return blocks


def _caption(file: Path) -> str:
    return " ".join(file.with_suffix("").parts)
