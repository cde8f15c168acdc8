"""The full state of a training, saved so that a killed run goes on bit for bit.

A state is a folder `step-0000000042`, renamed into place when it is whole: `state.safetensors` holds every parameter and
buffer of the objective, every tensor of the optimizer, by parameter name, and what a probe carries on; `state.json` what is
not a tensor. Random numbers need no saving: each step derives its own from seed, step and rank.
"""

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from mmssl.errors import CheckpointError
from mmssl.files import atomic_folder, remove_partial
from mmssl.training.probe import OnlineProbe

FORMAT = "mmssl state 1"


@dataclass(frozen=True)
class Progressed:
    """How far a training is, apart from its tensors.

    Args:
        step: Finished steps of the optimizer.
        run: Digest of everything that the result depends on.
        sums: Sums since the last line of the metrics, see `MetricsLog`.
        scaler: State of the gradient scaler; empty where there is none.
    """

    step: int
    run: str
    sums: dict[str, float] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)


def save_state(
    folder: Path,
    objective: nn.Module,
    optimizer: Optimizer,
    progressed: Progressed,
    *,
    keep: int,
    probe: OnlineProbe | None = None,
) -> None:
    """Saves a state beside the earlier ones and removes all but the last `keep`."""
    tensors = {f"objective/{name}": value for name, value in objective.state_dict().items()}
    for name, parameter in objective.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{name}/{key}"] = value
    if probe is not None:
        tensors |= {f"probe/{name}": value for name, value in probe.state().items()}
    final = folder / f"step-{progressed.step:010}"
    if not final.exists():
        remove_partial(folder)
        with atomic_folder(final) as partial:
            file = partial / "state.safetensors"
            save_file(_separate(tensors), file)
            facts = {"format": FORMAT, **vars(progressed), "checksum": _checksum(file)}
            (partial / "state.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    for old in saved_states(folder)[:-keep]:
        shutil.rmtree(old)


def saved_states(folder: Path) -> list[Path]:
    """The states in a folder, the latest last."""
    return sorted(folder.glob("step-*"))


def load_latest_state(
    folder: Path, objective: nn.Module, optimizer: Optimizer, *, run: str, probe: OnlineProbe | None = None
) -> Progressed | None:
    """Puts the latest usable state into an objective, its optimizer and its probe.

    A damaged state is removed with a warning, and the one before it is taken.

    Returns:
        How far that state is; None where there is none to go on from.

    Raises:
        CheckpointError: If the state belongs to a training with other settings, data or objective.
    """
    for path in reversed(saved_states(folder)):
        try:
            progressed, tensors = _read(path)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            print(f"{path}: is damaged ({error}); going on from the state before it", file=sys.stderr)
            shutil.rmtree(path)
            continue
        if progressed.run != run:
            raise CheckpointError(
                f"{path}: was saved by a training with other settings, data or objective; "
                "give another output folder, or remove this one to start anew"
            )
        _restore(objective, optimizer, tensors)
        if probe is not None:
            probe.restore({name[6:]: value for name, value in tensors.items() if name.startswith("probe/")})
        return progressed
    return None


def _read(path: Path) -> tuple[Progressed, dict[str, Tensor]]:
    facts = json.loads((path / "state.json").read_text(encoding="utf-8"))
    if facts.pop("format") != FORMAT:
        raise CheckpointError(f"{path}: is of another format than {FORMAT!r}; remove the folder to start anew")
    file = path / "state.safetensors"
    if _checksum(file) != facts.pop("checksum"):
        raise ValueError("the checksum does not match")
    return Progressed(**facts), load_file(file)


def _restore(objective: nn.Module, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    prefix = "objective/"
    objective.load_state_dict(
        {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    )
    for name, parameter in objective.named_parameters():
        prefix = f"optimizer/{name}/"
        state = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
        if state:
            optimizer.state[parameter] = {key: _like(value, parameter) for key, value in state.items()}


def _like(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """A value of the parameter's shape in its memory layout and on its device; any other value as it is."""
    if value.shape != parameter.shape or value.ndim == 0:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _separate(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors on the CPU of which no two share memory, as safetensors wants them."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        place = value.untyped_storage().data_ptr()
        separate[name] = value.clone() if place in seen else value
        seen.add(place)
    return separate


def _checksum(file: Path) -> str:
    content = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            content.update(block)
    return content.hexdigest()
