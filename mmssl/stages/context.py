"""What the runner tells a stage, and how a stage's signature says what it reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmssl.training.torchrun import Crew


@dataclass(frozen=True)
class Input:
    """Marks a setting as something that a stage reads: `clips: Annotated[Path, Input("decode")]`.

    Args:
        stages: Kinds of stage whose folder fits where a recipe says `$name`; empty for a setting that is a manifest file.
    """

    stages: tuple[str, ...] = ()

    def __init__(self, *stages: str) -> None:
        object.__setattr__(self, "stages", stages)


@dataclass(frozen=True, eq=False)
class Needs:
    """Marks a choice whose entries need another setting too: `evaluation: Annotated[Spec | str, CHOICE, Needs(NEEDS)]`.

    Args:
        settings: Name of the setting that has to be given, by the name of the entry.
    """

    settings: Mapping[str, str]


@dataclass(frozen=True)
class RunContext:
    """The facts of a run that are no settings of a stage.

    Args:
        run: The recipe's name.
        stage: The stage's own name in the recipe.
        seed: The recipe's seed.
        workers: Processes that a stage may use; its output must not depend on it.
        recipe_digest: Digest of the settings of this stage and of all that it reads, and of the seed.
        folders: Folder of each earlier stage, by its name.
        processes: That train together; but for rounding, the output must not depend on it.
        crew: The other processes, where torchrun started them.
    """

    run: str
    stage: str
    seed: int
    workers: int
    recipe_digest: str
    folders: Mapping[str, Path]
    processes: int = 1
    crew: Crew | None = None

    def label(self, reference: str) -> str:
        """A reference as the recipe named it: `random:/runs/demo/tracker` is `random:tracker`."""
        for name, folder in self.folders.items():
            before, found, after = reference.partition(str(folder))
            if found and after[:1] in ("", ":"):
                return f"{before}{name}{after}"
        return reference
