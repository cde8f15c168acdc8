import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmssl.functional import affinity_by_rows
from mmssl.functional.affinity import Window, normalize_features, propagate, propagate_normalized


def propagate_by_full_matrix(
    query: Tensor, keys: Tensor, values: Tensor, windows, top_k: int, temperature: float
) -> Tensor:  # type: ignore[no-untyped-def]
    """Every cell against every context cell, one after the other."""
    context, _, height, width = keys.shape
    out = torch.zeros(values.shape[1], height, width)
    for y, x in itertools.product(range(height), range(width)):
        candidates = []
        for frame, i, j in itertools.product(range(context), range(height), range(width)):
            radius, circular = windows[frame].radius, windows[frame].circular
            if radius is not None:
                far = np.hypot(i - y, j - x) if circular else max(abs(i - y), abs(j - x))
                if far > radius:
                    continue
            a, b = query[:, y, x].double(), keys[frame, :, i, j].double()
            cosine = float(a @ b / (a.norm().clamp(min=1e-12) * b.norm().clamp(min=1e-12)))
            candidates.append((cosine, values[frame, :, i, j]))
        candidates.sort(key=lambda candidate: -candidate[0])
        best = candidates[:top_k]
        weights = torch.softmax(torch.tensor([score for score, _ in best]) / temperature, 0)
        out[:, y, x] = sum(weight * value for weight, (_, value) in zip(weights, best, strict=True))
    return out


def random_problem(dim: int, context: int, channels: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.randn(dim, height, width),
        torch.randn(context, dim, height, width),
        torch.rand(context, channels, height, width),
    )


shapes = st.tuples(*(st.integers(1, most) for most in (5, 3, 3, 11, 11)))


@given(shapes, st.integers(0, 14), st.integers(1, 40), st.sampled_from([0.05, 0.1, 1.0]))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_matches_full_matrix(shape: tuple[int, ...], radius: int, top_k: int, temperature: float) -> None:
    query, keys, values = random_problem(*shape)
    got = propagate(query, keys, values, radius=radius, top_k=top_k, temperature=temperature)
    slow = propagate_by_full_matrix(query, keys, values, [Window(radius)] * len(keys), top_k, temperature)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, slow, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("context", "height", "width", "radius", "top_k"),
    [(1, 1, 9, 2, 3), (2, 9, 1, 3, 4), (1, 1, 1, 0, 1), (2, 3, 4, 50, 5), (3, 4, 3, 1, 10_000), (2, 19, 9, 2, 5)],
)
def test_edges_of_the_domain(context: int, height: int, width: int, radius: int, top_k: int) -> None:
    query, keys, values = random_problem(4, context, 2, height, width)
    got = propagate(query, keys, values, radius=radius, top_k=top_k, temperature=0.1)
    slow = propagate_by_full_matrix(query, keys, values, [Window(radius)] * context, top_k, 0.1)
    torch.testing.assert_close(got, slow, rtol=0, atol=1e-5)


def test_many_tiles_and_bands_and_threads() -> None:
    query, keys, values = random_problem(6, 2, 2, 37, 29)
    once = propagate(query, keys, values, radius=3, top_k=4, temperature=0.2)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        threaded = propagate(query, keys, values, radius=3, top_k=4, temperature=0.2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert torch.equal(once, threaded)
    rows, columns = slice(14, 20), slice(10, 18)
    slow = propagate_by_full_matrix(
        query[:, 11:23, 7:21], keys[:, :, 11:23, 7:21], values[:, :, 11:23, 7:21], [Window(3)] * 2, 4, 0.2
    )
    torch.testing.assert_close(once[:, rows, columns], slow[:, 3:9, 3:11], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "windows",
    [
        [Window(3, circular=True), Window(3, circular=True)],
        [Window(None), Window(2)],
        [Window(2.99, circular=True), Window(None)],
        [Window(0), Window(20, circular=True)],
    ],
)
@pytest.mark.parametrize("path", ["cpu", "accelerator"])
def test_windows_of_each_frame(windows: list[Window], path: str) -> None:
    query, keys, values = random_problem(5, 2, 3, 8, 10)
    slow = propagate_by_full_matrix(query, keys, values, windows, 6, 0.1)
    query, keys = normalize_features(query[None])[0], normalize_features(keys)
    if path == "cpu":
        got = propagate_normalized(query, list(keys), list(values), windows=windows, top_k=6, temperature=0.1)
    else:
        halves = [window.for_map(8, 10) for window in windows]
        got = affinity_by_rows.propagate_by_rows(query, list(keys), values.permute(0, 2, 3, 1), halves, 6, 0.1)
    torch.testing.assert_close(got, slow, rtol=0, atol=1e-5)


def test_accelerator_path_in_small_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affinity_by_rows, "WORKSPACE_BYTES", 20_000)
    query, keys, values = random_problem(4, 2, 2, 13, 7)
    want = propagate(query, keys, values, radius=2, top_k=60, temperature=0.1)
    got = affinity_by_rows.propagate_by_rows(
        normalize_features(query[None])[0],
        list(normalize_features(keys)),
        values.permute(0, 2, 3, 1),
        [Window(2).for_map(13, 7)] * 2,
        60,
        0.1,
    )
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


