"""BERT as a text tower: its tokens by hand, its embeddings beside a BERT written out, and folders that are wrong."""

import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import CheckpointError, ConfigError
from mmssl.models import ENCODER_CHOICE
from mmssl.models.bert import Bert
from mmssl.models.loading import load_encoder, save_encoder
from mmssl.models.word_pieces import WordPieces
from tests.models.published_bert import SIZES, TOWER, VOCABULARY, sentence_embedding, write_bert

PIECES = WordPieces(VOCABULARY)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("A dog", [2, 4, 5, 3]),
        ("dogs  playing.", [2, 5, 8, 6, 7, 10, 3]),
        ("dog-a", [2, 5, 9, 4, 3]),
        ("Caf\u00e9", [2, 11, 3]),
        ("cat a \u65e5\u672c", [2, 1, 4, 1, 1, 3]),
        ("do\u200bg\t\x07a", [2, 5, 4, 3]),
        ("a" * 101, [2, 1, 3]),
        ("", [2, 3]),
    ],
)
def test_tokens_by_hand(text: str, numbers: list[int]) -> None:
    assert PIECES([text], length=10).tolist() == [numbers + [0] * (10 - len(numbers))]


def test_long_sentences_keep_their_end() -> None:
    assert PIECES(["a dog a dog"], length=4).tolist() == [[2, 4, 5, 3]]


def test_a_vocabulary_may_keep_case_and_lie_in_tokenizer_json(tmp_path: Path) -> None:
    tokens = {token: number for number, token in enumerate([*VOCABULARY, "Dog"])}
    content = {"model": {"vocab": tokens}, "normalizer": {"lowercase": False}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    pieces = WordPieces.read(tmp_path)
    assert pieces(["Dog dog"], length=4).tolist() == [[2, 12, 5, 3]]
    again = WordPieces.unpacked(pieces.packed())
    assert again(["Dog dog"], length=4).tolist() == [[2, 12, 5, 3]]


def test_embeddings_are_those_of_a_bert_written_out(tmp_path: Path) -> None:
    weights = write_bert(tmp_path / "published")
    tower = Bert(**SIZES, context=10).eval()
    tower.read(tmp_path / "published")
    texts = ["a dog", "dogs playing - a dog.", "cat"]
    with torch.inference_mode():
        found = tower(tower.tokenize(texts))
    for row, numbers in zip(found, ([2, 4, 5, 3], [2, 5, 8, 6, 7, 9, 4, 5, 10, 3], [2, 1, 3]), strict=True):
        assert_close(row, sentence_embedding(weights, numbers), atol=1e-6, rtol=1e-5)


def test_a_checkpoint_carries_the_vocabulary(tmp_path: Path) -> None:
    write_bert(tmp_path / "published")
    spec = {"name": "image_text", "image": {"name": "small_resnet", "width": 2}, "text": TOWER, "projection_dim": 4}
    encoder = build(spec, ENCODER_CHOICE)
    with pytest.raises(ConfigError, match="no vocabulary"):
        encoder.tokenize(["a dog"])
    encoder.text.read(tmp_path / "published")
    save_encoder(tmp_path / "saved", encoder, spec=spec, facts={})
    (tmp_path / "published").rename(tmp_path / "gone")
    loaded = load_encoder(str(tmp_path / "saved")).encoder
    with torch.inference_mode():
        assert_close(loaded.embed_texts(["dogs."]), encoder.eval().embed_texts(["dogs."]))  # type: ignore[operator]
        fresh = load_encoder(f"random:{tmp_path / 'saved'}").encoder
        assert fresh.tokenize(["a dog"]).tolist() == encoder.tokenize(["a dog"]).tolist()  # type: ignore[operator]
        assert not torch.equal(fresh.embed_texts(["dogs."]), loaded.embed_texts(["dogs."]))  # type: ignore[operator]


def test_folders_that_are_wrong_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    with pytest.raises(CheckpointError, match=r"expected a folder with config.json"):
        Bert().read(folder)
    write_bert(folder)
    with pytest.raises(CheckpointError, match=r"give the text tower \{'dim': 8, 'depth': 2"):
        Bert().read(folder)
    tower = Bert(**SIZES, context=10)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true}')
    with pytest.raises(CheckpointError, match=r"give the text tower \{'pooling': 'first'\}"):
        tower.read(folder)
    (folder / "1_Pooling/config.json").unlink()
    (folder / "vocab.txt").write_text("a\ndog\n")
    with pytest.raises(CheckpointError, match="lacks"):
        tower.read(folder)
    (folder / "vocab.txt").unlink()
    with pytest.raises(CheckpointError, match=r"neither vocab.txt nor tokenizer.json"):
        tower.read(folder)
    (folder / "model.safetensors").write_bytes(b"cut off")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        tower.read(folder)
    (folder / "config.json").write_text('{"model_type": "roberta"}')
    with pytest.raises(CheckpointError, match="not the configuration of a BERT"):
        tower.read(folder)
