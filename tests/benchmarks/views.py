"""Times views beside lightly's transforms of the same names, on the same images, on one core.

Run it as `python tests/benchmarks/views.py`. The two take turns; the medians are compared. lightly is given PIL images, as
its data sets give them, and gives normalised tensors; this package's encoders normalise their own input.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.transforms import (
        BYOLTransform,
        DINOTransform,
        MAETransform,
        MoCoV1Transform,
        MoCoV2Transform,
        SimCLRTransform,
    )
    from lightly.transforms.byol_transform import BYOLView1Transform, BYOLView2Transform

from mmssl.config import build
from mmssl.functional.random import ItemRandom
from mmssl.views import VIEW_CHOICE


def pairs(size: int) -> dict[str, tuple[dict[str, Any], Callable[..., Any]]]:
    """This package's spec and lightly's transform, by name."""
    local = round(size * 3 / 7)
    views = (BYOLView1Transform(input_size=size), BYOLView2Transform(input_size=size))
    return {
        "simclr": ({"size": size}, SimCLRTransform(input_size=size)),
        "moco_v1": ({"size": size}, MoCoV1Transform(input_size=size)),
        "moco_v2": ({"size": size}, MoCoV2Transform(input_size=size)),
        "byol": ({"size": size}, BYOLTransform(view_1_transform=views[0], view_2_transform=views[1])),
        "dino": (
            {"size": size, "local_size": local, "num_local": 6},
            DINOTransform(global_crop_size=size, local_crop_size=local, n_local_views=6),
        ),
        "mae": ({"size": size, "patch": size // 8}, MAETransform(input_size=size)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", nargs="*", help="names; all of them where not given")
    parser.add_argument("--image-size", type=int, default=96, help="side of the images")
    parser.add_argument("--size", type=int, default=64, help="side of the views")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips = pictures(arguments.batch, arguments.image_size)
    images = [Image.fromarray(clip[0].permute(1, 2, 0).numpy()) for clip in clips]
    for name, (settings, theirs) in pairs(arguments.size).items():
        if arguments.views and name not in arguments.views:
            continue
        view = build({"name": name, **settings}, VIEW_CHOICE)
        times: dict[str, list[float]] = {"ours": [], "lightly": []}
        for epoch in range(arguments.repeats + 1):
            ways = {
                "ours": lambda view=view, epoch=epoch: view(clips, ItemRandom(0, epoch, range(len(clips)))),
                "lightly": lambda theirs=theirs: [theirs(image) for image in images],
            }
            for way, make in ways.items():
                began = time.process_time()
                make()
                times[way].append(time.process_time() - began)
        ours, others = (arguments.batch / median(times[way][1:]) for way in ("ours", "lightly"))
        print(f"{name:>8}: {ours:8.0f} images/s, lightly {others:8.0f}: {ours / others:5.1f} x as many", flush=True)


def pictures(count: int, size: int) -> Tensor:
    """Smooth random pictures, one frame each."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round().to(torch.uint8)[:, None]


if __name__ == "__main__":
    main()
