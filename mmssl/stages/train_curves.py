"""The curves of a training in the report: one plot for each quantity, named in words and with its unit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmssl.report.section import LinePlot, Series

STEPS = "steps of the optimizer"
NOT_CURVES = ("step", "epoch")


@dataclass(frozen=True)
class _Quantity:
    """How a plot names a number that every training writes down."""

    title: str
    y_label: str
    caption: str


QUANTITIES = {
    "gradient_norm": _Quantity(
        "Norm of the gradient", "L2 norm over all weights", "As the batch gave it, before any clipping."
    ),
    "lr": _Quantity("Learning rate", "learning rate", "Of the first group of weights."),
    "spread": _Quantity(
        "Spread of the embeddings",
        "spread (0 to about 1)",
        "0 where all embeddings are alike: a collapse that the loss may not show.",
    ),
    "effective_rank": _Quantity(
        "Directions that the embeddings fill", "effective rank (directions)", "From 1 up; a fall to 1 is a collapse."
    ),
}


def curves(lines: Sequence[Mapping[str, Any]], *, units: Mapping[str, str]) -> list[LinePlot]:
    """A plot for each quantity that was written down, the loss first.

    Names that differ in a last number stand in one plot, and so does `accuracy_in_place` with `accuracy`.

    Args:
        lines: Of `metrics.jsonl`.
        units: Of the objective's own numbers, see `Objective.units`.
    """
    names = list(dict.fromkeys(["loss", *(name for line in lines for name in line if name not in NOT_CURVES)]))
    kinds = dict.fromkeys(re.sub(r"_\d+$", "", name) for name in names)
    together: dict[str, list[Series]] = {}
    for name in names:
        kind = next(kind for kind in kinds if name == kind or name.startswith(f"{kind}_"))
        series = _series(lines, name)
        if series is not None:
            together.setdefault(kind, []).append(series)
    plots = []
    for kind, drawn in together.items():
        quantity = QUANTITIES.get(kind) or _own_quantity(kind, units)
        plots.append(LinePlot(quantity.title, STEPS, quantity.y_label, tuple(drawn), caption=quantity.caption))
    return plots


def _own_quantity(name: str, units: Mapping[str, str]) -> _Quantity:
    words = name.split("_")
    unit = next((units[part] for part in (name, *words) if part in units), "")
    text = " ".join(words)
    return _Quantity(text.capitalize(), f"{text} ({unit})" if unit else text, "")


def _series(lines: Sequence[Mapping[str, Any]], name: str) -> Series | None:
    points = [(float(line["step"]), float(line[name])) for line in lines if line.get(name) is not None]
    if not points:
        return None
    x, y = zip(*points, strict=True)
    return Series(name.replace("_", " "), x, y)
