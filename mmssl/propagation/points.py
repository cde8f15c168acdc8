"""Points through a video, without files: for evaluation, and for callers that want nothing but the points."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import closing

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.media.video import VideoFile
from mmssl.models.encoder import Encoder
from mmssl.propagation.heat_maps import decode_points, encode_points
from mmssl.propagation.masks import input_size
from mmssl.propagation.presets import Preset
from mmssl.propagation.propagator import Propagator
from mmssl.propagation.streaming import batches, prefetch

SIGMA_CELLS = 0.5
"""Width of the Gaussian that a point is drawn as."""


def propagate_points(
    source: VideoFile,
    starts: Mapping[int, Float[Tensor, "points 2"]],
    *,
    encoder: Encoder,
    preset: Preset,
    stop: int | None = None,
    encoded: tuple[int, int] | None = None,
    sigma_cells: float = SIGMA_CELLS,
    batch_size: int = 4,
) -> Iterator[tuple[int, Float[Tensor, "points 2"], Float[Tensor, " points"]]]:
    """Follows points forwards from the frames that they are given on.

    Points of one start frame are carried together; each start frame has a memory of its own, of which it is the first
    frame.

    Args:
        source: The video.
        starts: For each start frame, x and y of every point in pixels of the video's frames; NaN for points that do not
            start there. A point starts once.
        encoder: Gives the features.
        preset: Protocol.
        stop: Last frame but one; the end of the video where not given.
        encoded: Height and width at which frames are encoded, if not those of the preset.
        sigma_cells: Width of the Gaussian that a point is drawn as.
        batch_size: Frames encoded together.

    Yields:
        For each frame from the first start on: its number, the points (NaN before their start and where they are lost),
        and their confidence.
    """
    encoded = encoded or input_size(source.size, preset)
    scale = torch.tensor([encoded[1] / source.size[1], encoded[0] / source.size[0]])
    runs: list[tuple[Tensor, Propagator]] = []
    frames = prefetch(source.iterate(start=min(starts), stop=stop), 2 * batch_size)
    with closing(frames):
        for batch in batches(frames, batch_size):
            features = encode_frames(encoder, [frame for _, frame in batch], encoded)
            for (index, _), cells in zip(batch, features, strict=True):
                count = len(next(iter(starts.values())))
                points, confidence = torch.full((count, 2), torch.nan), torch.zeros(count)
                for which, propagator in runs:
                    found, sure = decode_points(propagator.step(cells), stride=encoder.stride)
                    points[which], confidence[which] = found.cpu() / scale, sure.cpu()
                if index in starts:
                    which = torch.nonzero(~starts[index].isnan().any(dim=1))[:, 0]
                    given = starts[index][which]
                    maps = encode_points(
                        given * scale,
                        cells=(cells.shape[1], cells.shape[2]),
                        stride=encoder.stride,
                        sigma_cells=sigma_cells,
                    )
                    runs.append((which, Propagator(preset, num_competing=0)))
                    runs[-1][1].step(cells, maps.to(cells))
                    points[which], confidence[which] = given, 1.0
                yield index, points, confidence


def encode_frames(encoder: Encoder, frames: list[Tensor], size: tuple[int, int]) -> Float[Tensor, "frames dim h w"]:
    """Features of uint8 RGB frames, resized to `size` first, on the encoder's device."""
    device = next(itertools.chain(encoder.parameters(), encoder.buffers()), torch.empty(0)).device
    with torch.inference_mode():
        images = torch.stack([frame.contiguous() for frame in frames]).to(device)
        if tuple(images.shape[2:]) != size:
            images = functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        return encoder.features(images.float() / 255)