def test_known_value() -> None:
    query = torch.tensor([1.0, 0.0])[:, None, None]
    keys = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])[:, :, None, None]
    values = torch.tensor([1.0, 10.0, 100.0])[:, None, None, None]
    got = propagate(query, keys, values, radius=0, top_k=2, temperature=0.5)
    first = np.exp(2) / (np.exp(2) + 1)
    assert got.item() == pytest.approx(first * 1 + (1 - first) * 10, abs=1e-5)


def test_identical_frames_keep_their_labels() -> None:
    features = torch.randn(32, 12, 12)
    labels = torch.rand(1, 3, 12, 12)
    got = propagate(features, features[None], labels, radius=4, top_k=1, temperature=0.1)
    assert torch.equal(got, labels[0])


def test_flipping_both_flips_the_result() -> None:
    query, keys, values = random_problem(8, 2, 2, 13, 18)
    got = propagate(query, keys, values, radius=3, top_k=5, temperature=0.1)
    for dims in ([-1], [-2]):
        flipped = propagate(query.flip(dims), keys.flip(dims), values.flip(dims), radius=3, top_k=5, temperature=0.1)
        torch.testing.assert_close(flipped.flip(dims), got, rtol=0, atol=1e-5)


def test_order_of_context_frames_and_scale_of_features_do_not_matter() -> None:
    query, keys, values = random_problem(8, 4, 2, 9, 7)
    got = propagate(query, keys, values, radius=3, top_k=5, temperature=0.1)
    order = [2, 0, 3, 1]
    other = propagate(5 * query, 0.01 * keys[order], values[order], radius=3, top_k=5, temperature=0.1)
    torch.testing.assert_close(other, got, rtol=0, atol=1e-5)


def test_first_of_equals_wins() -> None:
    features = torch.ones(1, 1, 5)
    values = torch.arange(10.0).reshape(2, 1, 1, 5)
    got = propagate(features, features.expand(2, 1, 1, 5), values, radius=1, top_k=2, temperature=0.1)
    assert got.flatten().tolist() == [0.5, 0.5, 1.5, 2.5, 3.5]


def test_zero_features_are_similar_to_nothing_and_give_finite_labels() -> None:
    values = torch.rand(1, 1, 1, 3)
    got = propagate(torch.zeros(4, 1, 3), torch.randn(1, 4, 1, 3), values, radius=2, top_k=9, temperature=0.1)
    torch.testing.assert_close(got, values.mean().expand(1, 1, 3))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_refuses_what_is_not_finite(bad: float, which: int) -> None:
    problem = random_problem(3, 2, 1, 4, 4)
    problem[which].view(-1)[7] = bad
    with pytest.raises(ValueError, match="not finite"):
        propagate(*problem, radius=1, top_k=2, temperature=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"radius": -1}, "radius"), ({"top_k": 0}, "top_k"), ({"temperature": 0.0}, "temperature")],
)
def test_refuses_settings_out_of_range(change: dict[str, float], message: str) -> None:
    options = {"radius": 1, "top_k": 2, "temperature": 0.1} | change
    with pytest.raises(ValueError, match=message):
        propagate(*random_problem(3, 1, 1, 4, 4), **options)  # type: ignore[arg-type]


def test_refuses_no_context() -> None:
    query = torch.randn(3, 4, 4)
    with pytest.raises(ValueError, match="at least one"):
        propagate(query, torch.empty(0, 3, 4, 4), torch.empty(0, 1, 4, 4), radius=1, top_k=1, temperature=0.1)


def test_circle_holds_the_cells_within_its_radius() -> None:
    assert Window(2, circular=True).half_widths.tolist() == [2, 1, 0]
    assert Window(11.99, circular=True).half_widths[0] == 11
    assert Window(12, circular=True).half_widths[[0, 12]].tolist() == [12, 0]
