"""What a run is made of: each stage turns folders into one folder, whole or not at all."""

from mmssl.stages.decode import decode
from mmssl.stages.duplicates import duplicates
from mmssl.stages.embed import embed
from mmssl.stages.evaluate import evaluate
from mmssl.stages.graph import Stage
from mmssl.stages.index import index
from mmssl.stages.train import train

STAGES: dict[str, Stage] = {
    "decode": decode,
    "train": train,
    "embed": embed,
    "index": index,
    "duplicates": duplicates,
    "evaluate": evaluate,
}
"""Stages by kind in a recipe."""
