"""Times a step of the training loop beside the same objective and optimizer in a bare loop on the same batches.

Run it as `python tests/benchmarks/training_step.py`. The two take turns; the medians of their seconds a step are compared.
The bare loop reads clips, makes views, and steps; it writes and checks nothing.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from mmssl.config import build
from mmssl.data.dataset import ClipItem
from mmssl.functional.random import ItemRandom
from mmssl.models import ENCODER_CHOICE
from mmssl.objectives import OBJECTIVE_CHOICE, OBJECTIVES
from mmssl.objectives.objective import Objective
from mmssl.training.loop import train
from mmssl.training.optim import OPTIMIZER_CHOICE
from mmssl.training.settings import TrainSettings
from mmssl.views import VIEW_CHOICE
from mmssl.views.view import View


class MemoryClips:
    """Clips in memory."""

    digest = "benchmark"

    def __init__(self, count: int, num_frames: int, size: int) -> None:
        self._pixels = torch.randint(0, 256, (count, num_frames, 3, size, size), dtype=torch.uint8)
        self.items: Sequence[ClipItem] = [
            ClipItem(str(i), str(i), None, None, str(i), None, (0.0,) * num_frames) for i in range(count)
        ]

    def __len__(self) -> int:
        return len(self.items)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        return self._pixels[list(indices)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objective", default="simclr", choices=sorted(OBJECTIVES))
    parser.add_argument("--encoder", default="small_resnet")
    parser.add_argument("--size", type=int, default=64, help="side of the clips")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=12, help="of each turn")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--channels-last", action="store_true", help="in the loop alone")
    parser.add_argument("--prefetch", action="store_true", help="prepare the next batch in a thread")
    arguments = parser.parse_args()
    source = MemoryClips(4 * arguments.batch, 8, arguments.size)
    view = build(OBJECTIVES[arguments.objective].default_view, VIEW_CHOICE)
    settings = TrainSettings(
        batch_size=arguments.batch,
        num_steps=arguments.steps,
        channels_last=arguments.channels_last,
        prefetch=arguments.prefetch,
    )
    times: dict[str, list[float]] = {"bare": [], "loop": []}
    for _ in range(arguments.repeats):
        times["bare"].append(bare_loop(make(arguments), view, source, settings))
        times["loop"].append(our_loop(make(arguments), view, source, settings))
    for name, seconds in times.items():
        print(f"{name}: {1000 * median(seconds):8.2f} ms a step, {arguments.batch / median(seconds):8.1f} clips/s")
    print(f"the loop takes {100 * (median(times['loop']) / median(times['bare']) - 1):+.1f} % of the bare loop's time")


def make(arguments: argparse.Namespace) -> Objective:
    torch.manual_seed(0)
    spec = {"name": arguments.encoder, "input": "lightness" if arguments.objective == "video_colorization" else "rgb"}
    objective: Objective = build(arguments.objective, OBJECTIVE_CHOICE, encoder=build(spec, ENCODER_CHOICE))
    return objective


def bare_loop(objective: Objective, view: View, source: MemoryClips, settings: TrainSettings) -> float:
    """Seconds a step, without the first."""
    assert settings.num_steps is not None
    optimizer = build(settings.optimizer, OPTIMIZER_CHOICE, module=objective)
    objective.train()
    began = 0.0
    for step in range(settings.num_steps):
        epoch, place = divmod(step * settings.batch_size, len(source))
        indices = range(place, place + settings.batch_size)
        batch = view(source.clips(indices), ItemRandom(0, epoch, indices))
        if step == 0:
            objective.prepare(batch)
        output = objective(batch)
        optimizer.zero_grad()
        output["loss"].backward()
        optimizer.step()
        objective.after_step(output, progress=(step + 1) / settings.num_steps)
        if step == 0:
            began = time.perf_counter()
    return (time.perf_counter() - began) / (settings.num_steps - 1)


class Stopwatch(torch.nn.Module):
    """Notes when the first and the last step of an objective end."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.moments: list[float] = []
        after_step = objective.after_step

        def noting(output: dict[str, Tensor], *, progress: float) -> None:
            after_step(output, progress=progress)
            self.moments.append(time.perf_counter())

        objective.after_step = noting  # type: ignore[method-assign]


def our_loop(objective: Objective, view: View, source: MemoryClips, settings: TrainSettings) -> float:
    """Seconds a step, without the first; looks at the embeddings and the last line of metrics are counted, the end is not."""
    watch = Stopwatch(objective)
    with tempfile.TemporaryDirectory() as folder:
        train(
            objective,
            view,
            source,
            out=Path(folder),
            settings=settings,
            seed=0,
            encoder_spec={"name": "small_resnet"},
        )
    return (watch.moments[-1] - watch.moments[0]) / (len(watch.moments) - 1)


if __name__ == "__main__":
    main()
