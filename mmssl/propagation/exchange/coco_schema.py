"""The parts of a COCO file that matter for the labels of one video, and what else is not COCO of one video."""

from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from mmssl.errors import LabelError
from mmssl.propagation.video_labels import Kind


class RunLengths(TypedDict):
    """A mask; packed text or plain counts."""

    size: tuple[int, int]
    counts: str | list[int]


class Attributes(TypedDict):
    """What CVAT adds to an annotation."""

    track_id: NotRequired[int | None]


class CocoImage(TypedDict):
    """A frame."""

    id: int | str
    file_name: NotRequired[str | None]
    width: NotRequired[int | None]
    height: NotRequired[int | None]
    video_id: NotRequired[int | str | None]
    frame_index: NotRequired[int | None]
    frame_id: NotRequired[int | None]
    pts_seconds: NotRequired[float | None]
    lost: NotRequired[list[int]]
    confidences: NotRequired[dict[int, float]]
    mask_labeled: NotRequired[bool]


class CocoCategory(TypedDict):
    """What objects are called; with keypoints, their names and edges counted from 1."""

    id: int
    name: str
    keypoints: NotRequired[list[str] | None]
    skeleton: NotRequired[list[tuple[int, int]] | None]


class CocoAnnotation(TypedDict):
    """One object on one frame."""

    image_id: int | str
    category_id: int
    bbox: NotRequired[list[float] | None]
    segmentation: NotRequired[RunLengths | list[list[float]] | None]
    keypoints: NotRequired[list[float] | None]
    keypoint_scores: NotRequired[list[float | None] | None]
    score: NotRequired[float | None]
    track_id: NotRequired[int | None]
    instance_id: NotRequired[int | None]
    attributes: NotRequired[Attributes | None]


class CocoTrack(TypedDict):
    """One object."""

    id: int
    name: NotRequired[str]
    category_id: NotRequired[int]
    kind: NotRequired[Kind]
    color: NotRequired[tuple[int, int, int] | None]


class CocoFile(TypedDict):
    """All of it."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
    tracks: NotRequired[list[CocoTrack]]


FILE: TypeAdapter[CocoFile] = TypeAdapter(CocoFile)


def checked(value: Any) -> CocoFile:
    """The value as COCO of one video.

    Raises:
        LabelError: If it is something else; the message names the first wrong place.
    """
    if isinstance(value, list):
        raise LabelError("is a list of results without images and categories; give the whole COCO file")
    if isinstance(value, dict) and any("segmentations" in each for each in _dicts(value.get("annotations"))):
        raise LabelError("is YouTube-VIS (an annotation a video); expected COCO with an annotation an image")
    try:
        content = FILE.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"] if not str(step).startswith(("list[", "RunLengths")))
        raise LabelError(
            f"is not COCO: {where or 'the top'}: {first['msg']}, got {repr(first['input'])[:60]}"
        ) from error
    videos = {image.get("video_id") for image in content["images"]}
    if len(videos) > 1:
        raise LabelError(f"holds {len(videos)} videos (video_id {sorted(map(str, videos))[:4]}); give a file of one")
    return content


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def pycocotools() -> Any:
    """The module that packs and unpacks masks.

    Raises:
        LabelError: If it is not installed.
    """
    try:
        from pycocotools import mask as codec
    except ImportError as error:
        raise LabelError("COCO masks need pycocotools, which is not installed: pip install pycocotools") from error
    return codec
