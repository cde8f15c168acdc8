"""The `mmssl` command: each command reads its arguments, calls one function of the package and prints what it gives."""

from mmssl.cli.app import main

__all__ = ["main"]
