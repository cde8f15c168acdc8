"""What a format cannot hold: labels are refused, side facts are announced."""

import warnings
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from mmssl.errors import LabelError
from mmssl.propagation.exchange.building import ids_by_name
from mmssl.propagation.video_labels import Kind, LabelWarning, VideoLabels

ALL_FACTS = frozenset(
    {
        "names",
        "ids",
        "colors",
        "skeleton edges",
        "object confidences",
        "keypoint confidences",
        "lost flags",
        "frames without any object",
        "objects without labels",
        "confidences of unseen objects",
    }
)
"""Side facts that labels may carry. Times are not among them: they belong to the video, and readers take them from it."""


def facts_of(labels: VideoLabels) -> frozenset[str]:
    """Which side facts these labels carry."""
    frames = labels.frames.values()
    by_name = ids_by_name([each.name for each in labels.objects])
    seen = [frame.seen() for frame in frames]
    present = {
        "names": any(each.name != f"object {each.id}" for each in labels.objects),
        "ids": any(each.id != by_name[each.name] for each in labels.objects),
        "colors": any(each.color is not None for each in labels.objects),
        "skeleton edges": any(each.skeleton for each in labels.objects),
        "object confidences": any(frame.confidences for frame in frames),
        "keypoint confidences": any(frame.keypoint_confidences for frame in frames),
        "lost flags": any(frame.lost for frame in frames),
        "frames without any object": any(not frame.holds_labels for frame in frames),
        "objects without labels": bool({each.id for each in labels.objects} - frozenset().union(*seen)),
        "confidences of unseen objects": any(
            not set(frame.confidences) <= visible for frame, visible in zip(frames, seen, strict=True)
        ),
    }
    return frozenset(fact for fact, there in present.items() if there)


def check_kinds(labels: VideoLabels, form: str, kinds: tuple[Kind, ...]) -> None:
    """Refuses labels of a kind that a format does not hold.

    Raises:
        LabelError: If there are such objects.
    """
    left_out = [each for each in labels.objects if each.kind not in kinds]
    if left_out:
        first = left_out[0]
        held = " and ".join(kinds)
        raise LabelError(
            f"{form} holds {held}, but object {first.id} ({first.name}) is labeled as {first.kind!r}; "
            f"choose another format or write labels.of_kinds({sorted(kinds)})"
        )


def check_unique_names(labels: VideoLabels, form: str) -> None:
    """Refuses objects that a format which knows names only would merge.

    Raises:
        LabelError: If two objects share a name.
    """
    name, count = Counter(each.name for each in labels.objects).most_common(1)[0]
    if count > 1:
        raise LabelError(f"{form} tells objects apart by name, and {count} are called {name!r}; rename all but one")


def announce_losses(path: Path, labels: VideoLabels, form: str, *, held: Collection[str]) -> None:
    """Warns once of the side facts that are left out of a file."""
    lost = sorted(facts_of(labels) - frozenset(held))
    if lost:
        warnings.warn(f"{path}: {form} does not hold {', '.join(lost)}; left out", LabelWarning, stacklevel=3)
