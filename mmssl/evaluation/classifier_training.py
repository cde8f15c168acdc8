"""Training of a network on labels: what fine-tuning, its supervised counterpart and students of a teacher share."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mmssl.data.dataset import Clips, ClipSource
from mmssl.errors import EvaluationError
from mmssl.functional.random import ItemRandom
from mmssl.models.encoder import Encoder, encoder_input
from mmssl.progress import Progress
from mmssl.views.crop import cut, random_boxes


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """How a network is trained on labels; the last step counts, and none of it is chosen on what is scored.

    Args:
        epochs: Passes over the clips.
        batch_size: Clips in a step.
        optimizer: `adamw`, or `sgd` with momentum 0.9.
        learning_rate: At the start; falls to 0 along a cosine.
        weight_decay: Of the optimizer.
        crop_scale: Smallest and largest area of a random crop, as a share of the frame's.
        flip_probability: Of a mirrored frame.

    Raises:
        ValueError: If a value is out of range.
    """

    epochs: int
    batch_size: int = 64
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    crop_scale: tuple[float, float] = (0.35, 1.0)
    flip_probability: float = 0.5

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError(
                f"epochs must be at least 1, batch_size 2, learning_rate positive and weight_decay not negative, got "
                f"{self.epochs}, {self.batch_size}, {self.learning_rate}, {self.weight_decay}"
            )

    def sentence(self, *, sound: bool = False) -> str:
        """How a protocol tells it; sound is not cropped."""
        decay = f", weight decay {self.weight_decay:g}" if self.weight_decay else ""
        passes = "1 pass" if self.epochs == 1 else f"{self.epochs} passes"
        crops = f", random crops of {self.crop_scale[0]:g} to {self.crop_scale[1]:g} of the area and mirroring"
        return (
            f"{passes} in batches of {self.batch_size}, {self.optimizer}, learning rate "
            f"{self.learning_rate:g} falling to 0 along a cosine{decay}{'' if sound else crops}; the last step is scored"
        )


class Classifier(nn.Module):
    """An encoder and a linear classifier on its embeddings.

    Args:
        encoder: A copy is taken.
        num_classes: To tell apart.
        frozen: Whether the encoder stays as it is, in evaluation mode; its embeddings are then standardised by a BatchNorm
            without weights.
    """

    def __init__(self, encoder: Encoder, num_classes: int, *, frozen: bool = False) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).requires_grad_(not frozen)
        self.frozen = frozen
        self.norm = nn.BatchNorm1d(encoder.dim, affine=False) if frozen else nn.Identity()
        self.linear = nn.utils.skip_init(nn.Linear, encoder.dim, num_classes)  # type: ignore[no-untyped-call]
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def train(self, mode: bool = True) -> "Classifier":
        """Training mode, but for a frozen encoder."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Logits of each class."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            embeddings = self.encoder(images)
        scores: Tensor = self.linear(self.norm(embeddings))
        return scores


def train_classifier(
    network: Classifier,
    source: ClipSource,
    places: Int[np.ndarray, " items"],
    targets: Int[Tensor, " items"] | Float[Tensor, "items classes"],
    *,
    training: ClassifierTraining,
    seed: int,
    device: torch.device | str = "cpu",
    description: str = "train on labels",
) -> None:
    """Trains a network in place by the cross-entropy of a random, cropped frame of each clip.

    What is left of a pass after its last whole batch is dropped; each pass has another order.

    Args:
        network: It ends in evaluation mode.
        source: The clips.
        places: Positions of those to train on.
        targets: Class of each, or the probability of each class.
        training: How long and how fast.
        seed: Of the order, the crops and the network's own random numbers.
        device: Where to compute.
        description: For the progress.

    Raises:
        EvaluationError: If the loss is not finite.
    """
    network.to(device).train()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer: torch.optim.Optimizer
    if training.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            parameters, lr=training.learning_rate, momentum=0.9, weight_decay=training.weight_decay
        )
    else:
        optimizer = torch.optim.AdamW(parameters, lr=training.learning_rate, weight_decay=training.weight_decay)
    size = min(training.batch_size, len(places))
    steps_per_epoch = len(places) // size
    num_steps = training.epochs * steps_per_epoch
    with torch.random.fork_rng(devices=[]), Progress(description, num_steps * size, unit="clips") as progress:
        torch.manual_seed(seed)
        for step in range(num_steps):
            epoch, place = divmod(step, steps_per_epoch)
            if place == 0:
                order = ItemRandom(seed, epoch, [0]).permutations("order of labelled clips", len(places))[0]
            chosen = order[place * size : (place + 1) * size]
            indices = places[chosen.numpy()].tolist()
            images = _augmented(source.clips(indices, epoch=epoch), ItemRandom(seed, epoch, indices), training)
            loss = cross_entropy(network(images.to(device)), targets[chosen].to(device))
            if not math.isfinite(loss.item()):
                raise EvaluationError(
                    f"{description}: the loss of step {step + 1} is {loss.item()}; lower the learning rate, which is "
                    f"{training.learning_rate:g}"
                )
            for group in optimizer.param_groups:
                group["lr"] = training.learning_rate * 0.5 * (1 + math.cos(math.pi * step / num_steps))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            progress.advance(size, loss=loss.item())
    network.eval()


def predict(
    network: Classifier,
    source: ClipSource,
    places: Sequence[int] | Int[np.ndarray, " items"],
    *,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> Float[np.ndarray, "items classes"]:
    """Logits of clips as they are stored, the mean over their frames.

    Args:
        network: Put into evaluation mode.
        source: The clips.
        places: Positions of the clips.
        batch_size: Frames in one forward pass; a clip may be longer.
        device: Where to compute.
    """
    network.to(device).eval()
    positions = [int(place) for place in places]
    scores = []
    with torch.inference_mode(), Progress("predict", len(positions), unit="clips") as progress:
        for start in range(0, len(positions), batch_size):
            clips = source.clips(positions[start : start + batch_size])
            parts = [
                network(encoder_input(frames.to(device))) for frames in torch.split(clips.flatten(0, 1), batch_size)
            ]
            scores.append(torch.cat(parts).float().cpu().reshape(*clips.shape[:2], -1).mean(1))
            progress.advance(len(clips))
    found: Float[np.ndarray, "items classes"] = torch.cat(scores).numpy()
    return found


def _augmented(
    clips: Clips, random: ItemRandom, training: ClassifierTraining
) -> Float[Tensor, "batch 3 size size"] | Float[Tensor, "batch 1 samples"]:
    """A random frame of each clip: a picture cropped to the shorter side's length, perhaps mirrored, or sound as it is."""
    frames = clips[torch.arange(len(clips)), random.integers("frame", high=clips.shape[1])]
    if frames.is_floating_point():
        return frames
    height, width = frames.shape[-2:]
    boxes = random_boxes(random, "crop", height=height, width=width, scale=training.crop_scale)
    flip = random.uniform("flip") < training.flip_probability
    return cut(frames[:, None], boxes, size=min(height, width), flip=flip)[:, 0]
