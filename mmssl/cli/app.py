"""The command line as a whole: its commands, and how it ends when something is wrong.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import sys
import warnings
from typing import Annotated, Any, TextIO

import typer
import typer.core

from mmssl import __version__
from mmssl.cli import export, manifest, pipeline, propagation, retrieval, zeroshot
from mmssl.errors import MmsslError, MmsslWarning
from mmssl.memory import keep_freed_memory

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class Commands(typer.core.TyperGroup):
    """The commands, with what the user can cause turned into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except MmsslError as error:
            if ctx.params["debug"]:
                raise
            for line in str(error).splitlines():
                print(f"error: {line}", file=sys.stderr)
            raise SystemExit(EXIT_BAD_INPUT) from error
        except KeyboardInterrupt as error:
            print("interrupted: the same command goes on where it stopped", file=sys.stderr)
            raise SystemExit(EXIT_INTERRUPTED) from error


app = typer.Typer(
    name="mmssl",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(no_args_is_help=True)(pipeline.run)
app.command(no_args_is_help=True)(pipeline.check)
app.command("list")(pipeline.list_entries)
app.command(no_args_is_help=True)(retrieval.evaluate)
app.command(no_args_is_help=True)(retrieval.embed)
app.command(no_args_is_help=True)(retrieval.index)
app.command(no_args_is_help=True)(retrieval.search)
app.command(no_args_is_help=True)(retrieval.duplicates)
app.command(no_args_is_help=True)(propagation.propagate)
app.command(no_args_is_help=True)(zeroshot.zeroshot)
app.command(no_args_is_help=True)(export.export)
app.command(no_args_is_help=True)(pipeline.report)
app.add_typer(manifest.app, name="manifest")


def _print_version(wanted: bool) -> bool:
    if wanted:
        print(f"mmssl {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error arose.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Self-supervised learning for video, audio, images and text.

    From a manifest of media files to trained encoders, a searchable index, measured scores, and labels carried through
    new videos.

    Begin with:

    - `mmssl manifest build videos/ -o videos.jsonl` makes a manifest of a folder

    - `mmssl run pipelines/demo.yaml` runs a recipe and ends with the path of its report

    - `mmssl propagate video.mp4 --labels first_mask.png -o out/` carries a mask through a video

    - `mmssl zeroshot photos/ --classes names.txt -o found.html` classifies your images by the words of their classes
    """


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """The package's own warnings as one line, without the place in the code; all others as Python shows them."""
    if issubclass(category, MmsslWarning):
        text = f"warning: {message}\n"
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
    (file or sys.stderr).write(text)


def main(*arguments: str) -> None:
    """Runs the command line and exits: 0 done, 2 bad input, 130 interrupted.

    Args:
        arguments: In place of those this process was called with.
    """
    keep_freed_memory()
    warnings.showwarning = _show_warning
    app(arguments or None, prog_name="mmssl")
