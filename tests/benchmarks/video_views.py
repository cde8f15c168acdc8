"""Times views of video beside the same transforms of torchvision v2, one image at a time, on one core.

Run it as `python tests/benchmarks/video_views.py`. All take turns; the medians are compared. torchvision is given each frame
as it likes best: the faster of PIL images and uint8 tensors counts. It draws crops and flips for each frame anew, which costs
it nothing; this package draws them once a clip.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

sys.path.insert(0, str(Path(__file__).parents[2]))

from mmssl.config import build
from mmssl.functional.random import ItemRandom
from mmssl.memory import keep_freed_memory
from mmssl.views import VIEW_CHOICE

TO_FLOAT = (v2.ToImage(), v2.ToDtype(torch.float32, scale=True))


def moments(size: int) -> v2.Compose:
    crop = v2.RandomResizedCrop(size + 4, scale=(0.5, 1.0), antialias=True)
    shifted = (v2.RandomHorizontalFlip(), v2.RandomCrop(size), v2.ColorJitter(brightness=0.1))
    return v2.Compose([crop, *shifted, *TO_FLOAT])


def crops(size: int, scale: tuple[float, float]) -> v2.Compose:
    return v2.Compose([v2.RandomResizedCrop(size, scale=scale, antialias=True), v2.RandomHorizontalFlip(), *TO_FLOAT])


def colored_crops(size: int, scale: tuple[float, float]) -> v2.Compose:
    crop = v2.RandomResizedCrop(size, scale=scale, antialias=True)
    colors = v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8)
    return v2.Compose([crop, v2.RandomHorizontalFlip(), colors, v2.RandomGrayscale(0.1), *TO_FLOAT])


# View, side of the clips' frames, frames that the view gives of each clip, and torchvision's transforms of one.
PAIRS: dict[str, tuple[dict[str, Any], int, int, Callable[..., Any]]] = {
    "ordered_frames": ({"size": 96, "num_frames": 5}, 144, 5, moments(96)),
    "time_contrast": ({"size": 96, "num_far": 4, "far_frames": 4}, 144, 6, moments(96)),
    "frames": ({"size": 128, "num_frames": 4}, 256, 4, crops(128, (0.3, 1.0))),
    "separate_crops": ({"size": 128, "num_frames": 3}, 256, 4, colored_crops(128, (0.3, 1.0))),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", nargs="*", help="names; all of them where not given")
    parser.add_argument("--batch", type=int, default=16, help="clips")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for name, (settings, side, frames, transform) in PAIRS.items():
        if arguments.views and name not in arguments.views:
            continue
        view = build({"name": name, **settings}, VIEW_CHOICE)
        clips = videos(arguments.batch, 16, side)
        chosen = clips[:, :frames].flatten(0, 1)
        tensors = list(chosen)
        pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in chosen]
        times: dict[str, list[float]] = {"ours": [], "PIL": [], "tensors": []}
        for epoch in range(arguments.repeats + 1):
            ways: dict[str, Callable[[], object]] = {
                "ours": lambda view=view, epoch=epoch, clips=clips: view(
                    clips, ItemRandom(0, epoch, range(len(clips)))
                ),
                "PIL": lambda transform=transform, pictures=pictures: [transform(image) for image in pictures],
                "tensors": lambda transform=transform, tensors=tensors: [transform(image) for image in tensors],
            }
            for way, make in ways.items():
                began = time.process_time()
                make()
                times[way].append(time.process_time() - began)
        rates = {way: len(chosen) / median(seconds[1:]) for way, seconds in times.items()}
        ratio = rates["ours"] / max(rates["PIL"], rates["tensors"])
        shown = ", ".join(f"{way} {rate:.0f}" for way, rate in rates.items())
        print(f"{name}: {ratio:.1f} x as many frames a second ({shown})", flush=True)


def videos(count: int, num_frames: int, side: int) -> Tensor:
    """Smooth random pictures that move a little from frame to frame."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(coarse, size=(side, side + num_frames), mode="bicubic").clamp(0, 1)
    frames = torch.stack([wide[..., shift : shift + side] for shift in range(num_frames)], dim=1)
    return (frames * 255).round().to(torch.uint8)


if __name__ == "__main__":
    main()
