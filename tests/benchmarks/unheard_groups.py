"""Scores what neither the encoder nor the classifier has met: each group is left out of training too, in turn.

    python -m tests.benchmarks.unheard_groups pipelines/audio/fsdd.yaml --manifest data/fsdd/speakers.jsonl \\
        --clips clips --train cpc --evaluate left_out --out runs/unheard seed=0

runs the recipe up to the evaluation for each group of the manifest and writes the means of their rows to `OUT/rows.jsonl`; a
group whose rows are there is not run again. Settings `stage.key=value` are those of the recipe. Baselines, which learn nothing,
are those that the recipe gives by itself.
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean

from mmssl.data.manifest import read_manifest
from mmssl.evaluation.evaluate import ROWS, read_rows, write_rows
from mmssl.evaluation.report_row import ReportRow
from mmssl.stages.run import run_recipe


def scores_without(group: str, given: argparse.Namespace) -> list[ReportRow]:
    """What the encoder reaches on a group that it has not been trained on."""
    settings = [
        f"{given.clips}.manifest={given.manifest}",
        f"{given.train}.without_groups=[{group}]",
        f"{given.evaluate}.evaluation.groups=[{group}]",
        f"{given.evaluate}.baselines=false",
        f"embed.encoders=[${given.train}]",
        *given.settings,
    ]
    done: Path = given.out / f"{group}.jsonl"
    if not done.exists():
        folder = given.out / "run"
        run_recipe(given.recipe, settings, out=folder, until=given.evaluate, workers=1)
        write_rows(done, [row for row in read_rows(folder / given.evaluate / ROWS) if not row.baseline])
    return read_rows(done)


def pooled(rows: dict[str, list[ReportRow]]) -> list[ReportRow]:
    """Means over the groups, which weigh alike; each group's own is in the detail."""
    by_metric: dict[str, dict[str, ReportRow]] = defaultdict(dict)
    for group, found in rows.items():
        for row in found:
            by_metric[row.metric][group] = row
    means = []
    for found in by_metric.values():
        values = {group: row.value for group, row in found.items() if row.value is not None}
        one = next(iter(found))
        said = (
            found[one]
            .protocol.replace(f"{one} of ", "each of ")
            .replace(" groups;", " groups in turn; the mean over groups;")
        )
        means.append(
            replace(
                found[one],
                value=mean(values.values()),
                split="each group",
                num_items=sum(row.num_items for row in found.values()),
                protocol=f"{said[:-1]}; the encoder, too, was trained without that group each time.",
                detail={"sequences": values},
            )
        )
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("settings", nargs="*", help="of the recipe, stage.key=value")
    parser.add_argument(
        "--manifest", type=Path, required=True, help="whose groups are left out; clips to train on are made of it"
    )
    parser.add_argument("--clips", default="clips", help="stage that decodes what is trained on")
    parser.add_argument("--train", default="train", help="stage that trains")
    parser.add_argument("--evaluate", default="left_out", help="stage that evaluates by left_out")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_intermixed_args()
    groups = sorted({row.group for row in read_manifest(given.manifest).rows if row.group is not None})
    rows = {group: scores_without(group, given) for group in groups}
    means = pooled(rows)
    write_rows(given.out / ROWS, means)
    for row in means:
        print(row.metric, row.value, row.detail["sequences"])


if __name__ == "__main__":
    main()
