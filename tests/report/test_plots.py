"""Curves: what is drawn, and what is done to long and noisy ones."""

import math
import re

import numpy as np
import pytest

from mmssl.report.plots import line_plot_svg, moving_mean, thinned
from mmssl.report.section import LinePlot, Series


def plot(*series: Series, **settings: bool) -> str:
    return line_plot_svg(LinePlot("Loss", "step", "loss (nats)", series, **settings), name="p0")


def test_labels_are_in_the_svg_and_take_the_color_of_the_page() -> None:
    svg = plot(Series("a < b", (0.0, 1.0), (2.0, 1.0)), Series("$x_1$", (0.0, 1.0), (1.0, 2.0)))
    assert svg.startswith("<svg")
    assert all(text in svg for text in ("step", "loss (nats)", "a &lt; b", "$x_1$", "currentColor"))
    assert "#010203" not in svg
    assert "http" not in svg
    assert not re.search(r"<svg[^>]*(width|height)=", svg)


def test_ids_carry_the_plots_name() -> None:
    svg = plot(Series("a", (0.0, 1.0), (2.0, 1.0)))
    assert all(name.startswith("p0-") for name in re.findall(r' id="([^"]*)"', svg))
    references = re.findall(r'(?:url\(|href=")#([^")]*)', svg)
    assert references
    assert set(references) <= set(re.findall(r' id="([^"]*)"', svg))


@pytest.mark.parametrize("values", [(), (None, None), (1.0,), (-1.0, 0.0), (math.inf, 1.0)])
@pytest.mark.parametrize("log_y", [False, True])
def test_strange_curves_are_drawn(values: tuple[float | None, ...], log_y: bool) -> None:
    x = tuple(float(number) for number in range(len(values)))
    assert plot(Series("a", x, values), log_y=log_y).endswith("</svg>\n")


def test_no_series_is_drawn() -> None:
    assert "step" in plot()


def test_thinning_keeps_ends_and_extremes() -> None:
    x = np.arange(50_000, dtype=np.float64)
    y = np.random.default_rng(0).normal(size=50_000)
    y[31_111], y[7] = 100.0, np.nan
    kept_x, kept_y = thinned(x, y, limit=400)
    assert len(kept_x) <= 402
    assert (kept_x[0], kept_x[-1]) == (0, 49_999)
    assert np.nanmax(kept_y) == 100.0
    assert np.nanmin(kept_y) == np.nanmin(y)
    np.testing.assert_array_equal(y[kept_x.astype(int)], kept_y)


def test_short_curves_are_not_thinned() -> None:
    x = np.arange(5, dtype=np.float64)
    assert thinned(x, x)[0] is x


def test_moving_mean_matches_a_loop() -> None:
    values = np.random.default_rng(0).normal(size=40)
    values[[3, 4, 5, 20]] = np.nan
    for window in (1, 2, 5):
        half = window // 2
        slowly = [
            np.mean(near[np.isfinite(near)]) if np.isfinite(near).any() else np.nan
            for near in (values[max(place - half, 0) : place + half + 1] for place in range(40))
        ]
        np.testing.assert_allclose(moving_mean(values, window=window), slowly)
