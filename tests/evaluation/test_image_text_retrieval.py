from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mmssl.data.dataset import ClipItem
from mmssl.errors import EvaluationError
from mmssl.evaluation.cross_modal import first_ranks
from mmssl.evaluation.image_text_probe import ImageTextProbe
from mmssl.evaluation.image_text_retrieval import image_text_retrieval
from mmssl.evaluation.subject import Subject
from mmssl.media.image import read_image
from mmssl.models.loading import load_encoder
from tests.zeroshot.toys import COLORS, color_words


class Captioned:
    """One plain picture a color, with its captions."""

    digest = "colors"

    def __init__(self, captions: dict[str, str], split: str | None = "test") -> None:
        self._colors = list(captions)
        self.items = [
            ClipItem(f"c{number}#0", f"c{number}", None, split, f"c{number}", text, (0.0,))
            for number, text in enumerate(captions.values())
        ]

    def __len__(self) -> int:
        return len(self.items)

    def clips(self, indices: list[int], *, epoch: int = 0) -> torch.Tensor:
        colors = torch.tensor([COLORS[self._colors[index]] for index in indices])
        return (colors * 255).to(torch.uint8)[:, None, :, None, None].expand(-1, 1, 3, 8, 8).contiguous()


def scores(captions: dict[str, str], **facts: object) -> dict[str, float | None]:
    subject = Subject(encoder=color_words(), dataset="colors", name="toy", clips=Captioned(captions))
    return {(row.encoder, row.metric): row.value for row in image_text_retrieval(subject, ks=(1, 2))}  # type: ignore[misc]


def test_right_captions_are_found_both_ways() -> None:
    found = scores({"red": "red\ncrimson red", "green": "Green", "blue": "blue navy"})
    for way in ("text to image", "image to text"):
        assert found["toy", f"{way} R@1"] == 1.0
        assert found["toy", f"{way} median rank"] == 1.0
    assert found["chance", "text to image R@1"] == pytest.approx(1 / 3)
    assert found["chance", "image to text R@1"] == pytest.approx((2 / 4 + 1 / 4 + 1 / 4) / 3)


def test_wrong_and_shared_captions_by_hand() -> None:
    """Green and blue have each other's words; the gray and the yellow picture share one caption, and either is right."""
    found = scores({"green": "blue", "blue": "green", "yellow": "yellow", "gray": "Yellow"})
    assert found["toy", "text to image R@1"] == pytest.approx(1 / 3), "of three different captions"
    assert found["toy", "image to text R@1"] == pytest.approx(2 / 4)


def test_first_rank_counts_ties_against_the_query() -> None:
    values = torch.tensor([[0.5, 0.5, 0.1], [0.9, 0.2, 0.3]])
    right = torch.tensor([[True, False, False], [False, True, True]])
    assert first_ranks(values, right).tolist() == [2, 2]


def test_what_knows_no_text_or_has_no_captions_is_refused() -> None:
    clips = Captioned({"red": "red"})
    with pytest.raises(EvaluationError, match="knows no text"):
        image_text_retrieval(Subject(encoder=load_encoder("pixels"), dataset="x", clips=clips))
    with pytest.raises(EvaluationError, match="none of 1 clips has a caption"):
        image_text_retrieval(Subject(encoder=color_words(), dataset="x", clips=Captioned({"red": " "})))


def test_what_captions_find_is_drawn(tmp_path: Path) -> None:
    clips = Captioned({"red": "red!", "green": "green", "blue": "blue"})
    subject = Subject(encoder=color_words(), dataset="colors", name="toy", clips=clips, out=tmp_path)
    image_text_retrieval(subject)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["blue.png", "green.png", "red.png"]
    picture = read_image(tmp_path / "red.png")
    assert picture.shape == (3, 112, 3 * 112)
    assert picture[:, 0, 0].tolist() == [46, 160, 67], "the first is right"
    assert picture[:, 0, 200].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("labels", "accuracy"), [(["red", "green", None], 1.0), (["green", "red", None], 0.0)])
def test_a_training_is_followed_by_retrieval_and_by_the_names_of_classes(
    labels: list[str | None], accuracy: float
) -> None:
    clips = Captioned({"red": "red", "green": "green", "blue": "blue navy"})
    clips.items = [replace(item, label=label) for item, label in zip(clips.items, labels, strict=True)]
    found = ImageTextProbe(clips).look(color_words().encoder)
    assert found["text_to_image_recall_1"] == found["image_to_text_recall_10"] == 1.0
    assert found["zero_shot_accuracy"] == accuracy


def test_a_probe_of_captions_needs_some() -> None:
    with pytest.raises(EvaluationError, match="none of 1 clips"):
        ImageTextProbe(Captioned({"red": ""}))
