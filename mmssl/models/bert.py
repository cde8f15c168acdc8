"""BERT as a text tower: the transformer inside most sentence encoders, and the folders that they are published in."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from mmssl.errors import CheckpointError, ConfigError
from mmssl.models.text_tower import TextTower
from mmssl.models.word_pieces import WordPieces

CONFIG_FILE = "config.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
POOLING_FILE = "1_Pooling/config.json"
SENTENCES_AT_ONCE = 16


class Bert(TextTower):
    """A sentence encoder of BERT's make, such as all-MiniLM-L6-v2, whose sizes are the defaults. Weights are random.

    Weights and vocabulary come together, by `read`; both lie in a checkpoint, which then needs no other folder.

    Args:
        dim: Length of a token, and of an embedding.
        depth: Number of blocks.
        num_heads: Of each block; divides dim.
        hidden_dim: Length between the two layers of a block.
        vocabulary: Number of different tokens.
        positions: Tokens of the longest sentence that weights exist for.
        context: Tokens after which a sentence is cut off, its begin and end among them.
        pooling: Whether the embedding is the mean over the tokens or the first of them.
        dropout: Share of the values that are dropped in training.

    Raises:
        ConfigError: If context is longer than positions.

    Source:
        Devlin et al. 2018, arXiv:1810.04805; as a sentence encoder: Reimers and Gurevych 2019, arXiv:1908.10084.
    """

    def __init__(
        self,
        *,
        dim: int = 384,
        depth: int = 6,
        num_heads: int = 12,
        hidden_dim: int = 1536,
        vocabulary: int = 30522,
        positions: int = 512,
        context: int = 128,
        pooling: Literal["mean", "first"] = "mean",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not 2 <= context <= positions:
            raise ConfigError(f"context is {context}; a sentence has from 2 to positions={positions} tokens")
        self.dim = dim
        self.context = context
        self.pooling = pooling
        self._settings = {
            "dim": dim,
            "depth": depth,
            "num_heads": num_heads,
            "hidden_dim": hidden_dim,
            "vocabulary": vocabulary,
            "positions": positions,
            "pooling": pooling,
        }
        self.words = nn.Embedding(vocabulary, dim)
        self.positions = nn.Parameter(torch.empty(positions, dim))
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, num_heads, hidden_dim, dropout, "gelu", layer_norm_eps=1e-12, batch_first=True
            )
            for _ in range(depth)
        )
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.02)
        self._pieces: WordPieces | None = None

    def extra_repr(self) -> str:
        """What the modules inside do not tell of what an embedding is."""
        return f"pooling={self.pooling}"

    def get_extra_state(self) -> Tensor:
        """The vocabulary, for the state dict; empty where there is none yet."""
        return torch.empty(0, dtype=torch.uint8) if self._pieces is None else self._pieces.packed()

    def set_extra_state(self, state: Tensor) -> None:
        """Takes over what `get_extra_state` gave."""
        self._pieces = WordPieces.unpacked(state) if len(state) else None

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "texts length"]:
        """See `TextTower`.

        Raises:
            ConfigError: If no vocabulary was read.
        """
        return self._vocabulary()(texts, length=self.context)

    def forward(self, tokens: Int[Tensor, "texts length"]) -> Float[Tensor, "texts dim"]:
        """See `TextTower`; embeddings are of length 1, as the sentence encoders' own."""
        longest = int((tokens != self._vocabulary().pad).sum(1).max())
        return self.upper(self.lower(tokens[:, :longest], stages=1), stages=1)

    def stages(self) -> list[nn.Module]:
        """See `Staged`: what words become before the blocks, then each block."""
        return [nn.ModuleList([self.words, nn.ParameterList([self.positions]), self.norm, self.dropout]), *self.blocks]

    def lower(self, inputs: Int[Tensor, "texts length"], *, stages: int) -> Float[Tensor, "texts length dim"]:
        """See `Staged`; where a sentence has ended, states are 0."""
        seen = inputs != self._vocabulary().pad
        states = self.dropout(self.norm(self.words(inputs) + self.positions[: inputs.shape[1]]))
        return self._through(self.blocks[: stages - 1], states, seen).masked_fill(~seen[:, :, None], 0.0)

    def upper(self, states: Float[Tensor, "texts length dim"], *, stages: int) -> Float[Tensor, "texts dim"]:
        """See `Staged`."""
        seen = (states != 0).any(2)
        states = self._through(self.blocks[stages - 1 :], states, seen)
        if self.pooling == "first":
            return normalize(states[:, 0], dim=1)
        return normalize((states * seen[:, :, None]).sum(1), dim=1)

    def _through(
        self, blocks: nn.ModuleList, states: Float[Tensor, "texts length dim"], seen: Bool[Tensor, "texts length"]
    ) -> Float[Tensor, "texts length dim"]:
        """States after some blocks, a few sentences of like length at a time, so that little is computed beyond their ends."""
        if not blocks:
            return states
        order = seen.sum(1).argsort(stable=True)
        parts = []
        for some in torch.split(order, SENTENCES_AT_ONCE):
            longest = int(seen[some].sum(1).max())
            part, ended = states[some, :longest], ~seen[some, :longest]
            for block in blocks:
                part = block(part, src_key_padding_mask=ended)
            parts.append(pad(part, (0, 0, 0, states.shape[1] - longest)))
        return torch.cat(parts)[order.argsort()]

    def read(self, folder: Path) -> None:
        """Takes over weights and vocabulary of a folder of sentence-transformers or Hugging Face.

        Raises:
            CheckpointError: If the folder holds no BERT, or one of other sizes; the message then says which.
        """
        if not (folder / CONFIG_FILE).is_file():
            raise CheckpointError(f"{folder}: expected a folder with {CONFIG_FILE}, weights and a vocabulary of a BERT")
        try:
            config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            wanted = _settings(config, folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{folder / CONFIG_FILE}: is not the configuration of a BERT: {error!r}") from error
        different = {name: value for name, value in wanted.items() if value != self._settings[name]}
        if different:
            raise CheckpointError(f"{folder}: is a BERT of other settings; give the text tower {different}")
        pieces = WordPieces.read(folder)
        try:
            self.load_state_dict(_renamed(_weights(folder)) | {"_extra_state": pieces.packed()})
        except (RuntimeError, KeyError) as error:
            raise CheckpointError(
                f"{folder}: the weights are not those of its {CONFIG_FILE}: {str(error).splitlines()[0]}"
            ) from error

    def _vocabulary(self) -> WordPieces:
        if self._pieces is None:
            raise ConfigError("the text tower bert has no vocabulary; name the folder of one as text_from")
        return self._pieces


def _settings(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The settings of `Bert` for a folder's configuration."""
    if config["model_type"] != "bert" or config.get("hidden_act", "gelu") != "gelu":
        raise ValueError(f"model_type {config['model_type']}, hidden_act {config.get('hidden_act')}")
    pooling = folder / POOLING_FILE
    first = pooling.is_file() and json.loads(pooling.read_text(encoding="utf-8")).get("pooling_mode_cls_token", False)
    return {
        "dim": config["hidden_size"],
        "depth": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["intermediate_size"],
        "vocabulary": config["vocab_size"],
        "positions": config["max_position_embeddings"],
        "pooling": "first" if first else "mean",
    }


def _weights(folder: Path) -> dict[str, Tensor]:
    file = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    if file is None:
        raise CheckpointError(f"{folder}: holds no weights; expected {' or '.join(WEIGHT_FILES)}")
    try:
        weights: dict[str, Tensor] = (
            load_file(file)
            if file.suffix == ".safetensors"
            else torch.load(file, map_location="cpu", weights_only=True)
        )
    except (OSError, SafetensorError, RuntimeError, ValueError, UnpicklingError) as error:
        raise CheckpointError(f"{file}: cannot be read as weights: {str(error).splitlines()[0]}") from error
    return weights


def _renamed(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a published BERT by the names of `Bert`; the second sentence's embedding and the pooler are left out."""
    given = {name.removeprefix("bert."): tensor.float() for name, tensor in published.items()}
    types = given["embeddings.token_type_embeddings.weight"]
    found = {
        "words.weight": given["embeddings.word_embeddings.weight"],
        "positions": given["embeddings.position_embeddings.weight"] + types[0],
        "norm.weight": given["embeddings.LayerNorm.weight"],
        "norm.bias": given["embeddings.LayerNorm.bias"],
    }
    for number in sorted({int(match[1]) for name in given if (match := re.match(r"encoder\.layer\.(\d+)\.", name))}):
        for kind in ("weight", "bias"):
            for own, theirs in BLOCK.items():
                found[f"blocks.{number}.{own}{kind}"] = torch.cat(
                    [given[f"encoder.layer.{number}.{part}.{kind}"] for part in theirs]
                )
    return found


BLOCK = {
    "self_attn.in_proj_": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "self_attn.out_proj.": ("attention.output.dense",),
    "norm1.": ("attention.output.LayerNorm",),
    "linear1.": ("intermediate.dense",),
    "linear2.": ("output.dense",),
    "norm2.": ("output.LayerNorm",),
}
"""Names of a block's parts as torch has them, and as BERTs are published."""
