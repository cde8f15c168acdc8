"""Every registered objective on a tiny problem: small heads, few clips."""

from typing import Any

import torch
from torch import Tensor

from mmssl.config import build
from mmssl.functional.random import ItemRandom
from mmssl.media.clip import Footage
from mmssl.models import ENCODER_CHOICE
from mmssl.models.time_pool import TransformerOverTime
from mmssl.objectives import OBJECTIVE_CHOICE
from mmssl.objectives.objective import Batch, Objective
from mmssl.views import VIEW_CHOICE
from mmssl.views.view import View

ENCODER: dict[str, Any] = {"name": "small_resnet", "width": 8, "num_blocks": [1, 1], "feature_dim": 16}
PAIR: dict[str, Any] = {
    "name": "image_text",
    "image": ENCODER,
    "text": {"name": "transformer", "dim": 16, "depth": 1, "num_heads": 2, "context": 8},
    "projection_dim": 16,
    "size": 32,
}
CLIP_PAIR: dict[str, Any] = {**PAIR, "pool": {"name": "transformer", "width": 16, "depth": 1, "num_heads": 2}}
SOUND_ENCODER: dict[str, Any] = {"name": "cpc_encoder", "sample_rate": 8000, "code_dim": 16, "context_dim": 16}
PATCH_GRID: dict[str, Any] = {
    "name": "patch_grid",
    "patch": {**ENCODER, "stride": 4, "norm": "group"},
    "patch_size": 8,
}
AUDIO_VISUAL: dict[str, Any] = {
    "name": "audio_visual",
    "image": ENCODER,
    "sound": {"name": "log_mel", "sample_rate": 8000, "num_mels": 16},
    "projection_dim": 16,
    "hidden_dim": 16,
    "num_parts": 2,
}
ENCODERS: dict[str, dict[str, Any]] = {
    "audio_contrastive": {
        "name": "mel_resnet",
        "sample_rate": 8000,
        "width": 4,
        "num_blocks": [1, 1],
        "feature_dim": 16,
    },
    "audio_visual_correspondence": AUDIO_VISUAL,
    "clip": PAIR,
    "clip of video": CLIP_PAIR,
    "cpc": SOUND_ENCODER,
    "cpc_image": PATCH_GRID,
    "colorization": {**ENCODER, "input": "lightness"},
    "mae": {"name": "vit", "patch": 8, "dim": 32, "depth": 2, "num_heads": 2},
    "siglip": PAIR,
    "siglip of video": CLIP_PAIR,
    "split_brain": {"name": "split_brain", "half": ENCODER},
    "video_colorization": {**ENCODER, "input": "lightness"},
}
"""Of objectives that cannot train the usual one."""

FURTHER: dict[str, str] = {"clip of video": "clip", "siglip of video": "siglip"}
"""Further ways to use an objective, and which."""

SETTINGS: dict[str, dict[str, Any]] = {
    "audio_clusters": {"num_clusters": 4, "num_bands": 8, "sample_rate": 8000, "prepare_items": 4},
    "barlow_twins": {"projection_dim": 32},
    "byol": {"hidden_dim": 32, "projection_dim": 16},
    "context_encoder": {"critic_width": 8},
    "cpc": {"num_steps": 3, "num_negatives": 8},
    "cpc_image": {"num_steps": 3, "num_negatives": 8, "context_dim": 16, "context_layers": 2},
    "dino": {"num_prototypes": 64, "hidden_dim": 32, "bottleneck_dim": 16},
    "jigsaw": {"hidden_dim": 64, "num_permutations": 30},
    "mae": {"decoder_dim": 32, "decoder_depth": 1, "decoder_heads": 2},
    "moco_v1": {"queue_length": 16, "norm_groups": 1},
    "moco_v2": {"queue_length": 16, "norm_groups": 1, "temperature": 0.02},
    "moco_v3": {"hidden_dim": 32, "projection_dim": 16, "temperature": 0.1},
    "simsiam": {"hidden_dim": 32, "predictor_dim": 8},
    "vicreg": {"projection_dim": 32},
}
VIEW_SETTINGS: dict[str, dict[str, Any]] = {
    "audio_visual": {"num_frames": 2, "window_seconds": 0.06, "seconds_apart": 0.06},
    "jigsaw": {"num_permutations": 30},
    "mae": {"patch": 8},
}


def clips(num_clips: int, *, seed: int = 1) -> Tensor:
    """Blocks of a color each that move by a few pixels a frame."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 256, (num_clips, 3, 6, 6), generator=generator, dtype=torch.uint8)
    pictures = blocks.repeat_interleave(10, -1).repeat_interleave(10, -2)
    return torch.stack([pictures.roll((3 * step, 2 * step), (-2, -1)) for step in range(6)], dim=1)


def sound_clips(num_clips: int, *, seed: int = 1) -> Tensor:
    """Tones of 8 kHz that rise, each from another pitch and at another pace, with silence at the end of some."""
    draws = torch.rand(num_clips, 2, 1, 1, generator=torch.Generator().manual_seed(seed))
    seconds = torch.arange(1600) / 8000
    phase = 2 * torch.pi * seconds * (300 + 500 * draws[:, :1] + (3000 + 2000 * draws[:, 1:]) * seconds)
    sounding = torch.arange(1600) < 1600 - 200 * (torch.arange(num_clips) % 3)[:, None, None, None]
    return 0.3 * phase.sin() * sounding


def footage(num_clips: int, *, seed: int = 1) -> Footage:
    """Moving blocks, each with its tone."""
    seconds = 0.03 * torch.arange(6, dtype=torch.float64)
    sounds = sound_clips(num_clips, seed=seed)[:, 0]
    return Footage(clips(num_clips, seed=seed), seconds.expand(num_clips, -1), sounds, 8000)


def clips_for(objective: Objective, num_clips: int, *, seed: int = 1) -> Tensor | Footage:
    """What the objective's view takes."""
    if objective.default_view["name"] == "audio_visual":
        return footage(num_clips, seed=seed)
    return (clips if objective.encoder.sample_rate is None else sound_clips)(num_clips, seed=seed)


def make_objective(name: str, *, seed: int = 0) -> Objective:
    """An objective in the state that it starts from."""
    torch.manual_seed(seed)
    encoder = build(ENCODERS.get(name, ENCODER), ENCODER_CHOICE)
    spec = {"name": FURTHER.get(name, name), **SETTINGS.get(name, {})}
    objective: Objective = build(spec, OBJECTIVE_CHOICE, encoder=encoder)
    return objective


def make_view(objective: Objective) -> View:
    """The objective's own view, of 32 pixels; frames for an encoder that sees which came when."""
    of_clips = isinstance(getattr(objective.encoder, "pool", None), TransformerOverTime)
    spec = {"name": "frames", "num_frames": 3, "frame_step": 2} if of_clips else objective.default_view
    size = {"size": 32} if objective.encoder.sample_rate is None else {}
    view: View = build({**spec, **size, **VIEW_SETTINGS.get(spec["name"], {})}, VIEW_CHOICE)
    return view


def make_batch(objective: Objective, *, num_clips: int = 4, seed: int = 1) -> Batch:
    """What the objective sees of the clips; two of each class where it needs labels."""
    batch = make_view(objective)(clips_for(objective, num_clips, seed=seed), ItemRandom(0, 0, range(num_clips)))
    if objective.needs_captions:
        captions = [f"scene {number} of {seed}" for number in range(num_clips)]
        batch |= {"tokens": objective.tokenize(captions), "caption": torch.arange(num_clips)}
    return batch | {"labels": torch.arange(num_clips) // 2} if objective.needs_labels else batch
