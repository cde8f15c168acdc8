"""Points through a video, without files: for evaluation, and for callers that want nothing but the points."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import repeat

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from mmssl.media.video import VideoFile
from mmssl.propagation.frame_encoder import FeatureSource
from mmssl.propagation.heat_maps import decode_points, encode_points
from mmssl.propagation.point_follower import PointFollower, PointRule
from mmssl.propagation.presets import Preset
from mmssl.propagation.propagator import Propagator
from mmssl.propagation.streaming import batches, prefetch

SIGMA_CELLS = 0.5
"""Width of the Gaussian that a point is drawn as."""


def propagate_points(
    source: VideoFile,
    starts: Mapping[int, Float[Tensor, "points 2"]],
    *,
    encode: FeatureSource,
    preset: Preset,
    stop: int | None = None,
    sigma_cells: float = SIGMA_CELLS,
    batch_size: int = 4,
    rule: PointRule = "features",
    groups: Sequence[Integer[Tensor, " joints"]] = (),
) -> Iterator[tuple[int, Float[Tensor, "points 2"], Float[Tensor, " points"]]]:
    """Follows points forwards from the frames that they are given on.

    Points of one start frame are carried together; each start frame has a memory of its own, of which it is the first
    frame.

    Args:
        source: The video.
        starts: For each start frame, x and y of every point in pixels of the video's frames; NaN for points that do not
            start there. A point starts once.
        encode: Gives the features of its frames, at the size at which points are followed.
        preset: Protocol.
        stop: Last frame but one; the end of the video where not given.
        sigma_cells: Width of the Gaussian that a point is drawn as.
        batch_size: Frames encoded together.
        rule: How points are followed; see `PointRule`.
        groups: Points of each animal.

    Yields:
        For each frame from the first start on: its number, the points (NaN before their start and where they are lost),
        and their confidence.
    """
    scale = torch.tensor([encode.encoded[1] / source.size[1], encode.encoded[0] / source.size[0]])
    stop = source.num_frames if stop is None else stop
    runs: list[tuple[Tensor, Propagator]] = []
    count = len(next(iter(starts.values())))
    frames = prefetch(encode.frames(source, start=min(starts), stop=stop), 2 * batch_size)
    pictures = prefetch(source.iterate(start=min(starts), stop=stop) if rule != "features" else repeat((0, None)), 2)
    with closing(frames), closing(pictures):
        for batch in batches(frames, batch_size):
            features = encode([frame for _, frame in batch])
            for (index, _), cells in zip(batch, features, strict=True):
                _, picture = next(pictures)
                points, confidence = torch.full((count, 2), torch.nan), torch.zeros(count)
                for which, propagator in runs:
                    found, sure = decode_points(propagator.step(cells, frame=picture), stride=encode.stride)
                    points[which], confidence[which] = found.cpu() / scale, sure.cpu()
                if index in starts:
                    which = torch.nonzero(~starts[index].isnan().any(dim=1))[:, 0]
                    given = starts[index][which]
                    maps = encode_points(
                        given * scale,
                        cells=(cells.shape[1], cells.shape[2]),
                        stride=encode.stride,
                        sigma_cells=sigma_cells,
                    )
                    follower = PointFollower(
                        stride=encode.stride,
                        scale=scale,
                        sigma_cells=sigma_cells,
                        groups=[torch.nonzero(torch.isin(which, group))[:, 0] for group in groups if rule == "rigid"],
                    )
                    propagator = Propagator(preset, num_competing=0, follower=follower if rule != "features" else None)
                    propagator.step(cells, maps.to(cells), frame=picture)
                    runs.append((which, propagator))
                    points[which], confidence[which] = given, 1.0
                yield index, points, confidence
