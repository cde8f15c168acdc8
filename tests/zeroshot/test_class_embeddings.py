from pathlib import Path

import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.loading import LoadedEncoder
from mmssl.zeroshot.class_embeddings import class_embeddings, prompts_of
from mmssl.zeroshot.classes import ClassList, ClassName
from tests.zeroshot.toys import ColorWords, color_words

TEMPLATES = ("a {} thing.", "{c}", "this is very {c} indeed and blue")


def embed_by_loops(loaded: LoadedEncoder, classes: ClassList, templates: tuple[str, ...]) -> torch.Tensor:
    """Each prompt on its own, as one would write it down."""
    encoder = loaded.encoder
    assert isinstance(encoder, ColorWords)
    rows = []
    for entry in classes.leaves:
        names = []
        for name in (entry.name, *entry.synonyms):
            prompts = [template.replace("{}", name).replace("{c}", name) for template in entry.prompts or templates]
            each = [encoder.embed_texts([prompt])[0] for prompt in prompts]
            mean = sum(vector / vector.norm() for vector in each) / len(each)
            names.append(mean / mean.norm())
        total = sum(names) / len(names)
        rows.append(total / total.norm())
    return torch.stack(rows)


def test_templates_and_synonyms_are_averaged_as_written_down(tmp_path: Path) -> None:
    classes = ClassList(
        (ClassName("red", ("crimson",)), ClassName("green"), ClassName("sky", prompts=("blue", "{} blue navy")))
    )
    loaded = color_words()
    found = class_embeddings(loaded, classes, TEMPLATES, cache=tmp_path)
    assert_close(found, embed_by_loops(loaded, classes, TEMPLATES))
    assert_close(found.norm(dim=1), torch.ones(3))


def test_the_cache_is_for_one_model_one_list_and_one_set_of_templates(tmp_path: Path) -> None:
    classes = ClassList((ClassName("red"), ClassName("green")))
    first, other = color_words(), color_words(20.0)
    kept = class_embeddings(first, classes, TEMPLATES, cache=tmp_path)
    assert first.encoder.num_texts == 6
    assert torch.equal(class_embeddings(first, classes, TEMPLATES, cache=tmp_path), kept)
    assert first.encoder.num_texts == 6, "read from the cache"
    class_embeddings(first, classes, TEMPLATES[:2], cache=tmp_path)
    assert first.encoder.num_texts == 10
    class_embeddings(first, ClassList((ClassName("red"), ClassName("blue"))), TEMPLATES, cache=tmp_path)
    assert first.encoder.num_texts == 16
    class_embeddings(other, classes, TEMPLATES, cache=tmp_path)
    assert other.encoder.num_texts == 6
    for file in tmp_path.iterdir():
        file.write_bytes(b"damaged")
    assert_close(class_embeddings(first, classes, TEMPLATES, cache=tmp_path), kept)


def test_a_hundred_thousand_classes(tmp_path: Path) -> None:
    classes = ClassList(tuple(ClassName(f"thing {number} red") for number in range(100_000)))
    found = class_embeddings(color_words(), classes, ("{}",), cache=tmp_path)
    assert found.shape == (100_000, 4)
    assert_close(found[-1], normalize(torch.tensor([1.0, 0, 0, 0.03]), dim=0))


def test_prompts_of_a_class_stand_once() -> None:
    entry = ClassName("a_b", ("a b", "c"), prompts=("see this",))
    assert prompts_of(entry, ("{}",)) == [["see this"]]
    assert prompts_of(ClassName("a_b", ("a b", "c")), ("x {}",)) == [["x a b"], ["x c"]]
