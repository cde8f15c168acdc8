"""The text that names an encoder on a command line or in a recipe, taken apart."""

import re
from dataclasses import dataclass
from typing import Any

from mmssl.config import Spec
from mmssl.errors import CheckpointError

WEIGHTLESS = ("lab", "pixels", "mfcc", "log_mel")
"""Encoders that are code alone."""

HALF = "half:"
"""Before a reference: the encoder looks at the image at half its size."""

SHIPPED = "shipped"
"""The trained weights that come with this package."""

DEFAULT = "default"
"""What labels are carried with unless another encoder is named."""

DEFAULT_IS = f"sum:0.4*{SHIPPED}+0.3*{HALF}{SHIPPED}+0.3*lab"
"""The reference that `default` stands for."""


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder by name: `lab:stride=16`, `timm:NAME:stride=8@FILE`.

    Args:
        spec: Entry of ENCODERS with its settings.
        file: File of its weights; empty where the reference gives none.
    """

    spec: Spec
    file: str = ""


def parse_named(reference: str, names: tuple[str, ...]) -> NamedEncoder | None:
    """Takes `NAME[:SETTINGS]` or `timm:MODEL[:SETTINGS][@FILE]` apart; settings are `key=value`, separated by commas.

    Args:
        reference: Without `random:`.
        names: Names that encoders may have, besides timm's.

    Returns:
        None where the reference does not begin with one of the names: it may be a folder.

    Raises:
        CheckpointError: If settings are not written so.
    """
    name, _, rest = reference.partition(":")
    if name == "timm":
        rest, _, file = rest.partition("@")
        model, _, settings = rest.partition(":")
        return NamedEncoder({"name": "timm", "model": model, **_settings(settings, reference)}, file)
    if name in names:
        return NamedEncoder({"name": name, **_settings(rest, reference)})
    return None


def parse_folder(reference: str) -> tuple[str, dict[str, Any]]:
    """Takes `FOLDER[:SETTINGS]` apart: a checkpoint, and what to build its encoder with instead of what it was built with.

    Raises:
        CheckpointError: If settings are not written so.
    """
    folder, colon, settings = reference.rpartition(":")
    if not colon or "=" not in settings or "/" in settings:
        return reference, {}
    return folder, _settings(settings, reference)


def parse_sum(reference: str) -> list[tuple[float, str]]:
    """Takes `sum:WEIGHT*REFERENCE+WEIGHT*REFERENCE` apart.

    Raises:
        CheckpointError: If it is not written so, or a weight is not above 0.
    """
    parts = []
    for part in re.split(r"\+(?=[\d.]+\*)", reference.removeprefix("sum:")):
        weight, _, of = part.partition("*")
        if not re.fullmatch(r"\d+\.?\d*|\.\d+", weight) or float(weight) <= 0 or not of:
            raise CheckpointError(
                f"{reference}: {part!r} is not WEIGHT*ENCODER with a weight above 0; write sum:0.7*lab+0.3*ENCODER"
            )
        parts.append((float(weight), of))
    return parts


def random_reference(reference: str) -> str | None:
    """The reference of the same architecture with fresh weights; None where there are no trained weights."""
    if reference == DEFAULT:
        return random_reference(DEFAULT_IS)
    if reference.startswith("sum:"):
        parts = [(weight, of, random_reference(of)) for weight, of in parse_sum(reference)]
        if all(fresh is None for _, _, fresh in parts):
            return None
        return "sum:" + "+".join(f"{weight:g}*{fresh or of}" for weight, of, fresh in parts)
    if reference.startswith("random:") or reference.partition(":")[0] in WEIGHTLESS:
        return None
    if reference.startswith(HALF):
        fresh = random_reference(reference.removeprefix(HALF))
        return None if fresh is None else HALF + fresh
    return f"random:{reference}"


def _settings(text: str, reference: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for item in text.split(",") if text else ():
        key, equals, value = item.partition("=")
        if not (key and equals and value):
            raise CheckpointError(
                f"{reference}: {item!r} is no setting; write settings as stride=8 with commas between"
            )
        settings[key] = int(value) if re.fullmatch(r"\d+", value) else value
    return settings
