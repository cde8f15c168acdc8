from pathlib import Path

import pytest

from mmssl.errors import ConfigError
from mmssl.zeroshot.template_sets import TEMPLATE_SETS
from mmssl.zeroshot.templates import filled, has_place, read_templates


def test_sets_have_as_many_templates_as_those_they_follow() -> None:
    assert {name: len(TEMPLATE_SETS[name]) for name in ("imagenet", "cifar", "actions")} == {
        "imagenet": 80,
        "cifar": 18,
        "actions": 28,
    }
    for templates in TEMPLATE_SETS.values():
        assert len(set(templates)) == len(templates)
        assert all(has_place(template) for template in templates)


def test_both_places_are_filled_everywhere() -> None:
    assert filled("a {} and a {c}.", "cat") == "a cat and a cat."
    assert filled("{} {braces}", "x{}") == "x{} {braces}"


def test_a_template_a_set_and_a_file(tmp_path: Path) -> None:
    assert read_templates("a {c}") == ("a {c}",)
    assert read_templates("cifar") == TEMPLATE_SETS["cifar"]
    file = tmp_path / "templates.txt"
    file.write_text("# mine\na photo of a {}.\n\nmany {c}\n", encoding="utf-8-sig")
    assert read_templates(str(file)) == ("a photo of a {}.", "many {c}")


def test_a_template_without_a_place_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "templates.txt"
    file.write_text("a {}\na photo of a cat\n")
    with pytest.raises(ConfigError, match=r"templates.txt:2: .* has no place"):
        read_templates(str(file))
    with pytest.raises(ConfigError, match="did you mean 'cifar'"):
        read_templates("cifra")
    file.write_text("# nothing\n")
    with pytest.raises(ConfigError, match="holds no template"):
        read_templates(str(file))
