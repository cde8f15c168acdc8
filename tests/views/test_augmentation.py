import torch
from torch.testing import assert_close

from mmssl.functional.random import ItemRandom
from mmssl.views.augmentation import Augmentation, random_frame
from mmssl.views.byol import BYOLView

IMAGES = torch.randint(0, 256, (6, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
RANDOM = ItemRandom(0, 0, range(6))
PLAIN = {"jitter_probability": 0.0, "grey_probability": 0.0, "flip_probability": 0.0}


def test_the_whole_image_stays_as_it_is_where_nothing_is_changed() -> None:
    view = Augmentation(size=20, scale=(1.0, 1.0), **PLAIN)(IMAGES, RANDOM, "a")
    square = [index for index, image in enumerate(view) if torch.equal(image, IMAGES[index].float() / 255)]
    assert square, "a crop of the whole area and ratio 1 is the image"
    flipped = Augmentation(size=20, scale=(1.0, 1.0), **(PLAIN | {"flip_probability": 1.0}))(IMAGES, RANDOM, "a")
    assert_close(flipped, view.flip(-1))


def test_solarization_inverts_bright_values() -> None:
    plain = Augmentation(size=8, scale=(0.5, 1.0), **PLAIN)(IMAGES, RANDOM, "a")
    solarized = Augmentation(size=8, scale=(0.5, 1.0), solarize_probability=1.0, **PLAIN)(IMAGES, RANDOM, "a")
    assert_close(solarized, torch.where(plain >= 0.5, 1 - plain, plain))
    assert plain.max() > 0.5 >= solarized.max()


def test_another_name_gives_another_view() -> None:
    augmentation = Augmentation(size=8, scale=(0.2, 1.0))
    assert not torch.equal(augmentation(IMAGES, RANDOM, "a"), augmentation(IMAGES, RANDOM, "b"))
    assert torch.equal(augmentation(IMAGES, RANDOM, "a"), augmentation(IMAGES, RANDOM, "a"))


def test_a_frame_of_each_clip_is_taken_at_random() -> None:
    clips = torch.arange(5, dtype=torch.uint8)[None, :, None, None, None].expand(200, 5, 3, 1, 1)
    taken = random_frame(clips, ItemRandom(0, 0, range(200)))[:, 0, 0, 0]
    assert torch.bincount(taken.long(), minlength=5).min() > 20


def test_byols_first_view_is_blurred_and_its_second_sometimes_solarized() -> None:
    noise = torch.randint(0, 256, (60, 1, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    view = BYOLView(size=32, scale=(0.99, 1.0), jitter_probability=0.0, grey_probability=0.0)
    batch = view(noise, ItemRandom(0, 0, range(60)))
    bright = {name: images.flatten(1).max(1).values for name, images in batch.items()}
    assert 0.05 < (bright["view_2"] <= 0.5).float().mean() < 0.4
    roughness = {name: images.diff(dim=-1).abs().flatten(1).mean(1) for name, images in batch.items()}
    assert roughness["view_1"].mean() < 0.7 * roughness["view_2"].mean()
