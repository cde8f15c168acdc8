"""Runs a recipe: `python tools/run.py RECIPE [stage.key=value ...] [--out DIR] [--until STAGE] [--workers N]`."""

import argparse
import sys
from pathlib import Path

from mmssl.errors import MmsslError
from mmssl.memory import keep_freed_memory
from mmssl.stages.run import run_recipe


def main() -> int:
    """Parses the arguments, runs the recipe and prints the path of its report."""
    parser = argparse.ArgumentParser(description="Run a recipe's stages, skipping those that are current.")
    parser.add_argument("recipe", type=Path, help="YAML file, such as pipelines/demo.yaml")
    parser.add_argument("overrides", nargs="*", metavar="stage.key=value", help="settings to change")
    parser.add_argument("--out", "-o", type=Path, help="the run's folder; runs/NAME where not given")
    parser.add_argument("--until", help="stop after this stage")
    parser.add_argument("--workers", type=int, default=2, help="processes for decoding; changes nothing but the time")
    options = parser.parse_args()
    keep_freed_memory()
    try:
        report = run_recipe(
            options.recipe, options.overrides, out=options.out, until=options.until, workers=options.workers
        )
    except MmsslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
