"""Runs without a recipe file: what the single commands do, by the same stages."""

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
import yaml

from mmssl.config import Recipe, build
from mmssl.data.decoding import decode_row
from mmssl.data.manifest import ManifestRow
from mmssl.data.sound import Sound
from mmssl.errors import ConfigError, StageError
from mmssl.evaluation import NEEDS
from mmssl.evaluation.evaluate import ROWS, read_rows
from mmssl.evaluation.report_row import ReportRow
from mmssl.media.probe import probe
from mmssl.media.sampling import SAMPLER_CHOICE
from mmssl.models.encoder import encoder_input
from mmssl.models.loading import LoadedEncoder, load_encoder
from mmssl.retrieval.index import RECORD, Index
from mmssl.stages import STAGES
from mmssl.stages.graph import complete_settings, read_graph
from mmssl.stages.quick_embed import CLIP_FORM, ClipForm, embed_files
from mmssl.stages.run import RUN_FILE, read_run, run
from mmssl.zeroshot.class_embeddings import image_text_encoder


def index_folder(folder: Path, *, queries: Path | None = None, **settings: Any) -> Path:
    """Adds an index to what `embed_manifest` made; gives the path of the report.

    Args:
        folder: Of a run.
        queries: What `embed_manifest` or `embed_sentences` made of queries to tune the index by.
        settings: Of the index stage, in place of those that it has.

    Raises:
        StageError: If the folder holds no run with embeddings.
    """
    values, embedded = _embedded_run(folder)
    entry = {"embeddings": f"${embedded}", "clips": values["stages"][embedded]["clips"]}
    if queries is not None:
        place = queries / _embedded_run(queries)[1] if (queries / RUN_FILE).is_file() else queries
        settings["queries"] = str(place.resolve())
    values["stages"].setdefault("index", entry).update(settings)
    return run(Recipe(values), out=folder)


def find_duplicates(
    folder: Path,
    *,
    threshold: float | None = None,
    encoder: str | None = None,
    out: Path | None = None,
    workers: int = 2,
) -> tuple[Path, list[Path]]:
    """Adds groups of duplicates to what `embed_manifest` made; gives the path of the report, and those of the tables.

    Args:
        folder: Of a run; or of images and videos, which are embedded first.
        threshold: Cosine similarity; calibrated on the data where None.
        encoder: Reference, for a folder of files; `default` where None.
        out: Of the run, for a folder of files; in the user's cache where None.
        workers: Processes for decoding.

    Raises:
        StageError: If the folder holds a run without embeddings, or a run and an encoder or `out` are given.
        ManifestError: If it holds no image and no video.
    """
    if (folder / RUN_FILE).is_file():
        if encoder is not None or out is not None:
            raise StageError(f"{folder}: is a run, which has its encoder and its place; leave encoder and out away")
    else:
        folder = embed_files(folder, encoder or "default", out, workers=workers)
    values, embedded = _embedded_run(folder)
    stage = values["stages"][embedded]
    entry = {"embeddings": f"${embedded}", "clips": stage["clips"], "encoders": stage["encoders"]}
    values["stages"].setdefault("duplicates", entry)["threshold"] = threshold
    report = run(Recipe(values), out=folder)
    return report, sorted((folder / "duplicates").glob("*/duplicates.*"))


def evaluate_manifest(
    encoder: str,
    manifest: Path,
    evaluation: str,
    settings: Collection[str] = (),
    *,
    out: Path | None = None,
    form: ClipForm = CLIP_FORM,
    workers: int = 2,
    seed: int = 0,
    baselines: bool = True,
) -> list[ReportRow]:
    """Scores an encoder on a manifest, and the evaluation's baselines.

    Args:
        encoder: Reference.
        manifest: JSONL or Parquet.
        evaluation: Name of an evaluation.
        settings: `key=value` each, for the evaluation.
        out: The run's folder; a temporary one where None.
        form: Of the clips, for evaluations that embed them.
        workers: Processes for decoding.
        seed: Of sampling and of randomly initialized baselines.
        baselines: Whether to score the evaluation's baselines too; what it computes itself, such as chance, stays.
    """
    protocol = {"name": evaluation, **_settings(settings)}
    scored: dict[str, Any] = {
        "stage": "evaluate",
        "manifest": str(manifest.resolve()),
        "encoders": [encoder],
        "evaluation": protocol,
    }
    if not baselines:
        scored["baselines"] = False
    stages: dict[str, Any] = {"evaluate": scored}
    if NEEDS.get(evaluation) == "clips":
        scored["clips"] = "$clips"
        sample_rate = load_encoder(encoder).encoder.sample_rate
        stages = {"clips": form.decoding(manifest, sample_rate), **stages}
    recipe = Recipe({"name": "evaluate", "seed": seed, "stages": stages})
    if out is not None:
        run(recipe, out=out, workers=workers)
        return read_rows(out / "evaluate" / ROWS)
    with tempfile.TemporaryDirectory() as scratch:
        run(recipe, out=Path(scratch), workers=workers)
        return read_rows(Path(scratch) / "evaluate" / ROWS)


