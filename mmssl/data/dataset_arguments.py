"""What the scripts of `datasets/` read from the command line."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path


def root_parser(description: str | None, root: str) -> ArgumentParser:
    """Reads `root`, a data set's folder, and `out`, the manifest to write, which is None where it is not given.

    Args:
        description: The script's docstring.
        root: What the folder is.
    """
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help=root)
    parser.add_argument("-o", "--out", type=Path, help="manifest to write; ROOT/manifest.jsonl where it is not given")
    return parser
