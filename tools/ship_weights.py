"""Puts a trained encoder where `default` finds it, with all there is to say of it.

`python tools/ship_weights.py CHECKPOINT --manifest CLIPS --recipe RECIPE --rows ROWS [-o mmssl/weights]`
"""

import argparse
import sys
from pathlib import Path

from mmssl.data.manifest import read_manifest
from mmssl.errors import MmsslError
from mmssl.evaluation.evaluate import read_rows
from mmssl.models.loading import SHIPPED_FOLDER, load_encoder, save_encoder


def main() -> int:
    """Writes the folder; prints its path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="folder of a train stage")
    parser.add_argument("--manifest", type=Path, required=True, help="the clips it was trained on, with their licences")
    parser.add_argument("--recipe", required=True, help="the recipe that trained it")
    parser.add_argument("--rows", type=Path, help="rows of results, JSONL; the main score of each goes on the card")
    parser.add_argument("-o", "--out", type=Path, default=SHIPPED_FOLDER)
    given = parser.parse_args()
    try:
        loaded = load_encoder(given.checkpoint)
        rows = read_rows(given.rows) if given.rows else []
        facts = {
            **loaded.card.facts,
            "license": "Apache-2.0",
            "recipe": given.recipe,
            "data": [{"clip": row.id, "license": row.extra["licence"]} for row in read_manifest(given.manifest).rows],
            "figures": [
                {
                    "encoder": row.encoder,
                    "dataset": row.dataset,
                    "metric": row.metric,
                    "value": row.value,
                    "protocol": row.protocol,
                }
                for row in rows
                if row.metric == "J&F"
            ],
        }
        save_encoder(given.out, loaded.encoder, spec=loaded.card.spec, facts=facts)
    except MmsslError as error:
        print(error, file=sys.stderr)
        return 2
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
