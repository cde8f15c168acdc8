"""SimCLR, MoCo v2, BYOL and DINO by this package's recipes beside lightly's own, on the same pictures with the same encoder.

    python datasets/cifar10.py ROOT -o data/cifar10.jsonl
    python -m tests.benchmarks.lightly_comparison data/cifar10.jsonl

lightly's side is made of its transforms, heads, losses and schedules, put together as its own benchmark on CIFAR-10 does: SGD
with learning rate 0.06 at a batch of 128, momentum 0.9, weight decay 5e-4, a cosine; teachers with momentum 0.99; MoCo's loss
both ways. Both see views with the same settings, have heads of the same sizes and the same temperatures, those of the recipe,
take as many steps with the same batch size and precision, on one thread, and are scored by the same kNN. Rows of a run are
written when it is done; what is there already is not run again.
"""

import argparse
import copy
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import DINOLoss, NegativeCosineSimilarity, NTXentLoss
    from lightly.models.modules import heads
    from lightly.models.utils import batch_shuffle, batch_unshuffle, deactivate_requires_grad, update_momentum
    from lightly.transforms import BYOLTransform, DINOTransform, MoCoV2Transform, SimCLRTransform
    from lightly.transforms.byol_transform import BYOLView1Transform, BYOLView2Transform

from mmssl.config import build, normalized
from mmssl.evaluation.evaluate import read_rows, write_rows
from mmssl.evaluation.knn import knn
from mmssl.evaluation.report_row import ReportRow
from mmssl.functional.random import ItemRandom
from mmssl.models import ENCODER_CHOICE
from mmssl.models.encoder import Encoder
from mmssl.models.grouped_batchnorm import group_batchnorm
from mmssl.models.loading import save_encoder
from tests.benchmarks.cifar10 import TEST, TRAIN, Pictures, Trained, read_pictures, recipe_of, subject_of, trained
from tests.benchmarks.seeds import of_seed, with_summaries

K = 20
EVALUATION = "side by side"
COLUMNS = (("mean {}", "kNN"), ("deviation of {}", "kNN"), ("mean {}", "seconds"))
LEARNING_RATE = 0.06
MOMENTUM = 0.99


def common(view: dict[str, Any]) -> dict[str, Any]:
    """What all transforms of two views are told: no blur, and no normalization, which is the encoder's own."""
    return {"input_size": view["size"], "min_scale": view["scale"][0], "gaussian_blur": 0.0, "normalize": None}


