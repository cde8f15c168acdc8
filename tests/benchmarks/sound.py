"""Times CPC beside a plain version of it, and augmented sound beside torchaudio's transforms item by item; watches memory.

Run it as `python tests/benchmarks/sound.py [step|views|memory]`. The versions take turns; the medians are compared. Made sound
of 8 kHz, on one core. The loops run over the same network, and once over its layers as they are commonly written, channels first.
"""

import argparse
import copy
import json
import random as plain_random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torchaudio.functional as effects
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))

from mmssl.functional.random import ItemRandom
from mmssl.models.cpc_encoder import CPCEncoder, TimeConvolution
from mmssl.objectives.cpc import CPC
from mmssl.views.sound import SoundView
from mmssl.views.sound_augmentation import SoundAugmentation

RATE = 8000
NUM_STEPS, NUM_NEGATIVES = 12, 32


def sounds(count: int, seconds: float) -> Tensor:
    """Windows of noise."""
    return 0.1 * torch.randn(count, 1, 1, round(seconds * RATE), generator=torch.Generator().manual_seed(0))


def make_cpc(front: str, dim: int = 128) -> CPC:
    """The network and the objective of `pipelines/audio/fsdd.yaml`."""
    torch.manual_seed(0)
    encoder = CPCEncoder(sample_rate=RATE, front=front, code_dim=dim, context_dim=dim)  # type: ignore[arg-type]
    return CPC(encoder, num_steps=NUM_STEPS, num_negatives=NUM_NEGATIVES)


class PlainLayers(nn.Module):
    """The convolutions and norms of a `cpc_encoder` with channels first, one operation after the other."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(layer for layer in layers if isinstance(layer, TimeConvolution))
        self.norms = nn.ModuleList(layer for layer in layers if isinstance(layer, nn.LayerNorm))

    def forward(self, cells: Tensor) -> Tensor:
        """As the layers."""
        found = cells.transpose(1, 2)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            reach = convolution.weight.shape[2] - convolution.stride
            padded = functional.pad(found, (reach // 2, reach - reach // 2))
            found = functional.conv1d(padded, convolution.weight, stride=convolution.stride)
            variance, mean = torch.var_mean(found, dim=1, keepdim=True, correction=0)
            found = (found - mean) * torch.rsqrt(variance + 1e-5) * norm.weight[:, None] + norm.bias[:, None]
            found = found.relu()
        return found.transpose(1, 2)


def with_plain_layers(objective: CPC) -> CPC:
    """The objective with its network's layers as they are commonly written."""
    plain = copy.deepcopy(objective)
    assert isinstance(plain.encoder, CPCEncoder)
    plain.encoder.convolutions = PlainLayers(plain.encoder.convolutions)  # type: ignore[assignment]
    return plain


