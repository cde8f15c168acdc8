"""Times the kNN protocol beside a plain version of DINO's, which compares chunks of queries with all of the gallery by torch.

Run it as `python tests/benchmarks/knn.py`. DINO's evaluation gives accuracies for k = 10, 20, 100 and 200, and searches anew
for each; `--ks 20` compares a single one. The accuracies of both must agree.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

sys.path.insert(0, str(Path(__file__).parents[2]))

from mmssl.evaluation.knn import knn
from mmssl.evaluation.subject import Subject
from mmssl.models.loading import load_encoder
from mmssl.retrieval.embeddings import EmbeddingTable

TEMPERATURE = 0.07
NUM_CHUNKS = 100
PRODUCT_ROWS = 1000
AGREEMENT = 2e-4
"""Largest difference of accuracies: two of 10,000 answers, where equal votes fall differently."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--gallery", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--ks", type=int, nargs="+", default=[20, 10, 100, 200])
    parser.add_argument("--noise", type=float, default=8.0, help="of embeddings around their class")
    parser.add_argument("--processor-time", action="store_true", help="of all threads, instead of the clock's")
    given = parser.parse_args()
    now = time.process_time if given.processor_time else time.perf_counter
    table = made_table(given.gallery, given.queries, given.dim, given.classes, given.noise)
    subject = Subject(load_encoder("pixels"), "made", name="made", tables=(table,))
    began = now()
    rows = knn(subject, ks=tuple(given.ks), temperature=TEMPERATURE)
    ours = now() - began
    found = {row.metric: row.value for row in rows if not row.baseline}
    number = {name: place for place, name in enumerate(sorted({str(label) for label in table.labels}))}
    labels = torch.tensor([number[str(label)] for label in table.labels])
    embeddings = torch.from_numpy(table.embeddings)
    began = now()
    unit = normalize(embeddings, dim=1)
    gallery, queries = unit[: given.gallery], unit[given.gallery :]
    plain = {
        k: plain_accuracy(gallery, labels[: given.gallery], queries, labels[given.gallery :], k, given.classes)
        for k in given.ks
    }
    theirs = now() - began
    began = now()
    for start in range(0, given.queries, PRODUCT_ROWS):
        torch.mm(queries[start : start + PRODUCT_ROWS], gallery.T)
    product = now() - began
    for k, accuracy in plain.items():
        mine = found[f"top1@k={k}"]
        assert mine is not None
        print(f"k = {k:3}: top-1 {mine:.4f}, plain {accuracy:.4f}")
        assert abs(mine - accuracy) <= AGREEMENT, "the accuracies differ"
    clock = "processor seconds" if given.processor_time else "seconds"
    print(f"{given.queries} queries, {given.gallery} x {given.dim}, {torch.get_num_threads()} threads, {clock}")
    print(f"knn   {ours:8.2f}\nplain {theirs:8.2f}\nthe matrix product alone, once {product:8.2f}")
    print(f"knn is {theirs / ours:.2f} times as fast, and takes {ours / product:.2f} times the product")


def made_table(gallery: int, queries: int, dim: int, classes: int, noise: float) -> EmbeddingTable:
    """Classes as random directions with noise around them."""
    random = np.random.default_rng(0)
    number = random.integers(0, classes, gallery + queries)
    centers = random.normal(size=(classes, dim))
    embeddings = (centers[number] + noise * random.normal(size=(len(number), dim))).astype(np.float32)
    ids = tuple(f"clip{place}" for place in range(len(number)))
    return EmbeddingTable(
        ids=ids,
        embeddings=embeddings,
        row_ids=ids,
        labels=tuple(f"class{label:03}" for label in number),
        splits=("train",) * gallery + ("test",) * queries,
        groups=ids,
        encoder="made",
        encoder_digest=load_encoder("pixels").digest,
        source_digest="made",
    )


def plain_accuracy(
    gallery: Tensor, gallery_labels: Tensor, queries: Tensor, query_labels: Tensor, k: int, classes: int
) -> float:
    """Top-1 of a weighted vote: for each chunk all similarities, the k largest, and a one-hot vote of each."""
    right = 0
    size = max(1, len(queries) // NUM_CHUNKS)
    for start in range(0, len(queries), size):
        similarity = queries[start : start + size] @ gallery.T
        near = similarity.topk(k, dim=1, largest=True, sorted=True)
        candidates = gallery_labels[None].expand(len(similarity), -1).gather(1, near.indices)
        weights = (near.values / TEMPERATURE).exp()
        votes = (one_hot(candidates, classes) * weights[:, :, None]).sum(1)
        answers = votes.sort(1, descending=True).indices[:, 0]
        right += int((answers == query_labels[start : start + size]).sum())
    return right / len(queries)


if __name__ == "__main__":
    main()