class Method(nn.Module):
    """lightly's parts of a method around an encoder; `forward` gives the loss of lightly's views."""

    transform: Callable[[Image.Image], list[Tensor]]

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def students(self) -> list[nn.Parameter]:
        """What the optimizer moves."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


class SimCLR(Method):
    def __init__(self, encoder: Encoder, objective: dict[str, Any], view: dict[str, Any]) -> None:
        super().__init__(encoder)
        self.transform = SimCLRTransform(cj_strength=view["jitter_strength"], **common(view))
        self.head = heads.SimCLRProjectionHead(encoder.dim, encoder.dim, 128)
        self.criterion = NTXentLoss(temperature=objective["temperature"])

    def forward(self, views: list[Tensor]) -> Tensor:
        loss: Tensor = self.criterion(*(self.head(self.encoder(view)) for view in views))
        return loss


class MoCo(Method):
    def __init__(self, encoder: Encoder, objective: dict[str, Any], view: dict[str, Any]) -> None:
        super().__init__(encoder)
        self.transform = MoCoV2Transform(**common(view))
        group_batchnorm(encoder, 8, interleaved=False)
        self.student = nn.Sequential(encoder, heads.MoCoProjectionHead(encoder.dim, encoder.dim, 128))
        self.teacher = copy.deepcopy(self.student)
        deactivate_requires_grad(self.teacher)
        self.criterion = NTXentLoss(
            temperature=objective["temperature"], memory_bank_size=(objective["queue_length"], 128)
        )

    def forward(self, views: list[Tensor]) -> Tensor:
        update_momentum(self.student, self.teacher, m=MOMENTUM)
        losses = []
        for queries, keys in (views, views[::-1]):
            shuffled, order = batch_shuffle(keys)
            made = batch_unshuffle(self.teacher(shuffled), order)
            losses.append(self.criterion(self.student(queries), made))
        return 0.5 * (losses[0] + losses[1])


class BYOL(Method):
    def __init__(self, encoder: Encoder, objective: dict[str, Any], view: dict[str, Any]) -> None:
        super().__init__(encoder)
        hidden, dim = objective["hidden_dim"], objective["projection_dim"]
        self.transform = BYOLTransform(
            view_1_transform=BYOLView1Transform(**common(view)),
            view_2_transform=BYOLView2Transform(**common(view)),
        )
        self.student = nn.Sequential(encoder, heads.BYOLProjectionHead(encoder.dim, hidden, dim))
        self.predictor = heads.BYOLPredictionHead(dim, hidden, dim)
        self.teacher = copy.deepcopy(self.student)
        deactivate_requires_grad(self.teacher)
        self.criterion = NegativeCosineSimilarity()

    def forward(self, views: list[Tensor]) -> Tensor:
        update_momentum(self.student, self.teacher, m=MOMENTUM)
        first, second = views
        one = self.criterion(self.predictor(self.student(first)), self.teacher(second))
        other: Tensor = self.criterion(self.predictor(self.student(second)), self.teacher(first))
        return 0.5 * (one + other)


class DINO(Method):
    def __init__(self, encoder: Encoder, objective: dict[str, Any], view: dict[str, Any]) -> None:
        super().__init__(encoder)
        self.transform = DINOTransform(
            global_crop_size=view["size"],
            local_crop_size=view["local_size"],
            n_local_views=view["num_local"],
            gaussian_blur=(0.0, 0.0, 0.0),
            normalize=None,
        )
        sizes = encoder.dim, objective["hidden_dim"], objective["bottleneck_dim"], objective["num_prototypes"]
        self.head, teacher_head = (heads.DINOProjectionHead(*sizes, batch_norm=True) for _ in range(2))
        teacher_head.load_state_dict(self.head.state_dict())
        self.teacher = nn.Sequential(copy.deepcopy(encoder), teacher_head)
        deactivate_requires_grad(self.teacher)
        self.criterion = DINOLoss(output_dim=objective["num_prototypes"])

    def forward(self, views: list[Tensor]) -> Tensor:
        update_momentum(nn.Sequential(self.encoder, self.head), self.teacher, m=MOMENTUM)
        answers = [self.head(self.encoder(view)) for view in views]
        loss: Tensor = self.criterion([self.teacher(view) for view in views[:2]], answers, epoch=0)
        return loss


METHODS: dict[str, type[Method]] = {"simclr": SimCLR, "moco_v2": MoCo, "byol": BYOL, "dino": DINO}


@contextmanager
def trained_by_lightly(
    name: str, stage: dict[str, Any], pictures: Pictures, *, num_steps: int, seed: int
) -> Iterator[Trained]:
    """The counterpart of `trained`: the same encoder, views, batches of pictures, steps and precision."""
    torch.manual_seed(seed)
    encoder = build(stage["encoder"], ENCODER_CHOICE)
    method = METHODS[name](encoder, stage["objective"], stage["view"]).train()
    settings = stage["training"]
    if settings.get("channels_last"):
        method.to(memory_format=torch.channels_last)
    size = settings["batch_size"]
    rate = LEARNING_RATE * size / 128
    optimizer = torch.optim.SGD(method.students(), lr=rate, momentum=0.9, weight_decay=5e-4)
    source = pictures.of(TRAIN)
    images = [Image.fromarray(source.clips([place])[0, 0].permute(1, 2, 0).numpy()) for place in range(len(source))]
    began = time.process_time()
    for step in range(num_steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / num_steps))
        epoch, place = divmod(step, len(images) // size)
        order = ItemRandom(seed, epoch, [0]).permutations("order of clips", len(images))[0].tolist()
        seen = [method.transform(images[index]) for index in order[place * size : (place + 1) * size]]
        views = [torch.stack(view) for view in zip(*seen, strict=True)]
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.get("autocast") == "bf16"):
            loss = method(views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seconds = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        save_encoder(Path(folder), encoder, spec=normalized(stage["encoder"]), facts={})
        yield Trained(subject_of(folder, pictures, name=name, seed=seed), seconds)


WAYS = {"mmssl": trained, "lightly": trained_by_lightly}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/results/lightly_comparison.jsonl"))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--train", type=int, default=10_000, help="pictures to learn from")
    parser.add_argument("--test", type=int, default=2_000, help="pictures to score")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    pictures = read_pictures(given.manifest, num_train=given.train, num_test=given.test, validation=False)
    for seed in given.seeds:
        for method in given.methods:
            for way in WAYS:
                rows = read_rows(given.out) if given.out.exists() else []
                name = f"{method}, {way}"
                if any(row.encoder == name and row.seed == seed for row in rows):
                    continue
                found = run_rows(name, method, way, pictures, num_steps=given.steps, seed=seed)
                print(f"{name}, seed {seed}: {', '.join(f'{row.metric} {row.value:.4f}' for row in found)}", flush=True)
                write_rows(given.out, with_summaries([*rows, *found], COLUMNS))


def run_rows(name: str, method: str, way: str, pictures: Pictures, *, num_steps: int, seed: int) -> list[ReportRow]:
    """kNN and seconds of one training."""
    stage = recipe_of(method)
    with WAYS[way](method, stage, pictures, num_steps=num_steps, seed=seed) as run:
        subject = replace(run.subject, name=name)
        score = knn(subject, ks=(K,))[0]
    work = f"{num_steps} steps of {stage['training']['batch_size']} pictures on one thread"
    found = {
        "kNN": (score.value, score.protocol),
        "seconds": (run.seconds, f"processor time of {work}, with reading, views and updates."),
    }
    size = score.num_items
    rows = [
        subject.row(EVALUATION, what, value, split=TEST, num_items=size, protocol=f"{what}: {protocol}")
        for what, (value, protocol) in found.items()
    ]
    return [of_seed(row, evaluation=EVALUATION) for row in rows]


if __name__ == "__main__":
    main()
