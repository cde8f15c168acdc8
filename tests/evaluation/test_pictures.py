"""Pictures of embeddings and of attention."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from mmssl.data.manifest import Manifest, ManifestRow
from mmssl.errors import EvaluationError
from mmssl.evaluation.attention import attention, attention_grid, relative_entropy
from mmssl.evaluation.projection import _clusters, draw_points, projection
from mmssl.evaluation.subject import Subject
from mmssl.functional.projection import principal_components
from mmssl.media.image import read_image
from mmssl.models.attention import class_attention, has_attention
from mmssl.models.loading import LoadedEncoder, load_encoder
from mmssl.models.open_clip_encoder import OpenClip
from mmssl.models.timm_encoder import TimmEncoder
from tests.evaluation.toys import ColorClips, noisy_table, small_encoder, subject_of

VIT = "vit_tiny_patch16_224"


@pytest.fixture(scope="module")
def vit() -> TimmEncoder:
    torch.manual_seed(0)
    encoder = TimmEncoder(model=VIT)
    encoder.model.blocks = encoder.model.blocks[:2]
    return encoder.eval()


def test_a_long_title_stays_in_the_picture(tmp_path: Path) -> None:
    title = f"timm:NAME@{'folder/' * 20}weights.safetensors, 100 clips of test\nt-SNE, perplexity 30"
    draw_points(
        tmp_path / "plane.png", np.random.default_rng(0).normal(size=(9, 2)), np.array(list("abc") * 3), title=title
    )
    picture = read_image(tmp_path / "plane.png")
    assert (picture[:, :60].min() < 100).item()
    assert (picture[:, :60, :4].min() == 255).item()
    assert (picture[:, :60, -4:].min() == 255).item()


def test_components_match_scikit_learn() -> None:
    points = torch.randn(30, 6, dtype=torch.float64) * torch.arange(1, 7)
    plane, share = principal_components(points, num_components=3)
    reference = PCA(3, svd_solver="full").fit(points.numpy())
    np.testing.assert_allclose(np.abs(plane.numpy()), np.abs(reference.transform(points.numpy())), atol=1e-9)
    np.testing.assert_allclose(share, reference.explained_variance_ratio_, atol=1e-9)


def test_components_do_not_depend_on_the_order() -> None:
    points = torch.randn(20, 5)
    plane, _ = principal_components(points)
    torch.testing.assert_close(principal_components(points.flip(0))[0].flip(0), plane, atol=1e-4, rtol=0)


def test_both_pictures_are_drawn_and_the_same_each_time(tmp_path: Path) -> None:
    table = noisy_table(150, scale=0.2)
    files = [tmp_path / name for name in ("a", "b")]
    for out in files:
        (row,) = projection(subject_of(table, out=out))
    assert 0 < row.value < 1
    assert row.num_items == 50
    assert not row.is_score
    for name in ("pca.png", "tsne.png"):
        assert min(read_image(files[0] / name).shape[1:]) > 300
        assert (files[0] / name).read_bytes() == (files[1] / name).read_bytes()


def test_a_column_of_the_manifest_gives_the_colors(tmp_path: Path) -> None:
    table = noisy_table(60)
    rows = [
        ManifestRow(row_id, "a.wav", "audio", extra={"speaker": "ab"[place // 3 % 2]})
        for place, row_id in enumerate(table.row_ids)
    ]
    manifest = Manifest(Path("m.jsonl"), tuple(rows))
    subject = subject_of(table, manifest=manifest, out=tmp_path / "column")
    projection(subject, label="speaker", tsne=False)
    same = replace(table, labels=tuple(str(row.extra["speaker"]) for row in rows))
    projection(subject_of(same, out=tmp_path / "label"), tsne=False)
    pictures = [(tmp_path / name / "pca.png").read_bytes() for name in ("column", "label")]
    assert pictures[0] == pictures[1]
    projection(subject_of(table, out=tmp_path / "own"), tsne=False)
    assert (tmp_path / "own" / "pca.png").read_bytes() != pictures[0]
    with pytest.raises(EvaluationError, match="no column 'who'"):
        projection(subject, label="who")
    with pytest.raises(EvaluationError, match="give `manifest: FILE`"):
        projection(subject_of(table), label="speaker")


def test_without_labels_colors_are_those_of_clusters() -> None:
    corners = torch.eye(8).repeat_interleave(torch.tensor([9, 8, 7, 6, 5, 4, 3, 2]), 0)
    names = _clusters(corners + 0.01 * torch.randn(corners.shape))
    assert len(set(names)) == 8
    assert (names[:9] == "cluster 1: 9").all()
    assert (names[-2:] == "cluster 8: 2").all()


def test_nothing_is_drawn_where_nobody_wants_it() -> None:
    assert projection(subject_of(noisy_table(150)))[0].metric == "variance in the plane"
    with pytest.raises(EvaluationError, match="'val' has 0 clips"):
        projection(subject_of(noisy_table()), split="val")


def test_attention_is_what_the_block_computes(vit: TimmEncoder) -> None:
    images = torch.rand(2, 3, 32, 48)
    maps = class_attention(vit, images)
    assert maps.shape == (2, 3, 2, 3)
    block = vit.model.blocks[-1]
    tokens: list[torch.Tensor] = []
    hook = block.norm1.register_forward_hook(lambda module, given, out: tokens.append(out))
    vit(images)
    hook.remove()
    for item in range(2):
        query, key, _ = block.attn.qkv(tokens[0][item]).chunk(3, dim=1)
        for head in range(3):
            part = slice(64 * head, 64 * head + 64)
            scores = torch.stack([query[0, part] @ row / 8 for row in key[:, part]])
            torch.testing.assert_close(maps[item, head].flatten(), scores.softmax(0)[1:], atol=1e-5, rtol=1e-4)


def test_attention_of_open_clip_is_what_its_block_computes() -> None:
    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8}
    text = {"context_length": 12, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    encoder = OpenClip(config={"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}).eval()
    images = torch.rand(2, 3, 32, 48)
    maps = class_attention(encoder, images)
    block = encoder.model.visual.transformer.resblocks[-1]
    tokens: list[torch.Tensor] = []
    hook = block.ln_1.register_forward_hook(lambda module, given, out: tokens.append(out))
    encoder(images)
    hook.remove()
    _, weights = block.attn(tokens[0], tokens[0], tokens[0], average_attn_weights=False)
    torch.testing.assert_close(maps, weights[:, :, 0, 1:].unflatten(2, (4, 4)))


def test_attention_picture(vit: TimmEncoder, tmp_path: Path) -> None:
    loaded = LoadedEncoder(vit, f"timm:{VIT}", "d", load_encoder("pixels").card)
    (row,) = attention(Subject(loaded, "colors", clips=ColorClips(12, size=32), out=tmp_path), num_clips=3)
    assert 0 < row.value <= 1
    assert row.num_items == 3
    assert read_image(tmp_path / "attention.png").shape == (3, 3 * 162, 5 * 162)


def test_even_attention_has_all_the_entropy_and_one_cell_none() -> None:
    assert relative_entropy(torch.full((1, 1, 2, 2), 0.25)) == pytest.approx(1)
    assert relative_entropy(torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])) == pytest.approx(0)


def test_grid_is_brightest_where_attention_is() -> None:
    maps = torch.zeros(1, 2, 2, 2)
    maps[0, :, 0, 1] = 1
    grid = attention_grid(torch.zeros(1, 3, 8, 8), maps).float().sum(0)
    tile = grid[:160, 162 : 162 + 160]
    assert tile[40, 120] > 600
    assert tile[120, 40] < 30


def test_other_encoders_are_refused() -> None:
    assert not has_attention(small_encoder().encoder)
    with pytest.raises(EvaluationError, match="has no attention of a class token"):
        attention(Subject(small_encoder(), "colors", clips=ColorClips()))
    with pytest.raises(ValueError, match="no attention"):
        class_attention(small_encoder().encoder, torch.rand(1, 3, 8, 8))
