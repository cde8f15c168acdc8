"""Carries labels through a video, as `mmssl propagate` does: `python tools/propagate.py VIDEO --labels FILE -o DIR`."""

import sys

from mmssl.cli import main

if __name__ == "__main__":
    main("propagate", *sys.argv[1:])
