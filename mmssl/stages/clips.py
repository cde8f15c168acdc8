"""The clips that a stage reads: those of a decode stage, all or some of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from mmssl.config import digest
from mmssl.data.clip_store import ClipStore
from mmssl.data.dataset import ClipItem, ClipSource
from mmssl.data.manifest import Manifest
from mmssl.errors import StageError
from mmssl.stages.record import read_record

STORE = "store"


def open_clips(folder: Path) -> ClipStore:
    """The clips of a decode stage's folder, or of a clip store's own.

    Raises:
        ClipStoreError: If the folder holds none.
    """
    return ClipStore(folder / STORE if (folder / STORE).is_dir() else folder)


def dataset_name(folder: Path) -> str:
    """How results name the clips of a decode stage: by its manifests."""
    manifests = read_record(folder).get("settings", {}).get("manifest", [])
    names = [Manifest(Path(file), ()).name for file in ([manifests] if isinstance(manifests, str) else manifests)]
    return " + ".join(names) or folder.name


@dataclass(frozen=True, eq=False)
class Subset:
    """Some clips of a source, as a source.

    Args:
        source: The whole.
        positions: Of the clips in it.
    """

    source: ClipSource
    positions: Sequence[int]

    @property
    def items(self) -> Sequence[ClipItem]:
        """One for each clip."""
        items = self.source.items
        return [items[position] for position in self.positions]

    @property
    def digest(self) -> str:
        """Names the content."""
        return digest([self.source.digest, list(self.positions)])

    def __len__(self) -> int:
        return len(self.positions)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> UInt8[Tensor, "batch frames 3 height width"]:
        """The clips at some positions of the subset."""
        return self.source.clips([self.positions[index] for index in indices], epoch=epoch)


def of_splits(source: ClipSource, splits: Sequence[str] | None) -> ClipSource:
    """The clips of some splits; without any named, those of `train` and of no split.

    Raises:
        StageError: If that leaves none.
    """
    wanted = {"train", None} if splits is None else set(splits)
    positions = [place for place, item in enumerate(source.items) if item.split in wanted]
    if not positions:
        known = sorted({item.split or "none" for item in source.items})
        raise StageError(
            f"no clip is of a split among {splits or ['train', 'none']}; the clips' splits are {known}; set splits"
        )
    return source if len(positions) == len(source) else Subset(source, positions)