def search_folder(folder: Path, query: Path | str, *, k: int, encoder: str | None = None) -> list[tuple[str, float]]:
    """The clips of an index nearest to an image, a video, a recording or a sentence, with their cosine similarities, best first.

    Args:
        folder: With an index, or with one below it.
        query: The path of an image, a video or a recording, decoded as the index's own clips were, with one clip over its
            whole length; or a sentence, for an encoder that knows text.
        k: How many.
        encoder: Reference of the encoder that made the index, where it is not where it was.

    Raises:
        StageError: If there is no index, or several, or the run that made it is not there.
        CheckpointError: If the encoder cannot be loaded, or knows no text where the query is a sentence.
        RetrievalError: If the encoder is not the one that made the index.
        MediaError: If the query cannot be read.
    """
    found = sorted(file.parent for file in folder.resolve().rglob(RECORD) if not file.parent.name.startswith("."))
    if len(found) != 1:
        names = ", ".join(map(str, found)) or "none"
        raise StageError(
            f"{folder}: expected one index there, found {names}; name the folder of one, or run `mmssl index`"
        )
    index = Index.load(found[0])
    root = next((place for place in found[0].parents if (place / RUN_FILE).is_file()), None)
    if root is None:
        raise StageError(f"{folder}: the run that made the index is not around it; search where `mmssl index` ran")
    recipe = read_run(root)["recipe"]
    loaded = load_encoder(encoder or _moved(index.encoder, root), seed=int(recipe.get("seed", 0)))
    index.expect_encoder(loaded.digest)
    if isinstance(query, str):
        with torch.inference_mode():
            embedding = image_text_encoder(loaded).embed_texts([query]).float()
    else:
        shape = _clip_settings(Recipe(recipe), found[0].relative_to(root).parts[0])
        embedding = _embedding(loaded, query, **shape)
    neighbors = index.search(embedding.numpy(), k)
    return list(zip(neighbors.ids[0], map(float, neighbors.scores[0]), strict=True))


def _embedded_run(folder: Path) -> tuple[dict[str, Any], str]:
    """The recipe of a run, and the name of its stage that embeds.

    Raises:
        StageError: If it has none.
    """
    values = read_run(folder)["recipe"]
    embedded = [name for name, entry in values["stages"].items() if entry.get("stage", name) == "embed"]
    if not embedded:
        raise StageError(f"{folder}: this run has no stage that embeds; run `mmssl embed` first")
    return values, embedded[0]


def _settings(texts: Collection[str]) -> dict[str, Any]:
    settings = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise ConfigError(f"setting {text!r}: expected key=value")
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"setting {text!r}: the value is not YAML") from error
    return settings


def _moved(reference: str, root: Path) -> str:
    """A reference as it stands now: `random:tracker`, of a stage's encoder, is `random:ROOT/tracker`."""
    prefix, _, name = reference.rpartition(":")
    return f"{prefix}:{root / name}".lstrip(":") if (root / name).is_dir() else reference


def _clip_settings(recipe: Recipe, stage: str) -> dict[str, Any]:
    """Number of frames and size, or sound, of the clips that a stage's output goes back to."""
    nodes = {node.name: node for node in read_graph(recipe, STAGES)[0].nodes}
    waiting = [stage]
    while waiting:
        node = nodes[waiting.pop()]
        if node.kind == "decode":
            settings = complete_settings(node, STAGES)
            size = settings["size"] or settings["sound"]
            return {"num_frames": settings["num_frames"], "size": (size, size) if isinstance(size, int) else size}
        waiting += node.inputs
    raise StageError(f"the stage {stage} goes back to no stage that decodes")


def _embedding(loaded: LoadedEncoder, query: Path, *, num_frames: int, size: tuple[int, int] | Sound) -> torch.Tensor:
    row = ManifestRow(id="query", uri=query.name, media_type=probe(query).media_type)
    sampler = build("uniform", SAMPLER_CHOICE, num_frames=num_frames)
    (clip,) = decode_row(query, row, sampler=sampler, size=size, seed=0, epoch=0, item=0)
    with torch.inference_mode():
        return loaded.encoder.over_frames(loaded.encoder(encoder_input(clip.frames))[None])
