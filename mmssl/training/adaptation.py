"""An encoder trained further on the frames of one video, without labels, before it carries labels through that video."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from mmssl.config import Spec, digest
from mmssl.data.video_clips import VideoClips
from mmssl.errors import ConfigError
from mmssl.models.encoder import Encoder
from mmssl.models.half_size import HalfSize
from mmssl.models.loading import LoadedEncoder, read_card
from mmssl.models.weighted_sum import WeightedSum
from mmssl.objectives.video_colorization import VideoColorization
from mmssl.training.loop import train
from mmssl.training.settings import TrainSettings
from mmssl.views.frames import FramesView

SECONDS_BETWEEN_FRAMES = 0.12
BATCH_SIZE = 8
NUM_STEPS = 60
LEARNING_RATE = 5e-4
HIDDEN_CHANNELS = {"ab": 0.35, "a": 0.25, "b": 0.25}
SECONDS_BETWEEN_STATES = 20.0


def adapt_encoder(
    video: Path, loaded: LoadedEncoder, *, out: Path, num_steps: int = NUM_STEPS, seed: int = 0
) -> LoadedEncoder:
    """Trains an encoder, in place, to copy colors from frame to frame of one video while Lab channels are hidden from it.

    Interrupted, the same call goes on where it stopped; complete, it only reads the weights. The encoder ends in
    evaluation mode.

    Args:
        video: A video file, or a folder of numbered images.
        loaded: The encoder to begin with; of a weighted sum, the parts that have weights are trained, each for itself.
        out: Folder for the state, the metrics and the adapted encoder.
        num_steps: Steps of the optimizer.
        seed: Of the order of the clips and of the crops.

    Returns:
        The encoder, which is named and digested as adapted.

    Raises:
        ConfigError: If the encoder has no weights.
        CheckpointError: If `out` holds the adaptation of another encoder or to another video.
        MediaError: If the video cannot be read.
    """
    parts = _with_weights(loaded)
    if not parts:
        raise ConfigError(
            f"{loaded.reference}: has no weights to adapt; leave --adapt out, or give an encoder that is a network"
        )
    clips = VideoClips(video, num_frames=2, seconds_between_frames=SECONDS_BETWEEN_FRAMES)
    settings = TrainSettings(
        batch_size=min(BATCH_SIZE, len(clips)),
        num_steps=num_steps,
        warmup_steps=num_steps // 20,
        optimizer={"name": "adamw", "lr": LEARNING_RATE},
        channels_last=True,
        autocast="bf16",
        watch_every=0,
        checkpoint_every_seconds=SECONDS_BETWEEN_STATES,
    )
    folders = [out] if len(parts) == 1 else [out / str(number) for number in range(len(parts))]
    for folder, (encoder, spec) in zip(folders, parts, strict=True):
        with torch.random.fork_rng(devices=[]):
            train(
                VideoColorization(encoder, targets="lab", patch=4),
                FramesView(size=128, num_frames=2, scale=(0.07, 0.25), channel_dropout=HIDDEN_CHANNELS),
                clips,
                out=folder,
                settings=settings,
                seed=seed,
                encoder_spec=spec,
                facts={"adapted_from": loaded.digest},
            )
        encoder.eval()
    trained = digest([loaded.digest, *(read_card(str(folder)).digest for folder in folders)])
    return replace(loaded, reference=f"{loaded.reference} adapted to {video.name}", digest=trained)


def _with_weights(loaded: LoadedEncoder) -> list[tuple[Encoder, Spec]]:
    """The encoders that have weights, each once, with what they are built from."""
    encoder, spec = loaded.encoder, loaded.card.spec
    parts: list[tuple[nn.Module, Spec]] = [(encoder, spec)]
    if isinstance(encoder, WeightedSum):
        parts = [(part, entry["spec"]) for part, entry in zip(encoder.encoders, spec["of"], strict=True)]
    whole = {}
    for part, of in parts:
        while isinstance(part, HalfSize):
            part, of = part.encoder, of["of"]
        if isinstance(part, Encoder) and any(True for _ in part.parameters()):
            whole[id(part)] = (part, of)
    return list(whole.values())
