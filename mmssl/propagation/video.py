"""Labels through a whole video: any kinds of objects, labeled on any frames; frames stream, results are written as they come."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

import mmssl
from mmssl.config import digest
from mmssl.errors import ConfigError
from mmssl.files import remove_partial
from mmssl.media.video import VideoFile, open_video
from mmssl.models.encoder import Encoder
from mmssl.progress import Progress
from mmssl.propagation.carrying import Carrier, Settings
from mmssl.propagation.channels import Channels
from mmssl.propagation.cost import Cost, peak_memory_mib
from mmssl.propagation.cuts import find_cuts
from mmssl.propagation.exporting import check_exports
from mmssl.propagation.feature_cache import FeatureCache
from mmssl.propagation.files import mask_file
from mmssl.propagation.frame_encoder import FeatureSource, FrameEncoder
from mmssl.propagation.given_labels import read_given
from mmssl.propagation.masks import input_size
from mmssl.propagation.point_follower import PointRule
from mmssl.propagation.presets import PRESETS, Preset
from mmssl.propagation.results import Results, clear
from mmssl.propagation.segments import Group, plan
from mmssl.propagation.state import State, digest_of_files, digest_of_weights, write_json
from mmssl.propagation.video_labels import VideoLabels


@dataclass(frozen=True)
class VideoResult:
    """What a propagation made.

    Args:
        out: Folder with the results.
        num_frames: Frames of the video.
        objects: Ids of the objects, rising.
        cost: Of the work done now; None where all had been done before.
    """

    out: Path
    num_frames: int
    objects: tuple[int, ...]
    cost: Cost | None = None

    @property
    def seconds_per_frame(self) -> float | None:
        """Wall-clock time a frame of the frames done now; None where all had been done before."""
        return None if self.cost is None else self.cost.seconds_per_frame

    def mask_file(self, frame: int) -> Path:
        """Where the mask of a frame lies."""
        return mask_file(self.out, frame)


def find_preset(preset: str | Preset) -> Preset:
    """A preset by name, or itself.

    Raises:
        ConfigError: If there is none of that name.
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise ConfigError(f"{preset!r} is no preset; presets are {sorted(PRESETS)}")
    return PRESETS[preset]


