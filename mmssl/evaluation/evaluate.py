"""One protocol for several encoders, and the baselines beside them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from mmssl.config import Spec, build, normalized
from mmssl.data.dataset import ClipSource, sample_rate_of
from mmssl.data.manifest import Manifest
from mmssl.evaluation import BASELINES, EVALUATION_CHOICE, FOR_SOUND
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.files import atomic_file
from mmssl.models.loading import load_encoder
from mmssl.models.references import random_reference
from mmssl.retrieval.embeddings import EmbeddingTable

ROWS = "rows.jsonl"


def evaluate(
    references: Sequence[str],
    evaluation: Spec | str,
    *,
    dataset: str,
    manifest: Manifest | None = None,
    clips: ClipSource | None = None,
    tables: Sequence[EmbeddingTable] = (),
    run: str = "evaluate",
    recipe_digest: str = "",
    seed: int = 0,
    out: Path | None = None,
    baselines: bool = True,
    label: Callable[[str], str] = str,
    device: torch.device | str = "cpu",
) -> list[ReportRow]:
    """Scores encoders by one protocol, and adds the evaluation's baselines.

    Args:
        references: Encoders, as `load_encoder` takes them.
        evaluation: Name of an evaluation, or the name with settings.
        dataset: How rows name the data.
        manifest: See `Subject`, like all that follow up to `seed`.
        clips: Decoded clips.
        tables: Embeddings that are there already.
        run: Name of the run.
        recipe_digest: Of the recipe.
        seed: Of the evaluation and of randomly initialized baselines.
        out: Where `rows.jsonl` and what the evaluation draws go (in a folder for each encoder); None to write nothing.
        baselines: Whether to score the baselines of `BASELINES` too.
        label: How rows name a reference.
        device: Where encoders run.

    Returns:
        Scores of the encoders in the order given, then of the baselines; each baseline stands once.

    Raises:
        ConfigError: If the evaluation is not known or its settings are wrong.
        EvaluationError: If the protocol cannot score the data.
        CheckpointError: If an encoder cannot be loaded.
    """
    spec = normalized(evaluation)
    sample_rate = None if clips is None else sample_rate_of(clips)
    wanted = dict.fromkeys(references, False)
    for baseline in BASELINES.get(str(spec.get("name")), ()) if baselines else ():
        for reference in _baseline_references(baseline, references, sample_rate=sample_rate):
            wanted.setdefault(reference, True)
    rows: list[ReportRow] = []
    seen: set[str] = set()
    for reference, is_baseline in wanted.items():
        encoder = load_encoder(reference, seed=seed)
        if is_baseline and encoder.digest in seen:
            continue
        seen.add(encoder.digest)
        name = label(reference)
        subject = Subject(
            encoder=encoder,
            dataset=dataset,
            manifest=manifest,
            clips=clips,
            name=name,
            run=run,
            recipe_digest=recipe_digest,
            seed=seed,
            out=None if out is None else out / folder_name(name),
            tables=tuple(tables),
            device=device,
            baseline=is_baseline,
        )
        rows += build(spec, EVALUATION_CHOICE, subject=subject)
    scores = [row for row in rows if not row.baseline]
    unique = {(row.encoder, row.split, row.metric): row for row in rows if row.baseline}
    ordered = [*scores, *unique.values()]
    if out is not None:
        write_rows(out / ROWS, ordered)
    return ordered


def write_rows(path: Path, rows: Sequence[ReportRow]) -> None:
    """Writes one JSON object a line; the file is whole or not there."""
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row.to_json(), ensure_ascii=False) + "\n" for row in rows)


def read_rows(path: Path) -> list[ReportRow]:
    """Reads what `write_rows` wrote."""
    return [ReportRow(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]


def folder_name(name: str) -> str:
    """An encoder's name as the name of a folder: letters, digits, dots and dashes, the rest underscores."""
    return "".join(sign if sign.isalnum() or sign in ".-" else "_" for sign in name).strip("._") or "encoder"


def _baseline_references(baseline: str, references: Sequence[str], *, sample_rate: int | None) -> list[str]:
    """References of a baseline; `random:` gives one for each encoder that has trained weights."""
    if baseline != "random:":
        if sample_rate is None:
            return [baseline]
        return [f"{name}:sample_rate={sample_rate}" for name in FOR_SOUND.get(baseline, ())]
    fresh = (random_reference(reference) for reference in references)
    return [reference for reference in fresh if reference is not None]
