"""The parts of a Label Studio JSON export that matter here: tasks, results, and the regions in them."""

import re
from typing import Any, NotRequired, cast

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from mmssl.errors import LabelError
from mmssl.propagation.video_labels import LabelObject

REGIONS = ("videorectangle", "rectanglelabels", "brushlabels", "polygonlabels", "keypointlabels")
NO_REGIONS = ("choices", "textarea", "rating", "number", "taxonomy", "datetime", "relation", "pairwise")


class Position(TypedDict):
    """A box of a video at a keyframe; frames count from 1, the rest is percent of the picture."""

    frame: int
    x: float
    y: float
    width: float
    height: float
    rotation: NotRequired[float | None]
    enabled: NotRequired[bool | None]
    time: NotRequired[float | None]
    score: NotRequired[float | None]


class Value(TypedDict):
    """What a result says, whatever its type."""

    sequence: NotRequired[list[Position]]
    framesCount: NotRequired[int | None]
    labels: NotRequired[list[str]]
    rectanglelabels: NotRequired[list[str]]
    brushlabels: NotRequired[list[str]]
    polygonlabels: NotRequired[list[str]]
    keypointlabels: NotRequired[list[str]]
    x: NotRequired[float]
    y: NotRequired[float]
    width: NotRequired[float]
    height: NotRequired[float]
    rotation: NotRequired[float | None]
    points: NotRequired[list[tuple[float, float]]]
    format: NotRequired[str]
    rle: NotRequired[list[int]]


class Meta(TypedDict):
    """What an annotator notes on a region."""

    text: NotRequired[list[str] | str]


class Result(TypedDict):
    """A region."""

    id: NotRequired[str]
    type: str
    value: Value
    original_width: NotRequired[int | None]
    original_height: NotRequired[int | None]
    score: NotRequired[float | None]
    meta: NotRequired[Meta | None]
    parentID: NotRequired[str | None]


class Annotation(TypedDict):
    """One annotator's, or one model's, regions of a task."""

    result: list[Result]


class Data(TypedDict):
    """What a task shows, and what our own files note beside it."""

    video: NotRequired[str]
    image: NotRequired[str]
    frame: NotRequired[int]
    objects: NotRequired[list[LabelObject]]
    lost: NotRequired[dict[int, list[int]]]
    confidences: NotRequired[dict[int, float]]
    mask_labeled: NotRequired[bool]
    pts_seconds: NotRequired[float | None]


class Task(TypedDict):
    """A video, or an image."""

    data: Data
    annotations: NotRequired[list[Annotation]]
    predictions: NotRequired[list[Annotation]]


TASKS: TypeAdapter[list[Task]] = TypeAdapter(list[Task])


def checked(value: Any) -> list[Task]:
    """The value as tasks, each with at most one annotation of regions that can be read.

    Raises:
        LabelError: If it is something else; the message names the first wrong place.
    """
    tasks = value if isinstance(value, list) else [value]
    for position, task in enumerate(tasks):
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            hint = "; this may be JSON-MIN, export as JSON" if isinstance(task, dict) else ""
            raise LabelError(f"is not a Label Studio JSON export: task {position} has no data{hint}")
        task["data"] = _picture(task["data"])
        annotations = [each for each in _listed(task, "annotations") if not _cancelled(each)]
        task["annotations"] = annotations or _listed(task, "predictions")
        task["predictions"] = []
        if len(task["annotations"]) > 1:
            raise LabelError(f"task {position} has {len(task['annotations'])} annotations; keep one")
        for annotation in task["annotations"]:
            _keep_regions(position, annotation)
    try:
        return TASKS.validate_python(tasks)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise LabelError(
            f"is not a Label Studio JSON export: task {where}: {first['msg']}, got {repr(first['input'])[:60]}"
        ) from error


def _listed(task: dict[str, Any], key: str) -> list[Any]:
    value = task.get(key)
    return value if isinstance(value, list) else []


def _cancelled(annotation: Any) -> bool:
    return isinstance(annotation, dict) and bool(annotation.get("was_cancelled"))


def _keep_regions(position: int, annotation: Any) -> None:
    results = annotation.get("result") if isinstance(annotation, dict) else None
    if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
        raise LabelError(f"is not a Label Studio JSON export: task {position} has an annotation without a result list")
    kept = [each for each in results if each.get("type") not in NO_REGIONS]
    for each in kept:
        if each.get("type") not in REGIONS:
            raise LabelError(
                f"task {position} holds a region of type {each.get('type')!r}, which is not supported; types are {list(REGIONS)}"
            )
    annotation["result"] = kept


def _picture(data: dict[str, Any]) -> dict[str, Any]:
    """The task's data with its picture or video under `image` or `video`, whatever the project calls it."""
    known = {key: value for key, value in data.items() if key in Data.__annotations__}
    if "image" not in known and "video" not in known:
        for value in data.values():
            if isinstance(value, str) and re.search(r"\.(jpe?g|png|webp|bmp|tiff?|gif)(\?|$)", value, re.IGNORECASE):
                return known | {"image": value}
    return known


def label_of(result: Result) -> str | None:
    """The first label of a region."""
    value = cast(dict[str, Any], result["value"])
    labels = value.get("labels" if result["type"] == "videorectangle" else result["type"]) or value.get("labels") or []
    return str(labels[0]) if labels else None


def note_of(result: Result) -> str | None:
    """The first line of an annotator's note on a region."""
    text = (result.get("meta") or {}).get("text")
    return (text[0] if isinstance(text, list) else text) if text else None
