"""Pictures of embeddings in the plane, by PCA and t-SNE, in the colors of their labels or of clusters."""

import textwrap
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch.nn.functional import normalize

from mmssl.errors import EvaluationError
from mmssl.evaluation.columns import column_values
from mmssl.evaluation.labeled import shuffled
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.files import atomic_file
from mmssl.functional.kmeans import kmeans
from mmssl.functional.projection import principal_components

MAX_NAMED_CLASSES = 20
TITLE_LETTERS = 64
"""Letters of a line of a title; names of encoders may be paths."""
NUM_CLUSTERS = 8
"""Colored where there is no label."""

PCA_BEFORE_TSNE = 50
"""Directions that t-SNE starts from."""


def projection(
    subject: Subject,
    *,
    split: str = "test",
    label: str | None = None,
    max_clips: int = 2000,
    perplexity: float = 30.0,
    tsne: bool = True,
) -> list[ReportRow]:
    """Draws normalised embeddings in the plane: by PCA, and by t-SNE from the first 50 directions of PCA.

    Distances and sizes of clusters in a t-SNE picture say nothing; that classes lie apart does. Where no clip has a label, colors
    are those of eight clusters that k-means finds among the embeddings.

    Args:
        subject: Its clips, or a table of its embeddings; its `out` gets the pictures.
        split: Split to draw; where the data has one split, that one.
        label: Column of the manifest that gives the colors, such as who speaks; the rows' label where not given.
        max_clips: Of more clips, so many are drawn, chosen by the seed.
        perplexity: Of t-SNE: about how many neighbours a clip has.
        tsne: Whether to draw t-SNE too.

    Returns:
        The share of the variance that the plane of PCA shows.

    Raises:
        EvaluationError: If the split has fewer than three clips, or the manifest has no such column.

    Source:
        van der Maaten and Hinton 2008, "Visualizing data using t-SNE", in scikit-learn's version.
    """
    table = subject.embeddings()
    names = sorted({name or "none" for name in table.splits})
    chosen = names[0] if len(names) == 1 else split
    places = np.flatnonzero(np.array([(name or "none") == chosen for name in table.splits]))
    if len(places) < 3:
        raise EvaluationError(f"the split {chosen!r} has {len(places)} clips to draw; splits are {names}; set split")
    order = shuffled([table.ids[place] for place in places], seed=subject.seed, purpose="projection")
    drawn = places[order[:max_clips]]
    points = normalize(torch.from_numpy(np.array(table.embeddings[drawn])), dim=1)
    known = table.labels if label is None else column_values(table, subject, label)
    shown_labels = [known[place] for place in drawn]
    labels = np.array([name or "no label" for name in shown_labels]) if any(shown_labels) else _clusters(points)
    plane, share = principal_components(points)
    if subject.out is not None:
        of = "" if chosen == "none" else f" of {chosen}"
        title = f"{subject.name or subject.encoder.reference}, {len(drawn)} clips{of}"
        shown = f"PCA: {100 * float(share.sum()):.0f} % of the variance"
        draw_points(subject.out / "pca.png", plane.numpy(), labels, title=f"{title}\n{shown}")
        if tsne:
            near = _tsne(points.numpy(), perplexity=perplexity, seed=subject.seed)
            draw_points(subject.out / "tsne.png", near, labels, title=f"{title}\nt-SNE, perplexity {perplexity:g}")
    return [
        subject.row(
            "projection",
            "variance in the plane",
            float(share.sum()),
            split="all" if chosen == "none" else chosen,
            num_items=len(drawn),
            protocol=f"Share of the variance of {len(drawn)} L2-normalised embeddings that their first two principal "
            "components show; a picture, not a measure of quality.",
            is_score=False,
        )
    ]


def draw_points(
    file: Path, points: Float[np.ndarray, "clips 2"], labels: np.ndarray, *, title: str, side_inches: float = 5.0
) -> None:
    """Writes a scatter plot as PNG: a color a class, with a legend where there are at most 20."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    names = np.unique(labels)
    colors = mpl.colormaps["tab10" if len(names) <= 10 else "tab20" if len(names) <= MAX_NAMED_CLASSES else "turbo"]
    figure = Figure(figsize=(side_inches * 1.3, side_inches), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(names):
        color = colors(number / max(len(names) - 1, 1) if len(names) > MAX_NAMED_CLASSES else number)
        x, y = points[labels == name].T
        axes.scatter(x, y, s=7, linewidths=0, alpha=0.75, color=color, label=str(name))
    lines = (line for part in title.splitlines() for line in textwrap.wrap(part, TITLE_LETTERS))
    axes.set_title("\n".join(lines), fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    if len(names) <= MAX_NAMED_CLASSES:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, markerscale=2.5)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as partial:
        figure.savefig(partial, format="png", dpi=130, metadata={"Software": None})


def _clusters(points: Float[torch.Tensor, "clips dim"]) -> np.ndarray:
    """A name for the cluster of each clip, the largest first, with its number of clips."""
    centers = kmeans(points, num_clusters=min(NUM_CLUSTERS, len(points)))
    found = torch.cdist(points.double(), centers.double()).argmin(1).numpy()
    sizes = np.bincount(found)
    place = np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")
    return np.array([f"cluster {place[number] + 1}: {sizes[number]}" for number in found])


def _tsne(points: Float[np.ndarray, "clips dim"], *, perplexity: float, seed: int) -> Float[np.ndarray, "clips 2"]:
    from sklearn.manifold import TSNE

    components = min(PCA_BEFORE_TSNE, *points.shape)
    reduced = principal_components(torch.from_numpy(points), num_components=components)[0].numpy()
    fitting = TSNE(perplexity=min(perplexity, (len(points) - 1) / 3), init="pca", random_state=seed)
    placed: Float[np.ndarray, "clips 2"] = fitting.fit_transform(reduced)
    return placed
