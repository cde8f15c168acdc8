"""Which object each region of a Label Studio export is of."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mmssl.errors import LabelError
from mmssl.propagation.exchange.label_studio_schema import Result, label_of, note_of
from mmssl.propagation.video_labels import MAX_OBJECT_ID, LabelObject, object_with_points

OWN_ID = re.compile(r"object-(\d+)(?:-.*)?")
Key = tuple[str, str]


@dataclass(frozen=True)
class Region:
    """A result and the frame its task shows; None for a video."""

    result: Result
    frame: int | None


def objects_of(
    regions: Sequence[Region], given: Sequence[LabelObject]
) -> tuple[dict[int, LabelObject], list[int | None]]:
    """Objects by id, and the object of each region; None for a region that only holds the keypoints of an object.

    Args:
        regions: All of a file.
        given: Objects that the file lists itself.

    Raises:
        LabelError: If nothing says which regions are of one object.
    """
    by_region_id = {region.result.get("id"): region for region in regions}
    parents = {region.result.get("parentID") for region in regions if region.result["type"] == "keypointlabels"}
    keys = [
        None
        if region.result.get("id") in parents and region.result["type"] != "keypointlabels"
        else _key(position, region, by_region_id)
        for position, region in enumerate(regions)
    ]
    keys = _told_apart(keys, regions)
    members: dict[Key, list[Region]] = defaultdict(list)
    for key, region in zip(keys, regions, strict=True):
        if key is not None:
            members[key].append(region)
    objects = {each.id: each for each in given}
    id_by_name = {each.name: each.id for each in given}
    ids: dict[Key, int] = {}
    for key in sorted(members, key=lambda each: each[0] != "id"):
        kind, name = key
        if kind == "id":
            ids[key] = int(name)
        elif kind == "name" and name in id_by_name:
            ids[key] = id_by_name[name]
        else:
            taken = set(objects) | set(ids.values())
            ids[key] = next(number for number in range(1, MAX_OBJECT_ID + 1) if number not in taken)
        if ids[key] not in objects:
            objects[ids[key]] = _object(ids[key], key, members[key])
    return objects, [None if key is None else ids[key] for key in keys]


def _key(position: int, region: Region, by_region_id: dict[str | None, Region]) -> Key:
    result = region.result
    own = OWN_ID.fullmatch(result.get("id", ""))
    if own:
        return "id", str(int(own[1]))
    if result["type"] == "videorectangle":
        return "region", str(position)
    if result["type"] == "keypointlabels":
        parent = by_region_id.get(result.get("parentID"))
        if parent is not None:
            return _key(position, parent, by_region_id) if parent is not region else ("name", "keypoints")
        return "name", note_of(result) or "keypoints"
    return "name", label_of(result) or result["type"].removesuffix("labels")


def _told_apart(keys: list[Key | None], regions: Sequence[Region]) -> list[Key | None]:
    """Splits regions of one name into objects where they are all on one image."""
    shapes = [
        (key, region.frame, position)
        for position, (key, region) in enumerate(zip(keys, regions, strict=True))
        if key is not None and key[0] == "name" and region.result["type"] != "keypointlabels"
    ]
    places: dict[Key, list[int | None]] = defaultdict(list)
    for key, frame, _ in shapes:
        places[key].append(frame)
    told = list(keys)
    for key, frame, position in shapes:
        frames = places[key]
        if len(set(frames)) == len(frames):
            continue
        if len(set(frames)) > 1:
            raise LabelError(
                f"several regions of {key[1]!r} on frame {frame}, and nothing says which is which on the other frames; "
                "give each object its own label"
            )
        told[position] = ("region", str(position))
    return told


def _object(object_id: int, key: Key, regions: Sequence[Region]) -> LabelObject:
    types = {region.result["type"] for region in regions}
    result = regions[0].result
    name = (key[1] if key[0] == "name" else None) or f"object {object_id}"
    if types == {"keypointlabels"}:
        joints = dict.fromkeys(label_of(region.result) or "" for region in regions)
        return object_with_points(object_id, note_of(result) or name, tuple(joints))
    name = label_of(result) or name
    if types <= {"rectanglelabels", "videorectangle"}:
        return LabelObject(object_id, name, "box")
    if types <= {"brushlabels", "polygonlabels"}:
        return LabelObject(object_id, name, "mask")
    raise LabelError(f"object {object_id} ({name}) mixes regions of the types {sorted(types)}")
