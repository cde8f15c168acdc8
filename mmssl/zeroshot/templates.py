"""Prompt templates: sentences with a place for the name of a class."""

from pathlib import Path

from mmssl.config import suggest
from mmssl.errors import ConfigError
from mmssl.zeroshot.template_sets import TEMPLATE_SETS

PLACES = ("{}", "{c}")


def read_templates(given: str) -> tuple[str, ...]:
    """The templates that a text names.

    Args:
        given: Name of a set, a file with a template a line (lines that begin with `#` are left out), or one template.

    Raises:
        ConfigError: If it is none of these, a template has no place for the name, or there is no template.
    """
    if given in TEMPLATE_SETS:
        return TEMPLATE_SETS[given]
    file = Path(given)
    if not has_place(given) and not file.is_file():
        raise ConfigError(
            f"templates {given!r}: neither a file, nor a template with a place for the name, such as 'a photo of a {{}}', nor "
            f"a set{suggest(given, TEMPLATE_SETS)}; sets are {sorted(TEMPLATE_SETS)}"
        )
    if has_place(given):
        return (given,)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read as templates: {error}") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    templates = [(number, line) for number, line in lines if line and not line.startswith("#")]
    faults = [
        f"{file}:{number}: {line!r} has no place for the name; write {{}}"
        for number, line in templates
        if not has_place(line)
    ]
    if faults:
        raise ConfigError("\n".join(faults))
    if not templates:
        raise ConfigError(f"{file}: holds no template; write one a line, such as 'a photo of a {{}}'")
    return tuple(line for _, line in templates)


def has_place(template: str) -> bool:
    """Whether a template has a place for the name: `{}` or `{c}`."""
    return any(place in template for place in PLACES)


def filled(template: str, name: str) -> str:
    """A template with a name in every place."""
    for place in PLACES:
        template = template.replace(place, name)
    return template
