"""Sets of prompt templates by name, for the kinds of pictures that zero-shot scores are usually given on.

Their number and form follow the sets of Radford et al. 2021, arXiv:2103.00020, appendix: 80 for ImageNet, 18 for CIFAR, 28
for actions; the wording is this package's own.
"""

from itertools import product

_PHOTOS = (
    "photo", "bad photo", "good photo", "blurry photo", "bright photo", "dark photo", "grainy photo", "cropped photo",
    "close-up photo", "low-resolution photo", "black and white photo", "compressed photo", "distant photo", "sharp photo",
    "faded photo",
)  # fmt: skip
_MADE = (
    "drawing", "painting", "sketch", "sculpture", "cartoon", "computer rendering", "embroidery", "origami figure", "tattoo",
    "plastic model", "plush toy", "graffiti",
)  # fmt: skip
_ADJECTIVES = ("large", "small", "clean", "dirty", "strange", "beautiful", "old")

_IMAGENET = (
    *(f"a {kind} of {article} {{c}}." for kind, article in product(_PHOTOS, ("a", "the", "my"))),
    *(f"a {kind} of a {{c}}." for kind in _MADE),
    *(f"a photo of {article} {adjective} {{c}}." for adjective, article in product(_ADJECTIVES, ("a", "the"))),
    "{c}.",
    "a {c}.",
    "many {c}.",
    "a photo of many {c}.",
    "a photo of one {c}.",
    "a {c} in a video game.",
    "part of a {c}.",
    "a photo that shows a {c} half hidden.",
    "a {c} seen from afar.",
)

_CIFAR = tuple(
    f"a {kind} of {article} {{c}}."
    for kind, article in product(
        (
            "photo",
            "blurry photo",
            "low-resolution photo",
            "high-contrast photo",
            "low-contrast photo",
            "black and white photo",
            "good photo",
            "bad photo",
            "tiny photo",
        ),
        ("a", "the"),
    )
)

_ACTIONS = tuple(
    f"{kind} {form}."
    for kind, form in product(
        (
            "a photo of",
            "a video of",
            "a frame of a video of",
            "a demonstration of",
            "an example of",
            "a scene of",
            "a recording of",
        ),
        ("{c}", "someone {c}", "a person {c}", "people {c}"),
    )
)

TEMPLATE_SETS: dict[str, tuple[str, ...]] = {
    "plain": ("a photo of a {c}.",),
    "imagenet": _IMAGENET,
    "cifar": _CIFAR,
    "actions": _ACTIONS,
    "names": ("{c}",),
}
"""Templates by the name that `--templates` takes."""
