"""Masks carried by an encoder as it is and adapted to each video, as rows for `docs/results`.

python -m tests.benchmarks.adaptation ENCODER MANIFEST [--steps 80]
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmssl.data.manifest import read_manifest
from mmssl.evaluation.propagation import propagation
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.models.loading import LoadedEncoder, load_encoder
from mmssl.training.adaptation import NUM_STEPS, adapt_encoder


def score(loaded: LoadedEncoder, manifest: Any, row: Any, *, name: str) -> tuple[ReportRow, float]:
    """The row of J&F on one video, and that value."""
    subject = Subject(loaded, manifest.name, manifest=replace(manifest, rows=(row,)), name=name)
    found = next(each for each in propagation(subject) if each.metric == "J&F" and not each.baseline)
    assert found.value is not None
    return found, found.value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--steps", type=int, default=NUM_STEPS)
    options = parser.parse_args()
    manifest = read_manifest(options.manifest)
    values: dict[str, dict[str, float]] = {"as it is": {}, "adapted": {}}
    for row in manifest.rows:
        before, values["as it is"][row.id] = score(load_encoder(options.encoder), manifest, row, name=options.encoder)
        began = time.process_time()
        with tempfile.TemporaryDirectory() as scratch:
            adapted = adapt_encoder(
                manifest.resolve(row), load_encoder(options.encoder), out=Path(scratch), num_steps=options.steps
            )
        seconds = time.process_time() - began
        _, values["adapted"][row.id] = score(adapted, manifest, row, name=f"{options.encoder} adapted")
        print(row.id, {key: round(of[row.id], 3) for key, of in values.items()}, f"{seconds:.0f} s", flush=True)
    for key, of in values.items():
        print(f"{key}: J&F {sum(of.values()) / len(of):.3f} on {len(of)} videos; {before.protocol}")


if __name__ == "__main__":
    main()
