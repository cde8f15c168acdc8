"""An encoder of images and text whose answers are known: it sees the mean color and reads the names of colors."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmssl.functional.framing import Framing
from mmssl.models.image_text import ImageTextEncoder
from mmssl.models.loading import EncoderCard, LoadedEncoder
from mmssl.models.time_pool import MeanOverTime

COLORS = {
    "red": (1.0, 0.0, 0.0),
    "crimson": (0.9, 0.1, 0.2),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "navy": (0.0, 0.0, 0.5),
    "yellow": (1.0, 1.0, 0.0),
    "gray": (0.5, 0.5, 0.5),
}


class ColorWords(ImageTextEncoder):
    """Embeds an image as its mean color and a sentence as the sum of the colors that it names, plus a little for each word."""

    def __init__(self, scale: float = 10.0) -> None:
        super().__init__()
        self.dim, self.feature_dim, self.stride, self.input = 4, 4, 8, "rgb"
        self.framing = Framing((8, 8))
        self.pool = MeanOverTime(self.dim)
        self.learned = nn.Parameter(torch.tensor(scale).log())
        self.num_texts = self.num_images = 0

    @property
    def log_scale(self) -> nn.Parameter:
        return self.learned

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[-2:] == self.framing.size
        self.num_images += len(images)
        return torch.cat((images.mean((2, 3)), torch.full((len(images), 1), 0.01)), dim=1)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        self.num_texts += len(texts)
        words = [text.strip(".").split() for text in texts]
        sums = [[sum(COLORS[word][channel] for word in one if word in COLORS) for channel in range(3)] for one in words]
        return torch.tensor([[*one, 0.01 * len(text)] for one, text in zip(sums, words, strict=True)])

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        return tokens


def color_words(scale: float = 10.0) -> LoadedEncoder:
    encoder = ColorWords(scale).eval()
    card = EncoderCard({"name": "colors"}, "rgb", 8, 4, 4, f"colors {scale}", "0", {})
    return LoadedEncoder(encoder, "colors", f"colors {scale}", card)
