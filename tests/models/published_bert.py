"""A small BERT in a folder as they are published, and its sentence embedding step by step."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog", "play", "##ing", "##s", "-", ".", "cafe"]
SIZES: dict[str, Any] = {"dim": 8, "depth": 2, "num_heads": 2, "hidden_dim": 12, "vocabulary": 12, "positions": 16}
TOWER = {"name": "bert", **SIZES, "context": 10}


def write_bert(folder: Path) -> dict[str, Tensor]:
    """Writes the folder of sentence-transformers and gives the weights by their published names."""
    random = torch.Generator().manual_seed(2)
    shapes = {
        "embeddings.word_embeddings.weight": (12, 8),
        "embeddings.position_embeddings.weight": (16, 8),
        "embeddings.token_type_embeddings.weight": (2, 8),
        "pooler.dense.weight": (8, 8),
    }
    for number in range(2):
        layer = f"encoder.layer.{number}"
        for name in ("query", "key", "value"):
            shapes[f"{layer}.attention.self.{name}.weight"] = (8, 8)
            shapes[f"{layer}.attention.self.{name}.bias"] = (8,)
        for name, out, wide in (("attention.output", 8, 8), ("intermediate", 12, 8), ("output", 8, 12)):
            shapes[f"{layer}.{name}.dense.weight"] = (out, wide)
            shapes[f"{layer}.{name}.dense.bias"] = (out,)
    norms = ["embeddings"] + [f"encoder.layer.{n}.{part}output" for n in range(2) for part in ("", "attention.")]
    for name in norms:
        shapes[f"{name}.LayerNorm.weight"] = shapes[f"{name}.LayerNorm.bias"] = (8,)
    weights = {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "vocab_size": 12,
        "max_position_embeddings": 16,
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    save_file(weights, folder / "model.safetensors")
    return weights


def sentence_embedding(weights: dict[str, Tensor], numbers: list[int]) -> Tensor:
    """The embedding of one sentence, a head at a time, without batches and padding."""

    def linear(states: Tensor, name: str) -> Tensor:
        return states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(states: Tensor, name: str) -> Tensor:
        return functional.layer_norm(
            states, (8,), weights[f"{name}.LayerNorm.weight"], weights[f"{name}.LayerNorm.bias"], 1e-12
        )

    states = weights["embeddings.word_embeddings.weight"][numbers]
    states = states + weights["embeddings.position_embeddings.weight"][: len(numbers)]
    states = norm(states + weights["embeddings.token_type_embeddings.weight"][0], "embeddings")
    for number in range(2):
        layer = f"encoder.layer.{number}"
        query, key, value = (linear(states, f"{layer}.attention.self.{name}") for name in ("query", "key", "value"))
        heads = []
        for head in (slice(0, 4), slice(4, 8)):
            scores = query[:, head] @ key[:, head].T / math.sqrt(4)
            heads.append(scores.softmax(1) @ value[:, head])
        attended = linear(torch.cat(heads, dim=1), f"{layer}.attention.output.dense")
        states = norm(states + attended, f"{layer}.attention.output")
        hidden = functional.gelu(linear(states, f"{layer}.intermediate.dense"))
        states = norm(states + linear(hidden, f"{layer}.output.dense"), f"{layer}.output")
    return functional.normalize(states.mean(0), dim=0)
