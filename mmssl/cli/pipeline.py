"""`mmssl run`, `check`, `list` and `report`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Recipe = Annotated[Path, typer.Argument(help="YAML file, such as those under `pipelines/`.", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[STAGE.KEY=VALUE]...", help="Settings to change.", show_default=False)
]


class Kind(StrEnum):
    """What `mmssl list` can list."""

    objectives = "objectives"
    encoders = "encoders"
    views = "views"
    evaluations = "evaluations"
    presets = "presets"
    samplers = "samplers"
    stages = "stages"


def run(
    recipe: Recipe,
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder; `runs/NAME` where not given.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes for decoding; changes nothing but the time.")] = 2,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that train together, one a GPU where there are GPUs; changes nothing but the time and the rounding.",
        ),
    ] = 1,
) -> None:
    """Run a recipe's stages, skipping those that are current; print the report's path.

    Killed or interrupted at any moment, the same command goes on where it stopped. A changed setting runs its stage and
    those that read from it, and no other.

    Examples:
    - `mmssl run pipelines/demo.yaml`

    - `mmssl run pipelines/demo.yaml colorization.steps=500 seed=1 --out runs/longer`

    - `mmssl run pipelines/demo.yaml --until clips`

    - `mmssl run pipelines/demo.yaml --processes 2`

    - `torchrun --nproc_per_node 2 --no-python mmssl run pipelines/demo.yaml`
    """
    from mmssl.stages.run import run_recipe
    from mmssl.training.torchrun import crew_of_torchrun

    with crew_of_torchrun() as crew:
        if crew is None or crew.leads:
            print(
                run_recipe(
                    recipe, overrides or (), out=out, until=until, workers=workers, processes=processes, crew=crew
                )
            )


def check(recipe: Recipe, overrides: Overrides = None) -> None:
    """Print every fault of a recipe and of its manifests, without running anything.

    Examples:
    - `mmssl check pipelines/demo.yaml`

    - `mmssl check pipelines/demo.yaml clips.manifest=videos.jsonl`
    """
    from mmssl.config import load_recipe
    from mmssl.errors import ConfigError
    from mmssl.stages import STAGES
    from mmssl.stages.graph import check_recipe

    loaded = load_recipe(recipe, overrides or ())
    faults = check_recipe(loaded, stages=STAGES)
    if faults:
        raise ConfigError("\n".join(fault.text(loaded) for fault in faults))
    print(f"{recipe}: no faults", file=sys.stderr)


def list_entries(
    kind: Annotated[Kind | None, typer.Argument(help="What to list; everything where not given.")] = None,
) -> None:
    """Print what a recipe can name, one line each.

    Examples:
    - `mmssl list objectives`

    - `mmssl list`
    """
    from mmssl.stages.catalog import catalog

    for listed in [kind] if kind else list(Kind):
        if kind is None:
            print(f"{listed.value}:")
        for entry in catalog(listed.value):
            source = f" [{entry.source}]" if entry.source else ""
            print(f"{'' if kind else '  '}{entry.name:<20} {entry.summary}{source}")


def report(
    run: Annotated[Path, typer.Argument(help="A run's folder.", show_default=False)],
) -> None:
    """Write the HTML page of a run again, from what its folder holds.

    Example:
    - `mmssl report runs/demo`
    """
    from mmssl.report.page import write_report

    print(write_report(run))
