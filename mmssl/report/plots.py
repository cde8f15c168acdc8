"""Line plots as SVG that takes its text color from the page, so that it is readable on light and on dark."""

import io
import re
import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmssl.report.section import LinePlot, Series

PALETTE = ("#3b82f6", "#f0883e", "#14b8a6", "#e5484d", "#8b5cf6", "#84a80f", "#ec4899", "#64748b")
"""Legible on white and on near-black."""

INK = "#010203"
"""Stands for the page's text color until the SVG is written."""

MAX_POINTS = 1000
SMOOTHED_FROM = 60
WINDOWS = 25
LEGEND_LETTERS = 60
"""Of the names in a line of a legend, which stands above the curves."""
LABEL_LETTERS = 36
"""That fit beside the vertical axis in one line."""

STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


def line_plot_svg(plot: LinePlot, *, name: str) -> str:
    """Draws curves; long, noisy ones get a moving mean over the pale raw curve.

    Args:
        plot: What to draw.
        name: Unique in the page; prefixes the SVG's ids.

    Returns:
        An `<svg>` element without width and height.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(5.4, 2.9), layout="constrained")
        axes = figure.add_subplot()
        for number, series in enumerate(plot.series):
            _draw(axes, series, PALETTE[number % len(PALETTE)])
        if all(float(x).is_integer() for series in plot.series for x in series.x):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(plot.x_label)
        axes.set_ylabel(textwrap.fill(plot.y_label, LABEL_LETTERS))
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
        axes.margins(x=0.01)
        if plot.log_y and any(value is not None and value > 0 for series in plot.series for value in series.y):
            axes.set_yscale("log")
        if len(plot.series) > 1:
            longest = max(len(series.name) for series in plot.series)
            columns = max(1, min(3, len(plot.series), LEGEND_LETTERS // max(1, longest)))
            figure.legend(ncols=columns, loc="outside upper left", handlelength=1.4, columnspacing=1.2)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(svg.getvalue(), name)


def _draw(axes: Axes, series: Series, color: str) -> None:
    x = np.array(series.x, dtype=np.float64)
    y = np.array([np.nan if value is None else value for value in series.y], dtype=np.float64)
    raw_x, raw_y = thinned(x, y)
    style: dict[str, Any] = {"color": color, "solid_capstyle": "round", "solid_joinstyle": "round"}
    if np.isfinite(y).sum() < SMOOTHED_FROM:
        marker = "o" if len(x) <= 20 else None
        axes.plot(raw_x, raw_y, linewidth=1.6, marker=marker, markersize=3, label=series.name, **style)
        return
    axes.plot(raw_x, raw_y, linewidth=0.8, alpha=0.3, **style)
    axes.plot(*thinned(x, moving_mean(y, window=len(y) // WINDOWS)), linewidth=1.7, label=series.name, **style)


def moving_mean(values: Float64[np.ndarray, " points"], *, window: int) -> Float64[np.ndarray, " points"]:
    """Mean of the finite values within `window` // 2 points to either side; NaN where there is none."""
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    places = np.arange(len(values))
    first, last = np.maximum(places - window // 2, 0), np.minimum(places + window // 2 + 1, len(values))
    number = counts[last] - counts[first]
    return np.where(number > 0, (sums[last] - sums[first]) / np.maximum(number, 1), np.nan)


def thinned(
    x: Float64[np.ndarray, " points"], y: Float64[np.ndarray, " points"], *, limit: int = MAX_POINTS
) -> tuple[Float64[np.ndarray, " kept"], Float64[np.ndarray, " kept"]]:
    """At most about `limit` points that draw the same curve: the lowest and the highest of each stretch stay."""
    if len(x) <= limit:
        return x, y
    kept = [0, len(x) - 1]
    for part in np.array_split(np.arange(len(x)), limit // 2):
        finite = part[np.isfinite(y[part])]
        kept += [part[0]] if not len(finite) else [finite[np.argmin(y[finite])], finite[np.argmax(y[finite])]]
    places = np.unique(kept)
    return x[places], y[places]


def _for_page(svg: str, name: str) -> str:
    """The `<svg>` element alone: ids made unique, the page's text color, the width of its container."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1), count=1
    )
    svg = (
        re.sub(r' id="', f' id="{name}-', svg)
        .replace("url(#", f"url(#{name}-")
        .replace('xlink:href="#', f'href="#{name}-')
    )
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    return svg.replace(INK, "currentColor").replace("<svg", '<svg class="plot" role="img"', 1)