def loss_by_loops(objective: CPC, sound: Tensor, *, over_items: bool) -> Tensor:
    """The same loss for one number of steps and one moment after the other; item after item too, where asked for."""
    network = objective.encoder
    assert isinstance(network, CPCEncoder)
    codes = network.codes(sound)
    contexts = network.contexts(codes)
    num_items, num_times, dim = codes.shape
    weights = objective.predictors.weight.reshape(NUM_STEPS, dim, -1)
    losses = []
    for step in range(1, NUM_STEPS + 1):
        for moment in range(num_times - step):
            target = moment + step
            others = [time for time in range(num_times) if time != target]
            for item in range(num_items) if over_items else [slice(None)]:
                asked = contexts[item, moment] @ weights[step - 1].T
                drawn = plain_random.choices(others, k=NUM_NEGATIVES)
                candidates = torch.cat((codes[item, target][..., None, :], codes[item][..., drawn, :]), dim=-2)
                scores = (candidates @ asked[..., None])[..., 0].reshape(-1, 1 + NUM_NEGATIVES)
                losses.append(functional.cross_entropy(scores, scores.new_zeros(len(scores), dtype=torch.long)))
    return torch.stack(losses).mean()


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def take_turns(versions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each version."""
    for work in versions.values():
        work()
    found = [{name: seconds_of(work) for name, work in versions.items()} for _ in range(repeats)]
    return {name: median(turn[name] for turn in found) for name in versions}


def step(repeats: int) -> None:
    """Seconds of sound a second in forward and backward."""
    clips = sounds(16, 0.5)
    for front in ("log_mel", "sound"):
        objective = make_cpc(front)
        plain = with_plain_layers(objective)
        batch = SoundView()(clips, ItemRandom(0, 0, range(len(clips))))

        def fast(objective: CPC = objective, batch: dict[str, Tensor] = batch) -> None:
            objective(batch)["loss"].backward()

        def in_half(objective: CPC = objective, batch: dict[str, Tensor] = batch) -> None:
            with torch.autocast("cpu", torch.bfloat16):
                loss = objective(batch)["loss"]
            loss.backward()

        def layers_alone(objective: CPC = objective, batch: dict[str, Tensor] = batch) -> None:
            network = objective.encoder
            assert isinstance(network, CPCEncoder)
            network.contexts(network.codes(batch["sound"])).sum().backward()

        def by_moments(objective: CPC = objective, batch: dict[str, Tensor] = batch) -> None:
            loss_by_loops(objective, batch["sound"], over_items=False).backward()

        def by_moments_plainly(objective: CPC = plain, batch: dict[str, Tensor] = batch) -> None:
            loss_by_loops(objective, batch["sound"], over_items=False).backward()

        def by_items(objective: CPC = plain, batch: dict[str, Tensor] = batch) -> None:
            loss_by_loops(objective, batch["sound"], over_items=True).backward()

        versions = {
            "mmssl": fast,
            "mmssl in bf16": in_half,
            "the network alone": layers_alone,
            "loops over steps and moments": by_moments,
            "the same, plain layers": by_moments_plainly,
            "and over items": by_items,
        }
        found = take_turns(versions, repeats)
        rates = {name: round(0.5 * len(clips) / seconds, 1) for name, seconds in found.items()}
        ratios = {name: round(seconds / found["mmssl"], 1) for name, seconds in found.items()}
        print(json.dumps({"front": front, "seconds of sound a second": rates, "times as fast": ratios}), flush=True)


def one_by_one(clips: Tensor, *, pitch: bool) -> Tensor:
    """Pitch, echo, noise and a lost band for each window by torchaudio's functions, as a data set's transform does it."""
    views = []
    for (window,) in clips:
        sound = effects.pitch_shift(window, RATE, plain_random.randint(-4, 4), n_fft=256) if pitch else window
        echo = torch.randn(1, round(0.3 * RATE)) * torch.logspace(0, -3, round(0.3 * RATE))
        sound = sound + effects.fftconvolve(sound, echo / echo.norm())[:, : sound.shape[1]]
        sound = effects.add_noise(sound, torch.randn_like(sound), torch.tensor([plain_random.uniform(5, 30)]))
        views.append(effects.bandreject_biquad(sound, RATE, plain_random.uniform(300, 3500)))
    return torch.stack(views)


def views(repeats: int) -> None:
    """Windows a second, the same effects on each; torchaudio's pitch is slow by itself, so once without."""
    chances = {"reverb_probability": 1.0, "noise_probability": 1.0, "reject_probability": 1.0}
    clips = sounds(64, 1.0)
    random = ItemRandom(0, 0, range(len(clips)))
    for pitch in (False, True):
        augmentation = SoundAugmentation(sample_rate=RATE, pitch_probability=float(pitch), **chances)  # type: ignore[arg-type]

        def at_once(augmentation: SoundAugmentation = augmentation) -> Tensor:
            return augmentation(clips[:, 0], random, "view")

        def by_items(pitch: bool = pitch) -> Tensor:
            return one_by_one(clips, pitch=pitch)

        found = take_turns({"mmssl": at_once, "torchaudio": by_items}, repeats)
        rates = {name: round(len(clips) / seconds) for name, seconds in found.items()}
        ratio = round(found["torchaudio"] / found["mmssl"], 1)
        print(json.dumps({"pitch": pitch, "windows of 1 s a second": rates, "times as fast": ratio}), flush=True)


def memory(num_steps: int) -> None:
    """Most memory in use so far, in MiB, after some steps of a small training."""
    objective = make_cpc("log_mel", dim=32)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    view = SoundView(past=SoundAugmentation(sample_rate=RATE))
    clips = sounds(8, 0.25)
    for number in range(1, num_steps + 1):
        loss = objective(view(clips, ItemRandom(0, number, range(len(clips)))))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number in (100, num_steps // 2, num_steps):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({"steps": number, "peak memory, MiB": round(peak, 1)}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["step", "views", "memory"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2000, help="of the training whose memory is watched")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if "step" in options.parts:
        step(options.repeats)
    if "views" in options.parts:
        views(options.repeats)
    if "memory" in options.parts:
        memory(options.steps)


if __name__ == "__main__":
    main()
