"""Writes a model that was trained here as open_clip keeps models in a folder."""

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from mmssl.errors import CheckpointError
from mmssl.files import atomic_folder
from mmssl.models.loading import LoadedEncoder
from mmssl.models.open_clip_encoder import CONFIG_FILE, RESIZE_MODES, OpenClip
from mmssl.models.open_clip_weights import WEIGHT_FILES
from mmssl.models.time_pool import MeanOverTime


def export_open_clip(loaded: LoadedEncoder, folder: Path) -> None:
    """Writes `open_clip_config.json` and the weights; `open_clip.create_model("local-dir:FOLDER")` then opens the model.

    Args:
        loaded: With the encoder `open_clip`.
        folder: Made; an earlier export there is replaced.

    Raises:
        CheckpointError: If the encoder is none that open_clip can build, or the folder holds anything else.
    """
    encoder = loaded.encoder
    if not isinstance(encoder, OpenClip):
        raise CheckpointError(
            f"{loaded.reference}: is no network of open_clip, which has no place for it; only trainings with the encoder "
            "open_clip can be exported"
        )
    if not isinstance(encoder.pool, MeanOverTime):
        raise CheckpointError(
            f"{loaded.reference}: joins the frames of a clip by weights of its own, for which open_clip has no place; only "
            "models with pool: mean can be exported"
        )
    if folder.exists() and not (folder / CONFIG_FILE).is_file() and any(folder.iterdir()):
        raise CheckpointError(f"{folder}: holds other files; name a folder that is new, empty or an earlier export")
    weights = {key: value.detach().cpu().clone().contiguous() for key, value in encoder.model.state_dict().items()}
    config = {"model_cfg": encoder.config, "preprocess_cfg": _preprocessing(encoder)}
    with atomic_folder(folder) as partial:
        save_file(weights, partial / WEIGHT_FILES[0])
        if encoder.tokenizer_folder is not None:
            for file in Path(encoder.tokenizer_folder).glob("*token*"):
                shutil.copy(file, partial)
        (partial / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _preprocessing(encoder: OpenClip) -> dict[str, Any]:
    """How images are prepared, by open_clip's names."""
    framing = encoder.framing
    names = {mode: name for name, mode in RESIZE_MODES.items()}
    return {
        "size": list(framing.size),
        "mode": "RGB",
        "mean": [round(value, 8) for value in encoder.mean.flatten().tolist()],
        "std": [round(value, 8) for value in encoder.std.flatten().tolist()],
        "interpolation": "bicubic" if framing.bicubic else "bilinear",
        "resize_mode": names[framing.mode],
        "fill_color": framing.fill,
    }
