"""From a decoder's frame to RGB: color matrix and range, size, orientation."""

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from mmssl.media.orientation import Orientation
from mmssl.media.video_file import Size


class RgbConverter:
    """Turns decoded frames into RGB.

    The color matrix and range are those the frame names; where it names none, BT.601 and limited range, as FFmpeg
    assumes. Resizing is bilinear with the filter widened by the scale when shrinking (antialiased), done on the stored
    color planes before they become RGB.

    Args:
        orientation: How frames are shown.
    """

    def __init__(self, orientation: Orientation) -> None:
        self.orientation = orientation
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame, size: Size) -> UInt8[Tensor, "h w 3"]:
        """One frame at a size, which is the size as shown; a view of the decoder's memory where it can be."""
        height, width = self.orientation.size(size)
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation=Interpolation.BILINEAR,
            threads=torch.get_num_threads(),
        )
        plane = rgb.planes[0]
        memory = np.frombuffer(memoryview(plane), np.uint8)
        pixels = torch.from_numpy(memory).as_strided((height, width, 3), (plane.line_size, 3, 1))
        return self.orientation(pixels)


def resized(image: UInt8[Tensor, "3 height width"], size: Size) -> UInt8[Tensor, "3 h w"]:
    """A picture at a size, antialiased when shrinking."""
    if tuple(image.shape[1:]) == size:
        return image
    return interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
