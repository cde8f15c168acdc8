"""Runs a recipe, as `mmssl run` does: `python tools/run.py RECIPE [stage.key=value ...] [--out DIR] [--until STAGE]`."""

import sys

from mmssl.cli import main

if __name__ == "__main__":
    main("run", *sys.argv[1:])
