"""SLEAP `.slp` files, by sleap-io: the instances of each frame, their tracks and skeletons.

A track is an object. Instances without a track are one object if no frame has two of them, or each its own if they are all on one
frame. Where a person corrected a prediction, the person's instance counts. SLEAP counts pixels, so that 0 is the center of the
first (files before format 1.1 are converted by sleap-io): 0.5 is added.

Holds keypoints and free points (others are refused), names, skeleton edges, confidences of objects and of keypoints: what has one
is written as a prediction, the rest as labels by a person. Does not hold ids that do not follow from the names (see
`building.ids_by_name`), colors, lost flags, frames without any object, objects without labels and confidences of unseen objects
(announced).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mmssl.errors import LabelError
from mmssl.propagation.exchange.building import LabelBuilder, ids_by_name
from mmssl.propagation.exchange.files import naming, read_bytes
from mmssl.propagation.exchange.losses import announce_losses, check_kinds, check_unique_names
from mmssl.propagation.video_labels import LabelObject, VideoLabels, object_with_points

FORM = "SLEAP"


def _sleap_io() -> Any:
    try:
        import sleap_io
    except ImportError as error:
        raise LabelError(".slp files need sleap-io, which is not installed: pip install sleap-io") from error
    return sleap_io


def read(
    path: Path,
    *,
    size: tuple[int, int],
    num_frames: int | None = None,
    pts_seconds: Sequence[float] | None = None,
) -> VideoLabels:
    """Reads a file that labels one video.

    Args:
        path: The file.
        size: Height and width of the video in pixels.
        num_frames: Frames of the video.
        pts_seconds: Presentation time of each frame of the video.

    Raises:
        LabelError: If sleap-io is not installed or cannot read the file, or the file does not fit the video.
    """
    sleap_io = _sleap_io()
    read_bytes(path)
    try:
        content = sleap_io.load_slp(str(path), open_videos=False)
        frames = [(int(frame.frame_idx), _chosen(frame)) for frame in content.labeled_frames]
        shapes = [video.shape for video in content.videos]
    except Exception as error:
        raise LabelError(f"{path}: sleap-io cannot read it: {' '.join(str(error).split())}") from error
    with naming(path):
        if len(shapes) > 1:
            raise LabelError(f"labels {len(shapes)} videos; save the labels of one video to a file of their own")
        if shapes and shapes[0] is not None and tuple(shapes[0][1:3]) != size:
            height, width = shapes[0][1:3]
            raise LabelError(f"labels a video of {width} x {height} pixels, this one has {size[1]} x {size[0]}")
        names = _names(content.tracks, frames)
        ids = ids_by_name(names[id(each)] for _, chosen in frames for each in chosen)
        skeletons = {names[id(each)]: each.skeleton for _, chosen in frames for each in chosen}
        order = {track.name: position for position, track in enumerate(content.tracks)}
        ids = ids_by_name(sorted(ids, key=lambda name: order.get(name, len(order))))
        objects = {name: _object(ids[name], name, skeleton) for name, skeleton in skeletons.items()}
        builder = LabelBuilder(path, objects.values(), size=size, num_frames=num_frames, pts_seconds=pts_seconds)
        for index, chosen in frames:
            for instance in chosen:
                _put(builder, index, objects[names[id(instance)]], instance)
        return builder.build()


def _chosen(frame: Any) -> list[Any]:
    """A frame's instances; of a track's prediction and its correction only the latter."""
    corrected = {id(each.track) for each in frame.user_instances if each.track is not None}
    replaced = {id(each.from_predicted) for each in frame.user_instances if each.from_predicted is not None}
    kept = [each for each in frame.predicted_instances if id(each.track) not in corrected and id(each) not in replaced]
    return [*frame.user_instances, *kept]


def _names(tracks: list[Any], frames: list[tuple[int, list[Any]]]) -> dict[int, str]:
    """The object's name of each instance, by Python's identity of the instance."""
    repeated = [name for name, count in Counter(track.name for track in tracks).items() if count > 1]
    if repeated:
        raise LabelError(f"two tracks are called {repeated[0]!r}; rename one")
    loose = [(index, each) for index, chosen in frames for each in chosen if each.track is None]
    counts = Counter(index for index, _ in loose)
    names = {id(each): each.track.name for _, chosen in frames for each in chosen if each.track is not None}
    if max(counts.values(), default=0) <= 1:
        return names | {id(each): "untracked" for _, each in loose}
    if len(counts) > 1:
        raise LabelError(f"frame {counts.most_common(1)[0][0]} has several instances without a track; give them tracks")
    return names | {id(each): f"instance {number}" for number, (_, each) in enumerate(loose, start=1)}


def _object(object_id: int, name: str, skeleton: Any) -> LabelObject:
    edges = tuple((int(first), int(second)) for first, second in skeleton.edge_inds)
    return object_with_points(object_id, name, tuple(skeleton.node_names), skeleton=edges)


def _put(builder: LabelBuilder, index: int, of: LabelObject, instance: Any) -> None:
    points = np.asarray(instance.numpy(), dtype=np.float64)[:, :2] + 0.5
    if len(points) != of.num_points:
        raise LabelError(f"frame {index}: {of.name} has {len(points)} points, its skeleton {of.num_points}")
    score = getattr(instance, "score", None)
    scores: Float[np.ndarray, " points"] | None = None
    if score is not None:
        scores = np.asarray(instance.points["score"], dtype=np.float64)
        if not np.isnan(score):
            builder.put_confidence(index, of.id, float(score))
    known = scores is not None and not np.isnan(scores[~np.isnan(points[:, 0])]).all()
    builder.put_keypoints(index, of.id, points, scores if known else None)


def write(path: Path, labels: VideoLabels, *, video: str = "video.mp4") -> None:
    """Writes a file.

    Args:
        path: The file; its name must end in `.slp`.
        labels: Keypoints and free points.
        video: Where SLEAP finds the video.

    Raises:
        LabelError: If sleap-io is not installed, there are masks or boxes, or two objects share a name.
    """
    sleap_io = _sleap_io()
    with naming(path):
        check_kinds(labels, FORM, ("keypoints", "point"))
        check_unique_names(labels, FORM)
        if path.suffix.lower() != ".slp":
            raise LabelError("the name of a SLEAP file must end in .slp")
        held = {"names", "skeleton edges", "object confidences", "keypoint confidences"}
        announce_losses(path, labels, FORM, held=held)
    film = sleap_io.Video(filename=video, open_backend=False)
    skeletons: dict[tuple[Any, ...], Any] = {}
    for of in labels.objects:
        key = (of.point_names, of.skeleton)
        if key not in skeletons:
            name = f"skeleton {len(skeletons) + 1}"
            skeletons[key] = sleap_io.Skeleton(nodes=list(of.point_names), edges=list(of.skeleton), name=name)
    tracks = {of.id: sleap_io.Track(name=of.name) for of in labels.objects}
    frames = []
    for index, frame in labels.frames.items():
        instances = []
        for of in labels.objects:
            if of.id not in frame.keypoints or np.isnan(frame.keypoints[of.id]).all():
                continue
            facts = {"skeleton": skeletons[of.point_names, of.skeleton], "track": tracks[of.id]}
            points = frame.keypoints[of.id] - 0.5
            if of.id in frame.confidences or of.id in frame.keypoint_confidences:
                unknown = np.full(of.num_points, np.nan)
                instance = sleap_io.PredictedInstance.from_numpy(
                    points,
                    point_scores=frame.keypoint_confidences.get(of.id, unknown),
                    score=frame.confidences.get(of.id, float("nan")),
                    **facts,
                )
            else:
                instance = sleap_io.Instance.from_numpy(points, **facts)
            instances.append(instance)
        if instances:
            frames.append(sleap_io.LabeledFrame(video=film, frame_idx=index, instances=instances))
    content = sleap_io.Labels(
        labeled_frames=frames, videos=[film], skeletons=list(skeletons.values()), tracks=list(tracks.values())
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial.slp")
    sleap_io.save_slp(content, str(partial), embed=False, verbose=False)
    partial.replace(path)
