"""The tuned index beside exact search, and beside autofaiss's defaults where it is installed.

Run it as `python -m tests.benchmarks.index --data synthetic` (FAISS's SyntheticDataset(64, 20000, 100000, 1000)) or
`--data clustered` (100,000 x 512 in 1,000 clusters). The index is tuned on rows that it holds out of its own data; its recall is
then measured once more on the data's own queries. Embeddings are normalized for all, as cosine similarity asks for.
`--autofaiss PYTHON` names an interpreter that has autofaiss.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import faiss
import numpy as np

from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import unit_rows
from mmssl.retrieval.index_tuning import recalls, true_neighbors, tuned_index

AUTOFAISS = """
import sys, time, numpy as np, json
from autofaiss import build_index
import faiss
folder = sys.argv[1]
rows, queries = np.load(folder + "/rows.npy"), np.load(folder + "/queries.npy")
began = time.perf_counter()
index, facts = build_index(rows, save_on_disk=False, metric_type="ip")
build = time.perf_counter() - began
found = index.search(queries, 10)[1]
times = []
for query in queries[:200]:
    began = time.perf_counter(); index.search(query[None], 10); times.append(time.perf_counter() - began)
np.save(folder + "/found.npy", found)
kind = facts["index_key"] + " " + facts["index_param"]
json.dump({"build": build, "ms": 1e3 * sorted(times)[100], "kind": kind}, open(folder + "/autofaiss.json", "w"))
"""


def synthetic() -> tuple[np.ndarray, np.ndarray]:
    from faiss.contrib.datasets import SyntheticDataset

    data = SyntheticDataset(64, 20_000, 100_000, 1000)
    return unit_rows(data.get_database()), unit_rows(data.get_queries())


def clustered(count: int = 100_000, dim: int = 512, clusters: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    centers = random.normal(size=(clusters, dim)).astype(np.float32)
    number = random.integers(0, clusters, count + 1000)
    rows = centers[number] + random.normal(size=(len(number), dim)).astype(np.float32)
    return unit_rows(rows[:count]), unit_rows(rows[count:])


def table_of(rows: np.ndarray) -> EmbeddingTable:
    ids = tuple(map(str, range(len(rows))))
    nothing = (None,) * len(rows)
    return EmbeddingTable(ids, rows, ids, nothing, nothing, ids, "made", "made", "made")


def one_at_a_time(search: Callable[[np.ndarray], object], queries: np.ndarray) -> float:
    """Median milliseconds."""
    seconds = []
    for query in queries[:200]:
        began = time.perf_counter()
        search(query[None])
        seconds.append(time.perf_counter() - began)
    return 1e3 * median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=["synthetic", "clustered"], default="synthetic")
    parser.add_argument("--kinds", nargs="+", default=["auto", "ivf", "ivf_pq"])
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--autofaiss", help="interpreter with autofaiss")
    given = parser.parse_args()
    rows, queries = {"synthetic": synthetic, "clustered": clustered}[given.data]()
    print(f"{given.data}: {rows.shape[0]} x {rows.shape[1]}, {faiss.omp_get_max_threads()} threads, k = 10")
    began = time.perf_counter()
    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows)
    build = time.perf_counter() - began
    truth = true_neighbors(rows, queries, 10)
    took = one_at_a_time(lambda query: flat.search(query, 10), queries)
    print(f"{'':10} build s  query ms  recall@10 of {len(queries)} queries of the data")
    print(f"{'Flat':10} {build:7.2f} {took:9.3f}  1.0000", flush=True)
    table = table_of(rows)
    for kind in given.kinds:
        index, tuning = tuned_index(table, kind=kind, target=given.target)
        assert tuning is not None
        places = np.array([int(id_) for id_ in index.ids])
        found = places[index.nearest(queries, 10)[1]]
        recall = recalls(rows, queries, found, truth).mean()
        took = one_at_a_time(lambda query, index=index: index.nearest(query, 10), queries)  # type: ignore[misc]
        print(f"{kind:10} {tuning.build_seconds:7.2f} {took:9.3f}  {recall:.4f}   {tuning.in_words()}", flush=True)
    if given.autofaiss:
        with tempfile.TemporaryDirectory() as scratch:
            np.save(Path(scratch) / "rows.npy", rows)
            np.save(Path(scratch) / "queries.npy", queries)
            subprocess.run([given.autofaiss, "-c", AUTOFAISS, scratch], check=True, capture_output=True)
            facts = json.loads((Path(scratch) / "autofaiss.json").read_text())
            recall = recalls(rows, queries, np.load(Path(scratch) / "found.npy"), truth).mean()
            print(f"{'autofaiss':10} {facts['build']:7.2f} {facts['ms']:9.3f}  {recall:.4f}   {facts['kind']}")


if __name__ == "__main__":
    main()
