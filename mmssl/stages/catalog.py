"""What recipes and commands can name, with a line on each."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """An entry of a registry.

    Args:
        name: As a recipe writes it.
        summary: First sentence of its docstring.
        source: Where the method comes from; empty where its docstring names nothing.
    """

    name: str
    summary: str
    source: str


def catalog(kind: str) -> list[Entry]:
    """The entries of one registry: `objectives`, `encoders`, `views`, `evaluations`, `presets`, `samplers` or `stages`."""
    return [Entry(name, _summary(entry), _source(entry)) for name, entry in sorted(registries()[kind].items())]


def registries() -> dict[str, Mapping[str, Any]]:
    """Every registry by its plural noun."""
    from mmssl.evaluation import EVALUATIONS
    from mmssl.media.sampling import SAMPLERS
    from mmssl.models import ENCODERS
    from mmssl.objectives import OBJECTIVES
    from mmssl.propagation.presets import PRESETS
    from mmssl.stages import STAGES
    from mmssl.views import VIEWS

    return {
        "objectives": OBJECTIVES,
        "encoders": ENCODERS,
        "views": VIEWS,
        "evaluations": EVALUATIONS,
        "presets": PRESETS,
        "samplers": SAMPLERS,
        "stages": STAGES,
    }


def _summary(entry: Any) -> str:
    return (inspect.getdoc(entry) or "").split("\n\n")[0].replace("\n", " ")


def _source(entry: Any) -> str:
    declared = getattr(entry, "source", None)
    if isinstance(declared, str):
        return declared
    section = re.search(r"^Source:\n((?:    .*\n?)+)", inspect.getdoc(entry) or "", re.MULTILINE)
    return " ".join(section[1].split()) if section else ""
