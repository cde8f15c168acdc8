"""The curves of a training in the report: one plot for each quantity, named in words and with its unit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmssl.report.section import LinePlot, Series

STEPS = "steps of the optimizer"
PROBES = {"probe_knn": "nearest neighbours", "probe_linear": "linear head", "probe_chance": "chance"}
NOT_CURVES = ("step", "epoch", *PROBES)
MOST_NUMBERED = 5


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
    "uniformity": _Quantity(
        "Uniformity of the embeddings",
        "log mean exp(-2 squared distance)",
        "0 where all embeddings are alike; the lower, the more evenly they fill the sphere.",
    ),
    "alignment": _Quantity(
        "Alignment of two views",
        "mean squared distance (0 to 4)",
        "Of an image's two views; good where it is low while uniformity is low too.",
    ),
}


def curves(
    lines: Sequence[Mapping[str, Any]], *, units: Mapping[str, str], guesses: Mapping[str, float], numbers: str = ""
) -> list[LinePlot]:
    """A plot for each quantity that was written down, the loss first.

    Names that differ in a last number stand in one plot, of many those whose number is a power of two and the last; and so does
    `accuracy_in_place` with `accuracy`.

    Args:
        lines: Of `metrics.jsonl`.
        units: Of the objective's own numbers, see `Objective.units`.
        guesses: What guessing gives of them, see `Objective.guesses`.
        numbers: What the numbers at the end of names count, see `Objective.numbers`; last values are drawn over them.
    """
    names = list(dict.fromkeys(["loss", *(name for line in lines for name in line if name not in NOT_CURVES)]))
    kinds = dict.fromkeys(re.sub(r"_\d+$", "", name) for name in names)
    together: dict[str, list[Series]] = {}
    for name in names:
        kind = next(kind for kind in kinds if name == kind or name.startswith(f"{kind}_"))
        series = _series(lines, name)
        if series is not None:
            together.setdefault(kind, []).append(series)
            if name in guesses:
                ends = (series.x[0], series.x[-1])
                together[kind].append(Series("a guess", ends, (guesses[name], guesses[name])))
    plots = []
    for kind, drawn in together.items():
        quantity = QUANTITIES.get(kind) or _own_quantity(kind, units)
        numbered = {int(match[1]): series for series in drawn if (match := re.search(r" (\d+)$", series.name))}
        few = [number for number in numbered if number & (number - 1) == 0 or number == max(numbered)]
        hidden = [] if len(numbered) <= MOST_NUMBERED else [numbered[number] for number in set(numbered) - set(few)]
        shown = tuple(series for series in drawn if series not in hidden)
        plots.append(LinePlot(quantity.title, STEPS, quantity.y_label, shown, caption=quantity.caption))
        if numbers and numbered:
            x, y = zip(*sorted((number, series.y[-1]) for number, series in numbered.items()), strict=True)
            over = [Series("at the end", tuple(map(float, x)), y)]
            over += [
                Series("a guess", over[0].x, series.y[:1] * len(x)) for series in drawn if series.name == "a guess"
            ][:1]
            plots.append(LinePlot(f"{quantity.title} by {numbers}", numbers, quantity.y_label, tuple(over)))
    return [*plots[:1], *_probe_plots(lines), *plots[1:]]


def _probe_plots(lines: Sequence[Mapping[str, Any]]) -> list[LinePlot]:
    """How well labels could be told apart as the training went on, over its steps and over its loss."""
    looks = [line for line in lines if "probe_knn" in line]
    if not looks:
        return []
    over_steps = [_series(looks, name, title) for name, title in PROBES.items()]
    lost = sorted((look for look in looks if look.get("loss") is not None), key=lambda look: float(look["loss"]))
    over_loss = [
        Series(title, tuple(float(look["loss"]) for look in lost), tuple(float(look[name]) for look in lost))
        for name, title in PROBES.items()
    ]
    caption = "On labelled clips of the training split that neither vote nor teach the head; the encoder sees no label."
    return [
        LinePlot(
            "Labels read off the embeddings",
            STEPS,
            "accuracy",
            tuple(series for series in over_steps if series is not None),
            caption=caption,
        ),
        LinePlot(
            "Labels read off the embeddings, against the loss",
            "loss",
            "accuracy",
            tuple(over_loss),
            caption="One point a look, in the order of their losses.",
        ),
    ]


def _own_quantity(name: str, units: Mapping[str, str]) -> _Quantity:
    words = name.split("_")
    unit = next((units[part] for part in (name, *words) if part in units), "")
    text = " ".join(words)
    return _Quantity(text.capitalize(), f"{text} ({unit})" if unit else text, "")


def _series(lines: Sequence[Mapping[str, Any]], name: str, title: str = "") -> Series | None:
    points = [(float(line["step"]), float(line[name])) for line in lines if line.get(name) is not None]
    if not points:
        return None
    x, y = zip(*points, strict=True)
    return Series(title or name.replace("_", " "), x, y)
