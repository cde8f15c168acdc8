"""Classifies images and videos, as `mmssl zeroshot` does: `python tools/zero_shot.py INPUTS... --classes FILE -o FILE`."""

import sys

from mmssl.cli import main

if __name__ == "__main__":
    main("zeroshot", *sys.argv[1:])
