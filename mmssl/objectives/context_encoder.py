"""Context encoder: paint the hole in the middle of an image, so that a critic cannot tell it from the real middle."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.functional.picture_grid import picture_grid
from mmssl.models.encoder import Encoder
from mmssl.models.pixel_decoder import PixelDecoder
from mmssl.objectives.objective import Batch, Objective, Output

_OVERLAP_WEIGHT = 10.0


class ContextEncoder(Objective):
    """Squared error inside the hole and a border around it, and an adversarial loss.

    One optimizer moves painter and critic at once: the critic's own loss reaches the critic alone, the adversarial one all
    but the critic. Every cell of the decoder also gets the mean of the feature map, so that the hole knows the whole image.

    Args:
        encoder: See `Objective`.
        adversarial_weight: Of the adversarial loss; the rest is the squared error's.
        critic_width: Channels of the critic's first layer.
        decoder_width: Smallest number of channels in the decoder.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "crop"}
    source = "Pathak et al. 2016, arXiv:1604.07379"
    units: ClassVar[Mapping[str, str]] = {
        "loss": "weighted sum of three terms",
        "reconstruction": "weighted mean squared error of RGB in 0..1",
        "adversarial": "nats",
        "critic": "nats",
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        adversarial_weight: float = 0.001,
        critic_width: int = 64,
        decoder_width: int = 32,
    ) -> None:
        super().__init__(encoder)
        self.adversarial_weight = adversarial_weight
        self.decoder = PixelDecoder(2 * encoder.feature_dim, 3, factor=encoder.stride, width=decoder_width)
        self.critic = _Critic(critic_width)

    def forward(self, batch: Batch) -> Output:
        """The loss of `image`; also its parts `reconstruction`, `adversarial` and `critic`."""
        image = batch["image"]
        holed, weight = _holed(image)
        painted, real = _middle(self._painted(holed)), _middle(image)
        reconstruction = (_middle(weight) * (painted - real).square()).mean()
        frozen = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
        doubted = torch.func.functional_call(self.critic, frozen, (painted,))
        adversarial = functional.softplus(-doubted).mean()
        critic = (
            functional.softplus(-self.critic(real)) + functional.softplus(self.critic(painted.detach()))
        ).mean() / 2
        share = self.adversarial_weight
        return {
            "loss": (1 - share) * reconstruction + share * adversarial + critic,
            "reconstruction": reconstruction.detach(),
            "adversarial": adversarial.detach(),
            "critic": critic.detach(),
        }

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """Images with their hole, with what is painted there, and whole."""
        images = batch["image"][:8]
        holed, _ = _holed(images)
        painted = self._painted(holed).clamp(0, 1)
        filled = holed.clone()
        _middle(filled).copy_(_middle(painted))
        rows = (holed, filled, images)
        return {"from the top: hole, painted, truth": picture_grid(rows)}

    def _painted(self, holed: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
        features = self.encoder.features(holed)
        everywhere = features.mean((2, 3), keepdim=True).expand_as(features)
        painted: Tensor = self.decoder(torch.cat((features, everywhere), dim=1), size=tuple(holed.shape[-2:]))
        return painted.float()


class _Critic(nn.Sequential):
    """Whether a picture is real, as a logit."""

    def __init__(self, width: int) -> None:
        channels = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], 1))


def _middle(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels h w"]:
    """The central part, half as high and half as wide."""
    height, width = images.shape[-2:]
    return images[:, :, height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2]


def _holed(images: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, Tensor]:
    """Images with a hole, which leaves a border of the middle, and the weights of the error.

    The hole has the mean color of what is around it: that of the whole image would tell the mean of what is hidden.
    """
    hidden, weight = torch.zeros_like(images[:, :1]), torch.ones_like(images[:, :1])
    middle_hidden, middle_weight = _middle(hidden), _middle(weight)
    border = max(1, min(middle_hidden.shape[-2:]) // 16)
    inner = (..., slice(border, -border), slice(border, -border))
    middle_hidden[inner] = 1.0
    middle_weight.fill_(_OVERLAP_WEIGHT)
    middle_weight[inner] = 1.0
    visible = images * (1 - hidden)
    around = visible.sum((2, 3), keepdim=True) / (1 - hidden).sum((2, 3), keepdim=True)
    return visible + hidden * around, weight
