"""Any image model of timm, pretrained or from scratch."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmssl.config import bind
from mmssl.errors import CheckpointError, ConfigError
from mmssl.models.encoder import Encoder
from mmssl.models.image_input import fill_cells

STAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "EfficientNet": (("conv_stem", "bn1"), ("blocks",), ("conv_head", "bn2", "global_pool")),
    "ResNet": (("conv1", "bn1", "act1", "maxpool"), ("layer1", "layer2", "layer3", "layer4"), ("global_pool",)),
}
"""Kinds of timm's models that are one module after another: those of the stem, of the stages, and after them."""


class TimmEncoder(Encoder):
    """A timm model without its classifier; input normalisation is the model's own. Weights are random.

    Convolutional networks centre their cells as they were made to, which for most is on every `stride`-th pixel.

    Args:
        model: Name in timm, such as `resnet50` or `vit_small_patch16_224.dino`.
        stride: Pixels per cell; the deepest map of that stride is taken. The model's last map where not given.
        output_stride: 8 or 16 keep the resolution of the blocks from there on, which are dilated instead, with the same
            weights: the last map then has that stride. For convolutional networks that timm can build so.
        pool_strides: Strides of maps whose means over the image are joined to the model's own embedding. The last layer of a
            classifier knows its classes best; maps before it know more of what else there is.

    Raises:
        ConfigError: If timm has no such model, or the model no map of that stride.
    """

    def __init__(
        self,
        *,
        model: str,
        stride: int | None = None,
        output_stride: int | None = None,
        pool_strides: list[int] | None = None,
    ) -> None:
        super().__init__()
        self.model = create_timm_model(model, output_stride=output_stride)
        config = self.model.pretrained_cfg
        self.input = "rgb"
        strides = [level["reduction"] for level in self.model.feature_info]
        for name, wanted in [("stride", stride), *(("pool_strides", each) for each in pool_strides or ())]:
            if wanted is not None and wanted not in strides:
                raise ConfigError(f"{name}: {wanted}; {model} has maps of stride {sorted(set(strides))}")
        self.stride = strides[-1] if stride is None else stride
        deepest = {reduction: level for level, reduction in enumerate(strides)}
        self._level = deepest[self.stride]
        self._pooled = sorted({deepest[each] for each in pool_strides or ()})
        self._coarsest = max(strides)
        self._whole = self._level == len(strides) - 1
        self.feature_dim = int(self.model.feature_info[self._level]["num_chs"])
        self.dim = int(
            self.model.head_hidden_size if hasattr(self.model, "head_hidden_size") else self.model.num_features
        ) + sum(int(self.model.feature_info[level]["num_chs"]) for level in self._pooled)
        self.register_buffer("mean", torch.tensor(config["mean"])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(config["std"])[:, None, None], persistent=False)

    mean: Tensor
    std: Tensor

    def extra_repr(self) -> str:
        """What the modules inside do not tell of what an embedding is."""
        return f"pooled_levels={self._pooled}"

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The model's pooled embedding, and means of further maps where there are `pool_strides`."""
        if not self._pooled:
            embeddings: Tensor = self.model(self._seen(images))
            return embeddings
        last, maps = self.model.forward_intermediates(self._seen(images), indices=self._pooled, output_fmt="NCHW")
        return torch.cat([self.model.forward_head(last), *(each.mean((2, 3)) for each in maps)], dim=1)

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps; see `Encoder`."""
        height, width = (-(-side // self.stride) for side in images.shape[-2:])
        maps: list[Tensor] = self.model.forward_intermediates(
            self._seen(images), indices=[self._level], norm=self._whole, output_fmt="NCHW", intermediates_only=True
        )
        return maps[0][:, :, :height, :width]

    def stages(self) -> list[nn.Module]:
        """See `Staged`: the stem, timm's own stages, and what comes after the last of them.

        Raises:
            ConfigError: If the model is of a kind that is not in `STAGES`, or maps are pooled that lie within its stem.
        """
        kind = type(self.model).__name__
        if kind not in STAGES:
            raise ConfigError(f"timm's {kind} is not known as a run of stages, as {', '.join(sorted(STAGES))} are")
        stem, middle, head = ([self.model.get_submodule(name) for name in names] for names in STAGES[kind])
        stages = [nn.Sequential(*stem), *(middle[0] if len(middle) == 1 else middle), nn.Sequential(*head)]
        for level, stage in self._pooled_stages():
            if stage not in stages:
                raise ConfigError(
                    f"pool_strides: the map of stride {level['reduction']} lies within the stem, which is one stage; "
                    "leave it out, or lock the tower whole or not at all"
                )
        return stages

    def _pooled_stages(self) -> list[tuple[dict[str, Any], nn.Module]]:
        """What timm says of the maps that are pooled, from the input on, and the modules that give them."""
        levels = [self.model.feature_info[number] for number in self._pooled]
        return [(level, self.model.get_submodule(level["module"])) for level in levels]

    def lower(
        self, inputs: Float[Tensor, "batch 3 height width"], *, stages: int
    ) -> Float[Tensor, "batch channels h w"]:
        """See `Staged`; means of maps that are pooled on the way come along as further channels."""
        return self._through(self._seen(inputs), 0, stages)

    def upper(self, states: Float[Tensor, "batch channels h w"], *, stages: int) -> Float[Tensor, "batch dim"]:
        """See `Staged`."""
        return self._through(states, stages, None)

    def _through(self, states: Tensor, first: int, end: int | None) -> Tensor:
        """Sends maps through some of the stages, the means of pooled ones behind their channels.

        Args:
            states: What comes into the first of the stages.
            first: Number of the first stage.
            end: Number of the stage to stop before; behind the last of them, None.
        """
        stages, pooled = self.stages(), self._pooled_stages()
        carried = sum(level["num_chs"] for level, stage in pooled if stage in stages[:first])
        states, behind = torch.split(states, [states.shape[1] - carried, carried], dim=1)
        means = [behind.mean((2, 3))] if carried else []
        for stage in stages[first:end]:
            states = stage(states)
            if any(stage is each for _, each in pooled):
                means.append(states.mean((2, 3)))
        if end is None:
            return torch.cat([states, *means], dim=1)
        return torch.cat([states, *(each[:, :, None, None].expand(-1, -1, *states.shape[2:]) for each in means)], dim=1)

    def _seen(self, images: Tensor) -> Tensor:
        return (fill_cells(images, self._coarsest) - self.mean) / self.std


def create_timm_model(name: str, *, pretrained: bool = False, output_stride: int | None = None) -> Any:
    """A timm model without classifier, for images of any size where its kind allows them.

    Transformers of the ViT family interpolate their position embeddings to the size of the image.

    Raises:
        ConfigError: If timm has no such model, or cannot build it at that output stride.
        CheckpointError: If its weights are wanted and cannot be had.
    """
    import huggingface_hub
    import timm

    if not timm.is_model(name):
        close = timm.list_models(f"*{name.split('.')[0]}*")[:5]
        raise ConfigError(
            f"timm has no model {name!r}" + (f"; it has {close}" if close else "; see timm.list_models()")
        )
    options: dict[str, Any] = {"num_classes": 0}
    if name.startswith(("vit", "deit", "eva", "beit")):
        options["dynamic_img_size"] = True
    if output_stride is not None:
        options["output_stride"] = output_stride
    if not pretrained:
        try:
            return timm.create_model(name, **options)
        except (AssertionError, NotImplementedError, TypeError) as error:
            raise ConfigError(f"output_stride is {output_stride}; timm cannot build {name} so") from error
    instead = f"give timm:{name}@FILE with a file of its weights, or random:timm:{name} for random ones"
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise CheckpointError(f"timm:{name}: there are no published weights; {instead}")
    files = ("model.safetensors", "pytorch_model.bin", config.hf_hub_filename or "model.safetensors")
    cached = any(
        isinstance(huggingface_hub.try_to_load_from_cache(config.hf_hub_id or name, file), str) for file in files
    )
    if not cached and not reachable(huggingface_hub.constants.ENDPOINT):
        raise CheckpointError(f"timm:{name}: its weights are not on this machine and there is no network; {instead}")
    try:
        return timm.create_model(name, pretrained=True, **options)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"timm:{name}: its weights could not be fetched: {reason}; {instead}") from error


def reachable(address: str) -> bool:
    """Whether a server answers, through the proxy that the environment names."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=5)
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def load_timm_encoder(settings: Mapping[str, Any], weights: Path | None = None) -> TimmEncoder:
    """A timm model with its published weights, or with those of a file.

    Args:
        settings: Of `TimmEncoder`; `model` is one.
        weights: `.safetensors`, or a file that torch can load without running code.

    Raises:
        ConfigError: If timm has no such model, or a setting is wrong.
        CheckpointError: If the weights cannot be had, read, or do not fit.
    """
    values, faults = bind(TimmEncoder, settings)
    if faults:
        raise ConfigError("\n".join(fault.text() for fault in faults))
    encoder, name = TimmEncoder(**values), values["model"]
    if weights is None:
        encoder.model = create_timm_model(name, pretrained=True, output_stride=values.get("output_stride"))
        return encoder
    if not weights.is_file():
        raise CheckpointError(f"{weights}: there is no such file of weights for timm:{name}")
    from timm.models import load_state_dict

    try:
        state = load_state_dict(str(weights), weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{weights}: cannot be read as weights: {str(error).splitlines()[0]}") from error
    _fit(encoder.model, state, f"{weights} for timm:{name}")
    return encoder


def _fit(model: nn.Module, state: dict[str, Tensor], what: str) -> None:
    wanted = model.state_dict()
    missing = [key for key in wanted if key not in state]
    misshapen = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    if missing or misshapen:
        raise CheckpointError(
            f"{what}: the weights are of another model: {len(missing)} of {len(wanted)} tensors are missing and "
            f"{len(misshapen)} have another shape, such as {(missing + misshapen)[0]}"
        )
    model.load_state_dict({key: state[key] for key in wanted})
