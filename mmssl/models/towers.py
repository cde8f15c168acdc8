"""An image tower and a text tower that need not know each other, joined by a projection each."""

from collections.abc import Sequence
from typing import Annotated

from jaxtyping import Float, Int
from torch import Tensor, nn

from mmssl.config import Choice, Spec, build
from mmssl.functional.framing import Framing
from mmssl.models.encoder import Encoder
from mmssl.models.image_text import ImageTextEncoder, new_log_scale
from mmssl.models.resnet import ResNet18
from mmssl.models.small_resnet import SmallResNet
from mmssl.models.staged import Staged
from mmssl.models.text import TEXT_CHOICE
from mmssl.models.text_tower import TextTower
from mmssl.models.time_pool import POOL_CHOICE
from mmssl.models.timm_encoder import TimmEncoder
from mmssl.models.vit import VisionTransformer

IMAGE_CHOICE = Choice(
    {"resnet18": ResNet18, "small_resnet": SmallResNet, "timm": TimmEncoder, "vit": VisionTransformer}, "image tower"
)


class ImageTextTowers(ImageTextEncoder):
    """Any image encoder and a text tower, each with a projection to the space that both share.

    Args:
        image: The image tower, with its settings.
        text: The text tower, with its settings.
        projection_dim: Length of an embedding.
        hidden_dim: Length of a hidden layer before it, on both sides; none where 0.
        size: Side of the square that images are brought to before they are embedded.
        dropout: Share of the values before and in the projections that are dropped in training.
        text_dropout: The same on the text's side; `dropout` where not given.
        standardize: Whether a BatchNorm without weights gives all values that enter a projection the same mean and spread, for
            towers that were made elsewhere and whose values differ in size.
        pool: How the embeddings of a clip's frames become one: `mean`, or `transformer`, which sees which came when.

    Source:
        Radford et al. 2021, arXiv:2103.00020; towers that are trained elsewhere: Zhai et al. 2022, arXiv:2111.07991 (LiT).
    """

    def __init__(
        self,
        *,
        image: Annotated[Spec | str, IMAGE_CHOICE],
        text: Annotated[Spec | str, TEXT_CHOICE] = "transformer",
        projection_dim: int = 256,
        hidden_dim: int = 0,
        size: int = 128,
        dropout: float = 0.0,
        text_dropout: float | None = None,
        standardize: bool = False,
        pool: Annotated[Spec | str, POOL_CHOICE] = "mean",
    ) -> None:
        super().__init__()
        self.image: Encoder = build(image, IMAGE_CHOICE)
        self.text: TextTower = build(text, TEXT_CHOICE)
        self.image_projection, self.text_projection = (
            _projection(
                tower.dim, hidden_dim=hidden_dim, out_dim=projection_dim, dropout=share, standardize=standardize
            )
            for tower, share in ((self.image, dropout), (self.text, dropout if text_dropout is None else text_dropout))
        )
        self.logit_scale = new_log_scale()
        self.framing = Framing((size, size))
        self.dim = projection_dim
        self.pool = build(pool, POOL_CHOICE, dim=self.dim)
        self.input, self.stride, self.feature_dim = self.image.input, self.image.stride, self.image.feature_dim

    @property
    def log_scale(self) -> nn.Parameter:
        """See `ImageTextEncoder`."""
        return self.logit_scale

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """Embeds RGB images in 0..1."""
        embeddings: Tensor = self.image_projection(self.image_features(images))
        return embeddings

    def image_features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tower_dim"]:
        """What the image tower makes of RGB images in 0..1, before the projection."""
        features: Tensor = self.image(self._fitted(images))
        return features

    def image_states(
        self, images: Float[Tensor, "batch 3 height width"], *, stages: int
    ) -> Float[Tensor, "batch channels h w"]:
        """What the first stages of an image tower that comes in stages make of RGB images in 0..1."""
        assert isinstance(self.image, Staged)
        return self.image.lower(self._fitted(images), stages=stages)

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """The image tower's feature maps; see `Encoder`."""
        return self.image.features(images)

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "texts length"]:
        """See `ImageTextEncoder`."""
        return self.text.tokenize(texts)

    def embed_tokens(self, tokens: Int[Tensor, "texts length"]) -> Float[Tensor, "texts dim"]:
        """See `ImageTextEncoder`."""
        embeddings: Tensor = self.text_projection(self.text(tokens))
        return embeddings


def _projection(dim: int, *, hidden_dim: int, out_dim: int, dropout: float, standardize: bool) -> nn.Module:
    last = nn.Linear(hidden_dim or dim, out_dim, bias=False)
    if not hidden_dim:
        nn.init.normal_(last.weight, std=dim**-0.5)
    layers = [nn.Linear(dim, hidden_dim), nn.GELU(), last] if hidden_dim else [last]
    if dropout:
        layers = [dropped for layer in layers for dropped in _with_dropout(layer, dropout)]
    if standardize:
        layers = [nn.BatchNorm1d(dim, affine=False), *layers]
    return nn.Sequential(*layers) if len(layers) > 1 else last


def _with_dropout(layer: nn.Module, dropout: float) -> list[nn.Module]:
    """A layer, and dropout before it where it has weights."""
    return [nn.Dropout(dropout), layer] if isinstance(layer, nn.Linear) else [layer]
