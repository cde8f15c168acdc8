"""What an interrupted propagation needs to go on with the same bytes: how far it is, and the soft labels in memory."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mmssl.files import atomic_file


class State:
    """The folder `state/` inside an output folder; it exists while the work is unfinished.

    Args:
        out: The output folder.
        digest_of_all: Of everything that decides the results.
    """

    def __init__(self, out: Path, digest_of_all: str) -> None:
        self.folder = out / "state"
        self._summary = out / "summary.json"
        self._file = self.folder / "labels.safetensors"
        self._digest = digest_of_all

    def load(self, work: str) -> tuple[int, Float[Tensor, "frames channels h w"] | None]:
        """Frames of a piece of work that are done, and the soft labels in memory after the last of them.

        Args:
            work: Names the piece of work, and changes with everything that it depends on.

        Returns:
            (0, None) where there is nothing to go on from.
        """
        try:
            with safe_open(self._file, framework="pt") as stored:
                facts = stored.metadata() or {}
                if facts.get("work") == work:
                    return int(facts["frames_done"]), stored.get_tensor("labels")
        except (OSError, SafetensorError):
            pass
        return 0, None

    def save(self, work: str, frames_done: int, labels: Sequence[Float[Tensor, "channels h w"]]) -> None:
        """Notes, in one step, that `frames_done` frames are written, and the labels that go on from there."""
        facts = {"work": work, "frames_done": str(frames_done)}
        with atomic_file(self._file) as partial:
            save_file({"labels": torch.stack(list(labels)).cpu().contiguous()}, partial, metadata=facts)

    def is_complete(self) -> bool:
        """Whether the folder holds the finished results."""
        try:
            return bool(json.loads(self._summary.read_text(encoding="utf-8"))["digest"] == self._digest)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def complete(self, facts: Mapping[str, Any]) -> None:
        """Ends the work: writes `summary.json`, which also says what it was made from.

        That is the last thing it does: where it is there, nothing is left to be removed.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        write_json(self._summary, {**facts, "digest": self._digest})


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, whole or not at all."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def digest_of_files(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of the files in a folder; 16 hexadecimal digits."""
    whole = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(below for below in path.iterdir() if below.is_file()):
        whole.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                whole.update(block)
    return whole.hexdigest()[:16]


def digest_of_weights(module: nn.Module) -> str:
    """SHA-256 of a module's parameters and buffers, 16 hexadecimal digits."""
    whole = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        whole.update(name.encode())
        whole.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()[:16]