def propagate_video(
    video: Path,
    labels: Path | VideoLabels,
    *,
    encoder: Encoder,
    encoder_name: str,
    encoder_digest: str | None = None,
    out: Path,
    preset: str | Preset = "default",
    label_format: str | None = None,
    label_frame: int | None = None,
    save_as: Sequence[str] = (),
    soft_masks: bool = False,
    stop_at_cuts: bool = True,
    plain: bool = False,
    batch_size: int = 4,
    overlay: bool = True,
    features: Path | None = None,
    points: PointRule = "pixels",
) -> VideoResult:
    """Carries labels of objects on one or more frames to every frame of a video.

    Masks, boxes, keypoints and free points go together in one pass. From each labeled frame labels are carried forwards
    and backwards; between two of them both passes are fused by confidence and nearness. An object that a labeled frame
    shows, but its other neighbor among the labeled frames does not, is carried until it fades. Called again with a labeled
    frame more, only the frames between its neighbors among the labeled frames are done again.

    Writes to `out`:

    - `masks/00000.png` ...: index masks at the video's size, where there are masks; or filled boxes, where there are only boxes;
    - `frames.csv`: exact presentation time, area of each object in each frame;
    - `objects.csv`: for each object and frame area, confidence, whether it is lost;
    - `review.csv`: what to look at again, the most doubtful first;
    - `overlay.mp4` and `contact_sheet.png`: labels drawn on the video; `summary.json`;
    - `labels.FORMAT...` for each format of `save_as`; `soft_masks/OBJECT/00000.png` ... if asked for;
    - `segments/`: what later calls need not do again; `logs/timing.json`, the only file that depends on the clock.

    Interrupted, the same call goes on where it stopped and ends with the same bytes; complete, it returns at once.

    Args:
        video: A video file, or a folder of numbered images.
        labels: A file or folder in any format of `mmssl.propagation.exchange`, or labels. In index masks 0 is the
            background, each other index an object; 255 beside other objects means nobody's pixels, alone it is object 1.
        encoder: Gives the features; used in evaluation mode, on the device it is on.
        encoder_name: How the results name it.
        encoder_digest: Of its spec and weights; made of its name and weights where not given.
        out: Folder to write to; made where it is missing.
        preset: Protocol, or its name in `PRESETS`.
        label_format: Format of `labels`; None to detect it.
        label_frame: Frame of a single index mask; 0 unless told.
        save_as: Formats to write the results in, names in `exporting.EXPORTS`.
        soft_masks: Whether to write how much each pixel belongs to each object, as 16-bit gray PNG.
        stop_at_cuts: Whether to find scene cuts and carry nothing across them.
        plain: The preset's protocol and nothing else: no scene cuts, no confidence, and nothing is ever lost.
        batch_size: Frames encoded together.
        overlay: Whether to write `overlay.mp4` and `contact_sheet.png`.
        features: Folder of feature caches: frames are encoded once and their features kept there in half precision, for
            later calls with other labels or another preset. Results are those without it up to that precision.
        points: How joints and points are followed; see `PointFollower`.

    Returns:
        Where things are.

    Raises:
        MediaError: If the video cannot be read.
        LabelError: If the labels cannot be read, do not fit the video, hold no object, or cannot be saved as asked.
        ConfigError: If there is no such preset or format.
        CheckpointError: If the encoder gives features that are not finite.
    """
    preset = find_preset(preset)
    with open_video(video) as source:
        given, void = read_given(labels, source, label_format, label_frame)
        check_exports(given, save_as)
        settings = Settings(batch_size, plain, soft_masks, points)
        video_digest = digest_of_files(video)
        encoder_digest = encoder_digest or digest([encoder_name, digest_of_weights(encoder)])
        made_of = {
            "version": mmssl.__version__,
            "video": video_digest,
            "encoder": encoder_name,
            "weights": encoder_digest,
            "preset": asdict(preset),
            "half": features is not None,
            **asdict(settings),
        }
        record = digest(made_of)
        uncut = plan(given, num_frames=source.num_frames, void=void)
        objects = tuple(sorted((each for group in uncut for each in group.objects), key=lambda each: each.id))
        asked = {
            "record": record,
            "segments": [group.digest(segment) for group in uncut for segment in group.segments],
            "objects": [asdict(each) for each in objects],
            "stop_at_cuts": stop_at_cuts,
            "save_as": list(save_as),
            "overlay": overlay,
        }
        state = State(out, digest(asked))
        result = VideoResult(out, source.num_frames, tuple(each.id for each in objects))
        if state.is_complete():
            return result
        seconds: defaultdict[str, float] = defaultdict(float)
        began, processor_began = time.perf_counter(), time.process_time()
        cuts = find_cuts(source) if stop_at_cuts and not plain else ()
        seconds["cuts"] = time.perf_counter() - began
        groups = plan(given, num_frames=source.num_frames, cuts=cuts, void=void) if cuts else uncut
        network = FrameEncoder(encoder, encoder_name, input_size(source.size, preset))
        encode: FeatureSource = network
        if features is not None:
            cache = FeatureCache(
                features, network, encoder_digest=encoder_digest, video_digest=video_digest, batch_size=batch_size
            )
            cache.fill(source)
            encode = cache
            seconds["features"] = time.perf_counter() - began - seconds["cuts"]
        carriers = [
            Carrier(
                source,
                encode,
                _channels(group, source, encode, preset),
                group,
                out=out,
                state=state,
                settings=settings,
                record=record,
                seconds=seconds,
            )
            for group in groups
        ]
        done_now = _carry(carriers, out, source.num_frames)
        results = Results(out, source, carriers, objects, cuts)
        carried = time.perf_counter()
        results.write(save_as, overlay=overlay, plain=plain)
        seconds["results"] = time.perf_counter() - carried
        cost = Cost(
            frames=done_now,
            seconds_in_all=time.perf_counter() - began,
            processor_seconds=time.process_time() - processor_began,
            seconds=dict(seconds),
            peak_memory_mib=peak_memory_mib(),
        )
    facts = {
        "video": video.name,
        "video_digest": video_digest,
        "labels": labels.name if isinstance(labels, Path) else "",
        "labels_digest": digest_of_files(labels) if isinstance(labels, Path) else "",
        "encoder": encoder_name,
        "encoder_digest": encoder_digest,
        "preset": asdict(preset),
        "size": {"height": source.size[0], "width": source.size[1]},
        "encoded_size": {"height": encode.encoded[0], "width": encode.encoded[1]},
        "frames": source.num_frames,
        "labeled_frames": sorted({key for group in groups for key in group.frames}),
        "cuts": list(cuts),
        "objects": results.facts(),
        "versions": {"mmssl": mmssl.__version__, "torch": torch.__version__},
    }
    (out / "logs").mkdir(exist_ok=True)
    write_json(out / "logs" / "timing.json", {"seconds_per_frame": cost.seconds_per_frame, **asdict(cost)})
    state.complete(facts)
    return replace(result, cost=cost)


def _channels(group: Group, source: VideoFile, encode: FeatureSource, preset: Preset) -> Channels:
    cells = (-(-encode.encoded[0] // encode.stride), -(-encode.encoded[1] // encode.stride))
    return Channels(group.objects, source.size, encode.encoded, cells, encode.stride, preset)


def _carry(carriers: Sequence[Carrier], out: Path, num_frames: int) -> int:
    """Does the segments that are not done yet; returns the number of their frames."""
    for place in (out, out / "segments", out / "masks", *out.glob("soft_masks/*")):
        remove_partial(place)
    clear(out, {file for carrier in carriers for file in carrier.files()}, num_frames)
    for folder in ("masks", "segments"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    pending = [(carrier, segment) for carrier in carriers for segment in carrier.pending()]
    total = sum(segment.stop - segment.start for _, segment in pending)
    with Progress("propagate", total, unit="frames") as progress:
        for carrier, segment in pending:
            carrier.run(segment, progress.advance)
    return total
