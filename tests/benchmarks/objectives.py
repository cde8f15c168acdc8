"""Trains every image objective by its recipe for the same number of steps, and scores each by the same protocols.

    python datasets/cifar10.py ROOT -o data/cifar10.jsonl
    python -m tests.benchmarks.objectives data/cifar10.jsonl

One thread, so that the seconds are those of one core. A run's rows are written when it is done; what is there already is
not run again. `--validation` scores other pictures of the training split, to choose settings on; `--set` puts them into the
recipes.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch

from mmssl.evaluation.classification import top_accuracy
from mmssl.evaluation.classifier_training import ClassifierTraining
from mmssl.evaluation.evaluate import read_rows, write_rows
from mmssl.evaluation.few_labels import few_labels
from mmssl.evaluation.knn import knn
from mmssl.evaluation.labeled import balanced_share
from mmssl.evaluation.linear_probe import linear_probe
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.evaluation.tuning import labeled_clips, trained_scores
from mmssl.functional.collapse import effective_rank
from tests.benchmarks.cifar10 import RECIPES, TEST, TRAIN, Pictures, read_pictures, recipe_of, subject_of, trained
from tests.benchmarks.seeds import SUMMARIES, of_seed, with_summaries

K = 20
BATCH = 128
FEW = 0.01
MAIN, LINEAR = "kNN", "linear"
EVALUATION = "frozen features"
OVER_SEEDS = "frozen features over seeds"
COLUMNS = tuple((title, metric) for metric in (MAIN, LINEAR) for title in SUMMARIES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument(
        "--names",
        nargs="*",
        default=[],
        help="of recipes in pipelines/image/cifar or of baselines; all where not given",
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/results/objectives.jsonl"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--train", type=int, default=10_000, help="pictures to learn from")
    parser.add_argument("--test", type=int, default=2_000, help="pictures to score")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0], help="those beside 0 go into a table over seeds")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY.KEY=VALUE")
    given = parser.parse_args()
    torch.set_num_threads(1)
    pictures = read_pictures(given.manifest, num_train=given.train, num_test=given.test, validation=given.validation)
    runs: dict[str, Callable[..., list[ReportRow]]] = {
        name: partial(objective_rows, name, given.set, num_steps=given.steps)
        for name in sorted(recipe.stem for recipe in RECIPES.glob("*.yaml"))
    }
    untrained = {"pixels": "pixels", "random small_resnet": fresh("simclr"), "random vit": fresh("mae")}
    runs |= {name: partial(baseline_rows, name, reference) for name, reference in untrained.items()}
    runs["supervised"] = partial(supervised_rows, "supervised", fresh("simclr"), num_steps=given.steps)
    unknown = set(given.names) - set(runs)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: not there; names are {', '.join(runs)}")
    for seed, name in product(given.seeds, given.names or runs):
        rows = read_rows(given.out) if given.out.exists() else []
        if any(row.encoder == name and row.seed == seed for row in rows):
            continue
        began = time.process_time()
        found = runs[name](pictures=pictures, seed=seed)
        values = ", ".join(f"{row.metric} {row.value:.3f}" for row in found if row.encoder == name)
        print(f"{name}, seed {seed}: {values}; {time.process_time() - began:.0f} s in all", flush=True)
        write_rows(given.out, arranged([*rows, *found]))


def arranged(rows: Sequence[ReportRow]) -> list[ReportRow]:
    """The table of seed 0, a row once, and for what ran with several seeds the table over them."""
    first = {(row.encoder, row.metric): row for row in rows if row.evaluation == EVALUATION and row.seed == 0}
    runs = {(row.encoder, row.metric): row for row in rows if row.evaluation == OVER_SEEDS and row.seed >= 0}
    several = {row.encoder for row in rows if row.seed > 0 and not row.baseline}
    for row in rows:
        if row.evaluation == EVALUATION and row.encoder in several and row.metric in (MAIN, LINEAR):
            seeded = of_seed(row, evaluation=OVER_SEEDS)
            runs[row.encoder, seeded.metric] = seeded
    return [*first.values(), *with_summaries(list(runs.values()), COLUMNS)]


def objective_rows(
    name: str, settings: Sequence[str], *, pictures: Pictures, num_steps: int, seed: int
) -> list[ReportRow]:
    """Trains by a recipe and scores what came of it."""
    with trained(name, recipe_of(name, settings), pictures, num_steps=num_steps, seed=seed) as run:
        rows = scores(run.subject)
        protocol = f"minutes: processor time of the training, {num_steps} steps on one thread."
        rows.append(row_of(run.subject, "minutes", run.seconds / 60, protocol))
    return rows


def baseline_rows(name: str, reference: str, *, pictures: Pictures, seed: int) -> list[ReportRow]:
    """An encoder that did not learn from the pictures."""
    return scores(subject_of(reference, pictures, name=name, seed=seed, baseline=True))


def supervised_rows(name: str, reference: str, *, pictures: Pictures, num_steps: int, seed: int) -> list[ReportRow]:
    """The architecture trained from fresh weights on all labels, and on few of them, for as many steps."""
    subject = subject_of(reference, pictures, name=name, seed=seed, baseline=True)
    source, whole = labeled_clips(subject, train_split=TRAIN, test_split=TEST)
    few, _ = balanced_share(whole, [item.id for item in source.items], FEW, seed=seed)
    rows = []
    for metric, task in ((LINEAR, whole), (f"{LINEAR}, {FEW:.0%} of labels", few)):
        size = min(BATCH, len(task.train))
        training = ClassifierTraining(epochs=math.ceil(num_steps / (len(task.train) // size)), batch_size=size)
        answers = trained_scores(subject, subject.encoder.encoder, task, training=training)
        protocol = (
            f"supervised, {metric}: encoder and classifier from fresh weights on the same {len(task.train)} labels, "
            f"{training.sentence()}."
        )
        rows.append(row_of(subject, metric, top_accuracy(answers, task.test_classes, 1), protocol))
    return rows


def scores(subject: Subject) -> list[ReportRow]:
    """The columns of the table, and what chance gives."""
    columns = {
        MAIN: knn(subject, ks=(K,)),
        LINEAR: linear_probe(subject),
        f"{LINEAR}, {FEW:.0%} of labels": few_labels(subject, shares=(FEW,)),
    }
    rows = []
    for metric, found in columns.items():
        score, chance = found[0], next(row for row in found if row.encoder == "chance")
        rows.append(row_of(subject, metric, score.value, f"{metric}: {score.protocol}"))
        rows.append(row_of(subject, metric, chance.value, f"chance: {chance.protocol}", encoder="chance"))
    table = subject.embeddings()
    tested = table.embeddings[[split == TEST for split in table.splits]]
    rank = effective_rank(torch.from_numpy(np.array(tested))).item()
    return [
        *rows,
        row_of(subject, "effective rank", rank, "effective rank: RankMe of the scored pictures' embeddings."),
    ]


def row_of(
    subject: Subject, metric: str, value: float | None, protocol: str, *, encoder: str | None = None
) -> ReportRow:
    """A row of the table."""
    assert subject.clips is not None
    size = sum(item.split == TEST for item in subject.clips.items)
    return subject.row(EVALUATION, metric, value, split=TEST, num_items=size, protocol=protocol, encoder=encoder)


def fresh(name: str) -> str:
    """The reference of a recipe's encoder with fresh weights."""
    kind, *settings = recipe_of(name)["encoder"].items()
    return f"random:{kind[1]}:" + ",".join(f"{key}={value}" for key, value in settings)


if __name__ == "__main__":
    main()
