"""What a run is made of: each stage turns folders into one folder, whole or not at all."""

from mmssl.stages.graph import Stage

STAGES: dict[str, Stage] = {}
