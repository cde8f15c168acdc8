"""Clips decoded as they are asked for: the right frames, anew in each epoch, and failures that name their row."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.data.decoded_clips import DecodedClips
from mmssl.data.decoding import decode_row
from mmssl.data.manifest import Manifest, ManifestRow
from mmssl.errors import DecodeError
from mmssl.functional.random import ItemRandom
from mmssl.media.encode import VideoWriter
from mmssl.media.image import write_png
from mmssl.media.segment import Segment

SIZE = (16, 24)


@dataclass(frozen=True)
class Consecutive:
    """Frames that follow each other, from a random place or from several places on."""

    num_frames: int = 3
    starts: tuple[int, ...] = ()

    past_end = "error"

    def clips(self, segment: Segment, random: ItemRandom, motion: Float[Tensor, " frames"] | None) -> list[list[int]]:
        places = self.starts or (int(random.integers("place", high=len(segment.pts_seconds) - self.num_frames)),)
        return [list(range(place, place + self.num_frames)) for place in places]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Two videos whose frames brighten with time, a rejected row and a file that is no video."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(2):
        with VideoWriter(folder / f"{number}.mp4", fps=10.0, size=SIZE) as writer:
            for frame in range(20):
                writer.write(torch.full((3, *SIZE), 10 * frame + 20 * number, dtype=torch.uint8))
    (folder / "broken.mp4").write_bytes(b"not a video")
    rows = (
        ManifestRow("first", "0.mp4", "video", label="a", split="train"),
        ManifestRow(
            "lost", "nowhere.mp4", "video", status="rejected", error_type="MediaError", error_message="missing"
        ),
        ManifestRow("second", "1.mp4", "video", group="g"),
        ManifestRow("broken", "broken.mp4", "video"),
    )
    return Manifest(folder / "manifest.jsonl", rows)


def make(manifest: Manifest, **settings: object) -> DecodedClips:
    return DecodedClips(manifest, **({"num_frames": 3, "size": SIZE, "sampler": Consecutive(), "seed": 4} | settings))


def test_gives_what_the_rows_decode_to(manifest: Manifest) -> None:
    source = make(manifest)
    assert [item.id for item in source.items] == ["first#0", "second#0", "broken#0"]
    assert [item.group for item in source.items] == ["first", "g", "broken"]
    rows = [row for row in manifest.rows if row.status == "ok"]
    for epoch in (0, 3):
        batch = source.clips([1, 0, 1], epoch=epoch)
        for got, index in zip(batch, [1, 0, 1], strict=True):
            path = manifest.resolve(rows[index])
            sampler = Consecutive()
            expected = decode_row(path, rows[index], sampler=sampler, size=SIZE, seed=4, epoch=epoch, item=index)
            assert torch.equal(got, expected[0].frames)


def test_samples_anew_in_each_epoch(manifest: Manifest) -> None:
    source = make(manifest)
    epochs = [source.clips([0], epoch=epoch) for epoch in range(4)]
    assert any(not torch.equal(epochs[0], other) for other in epochs[1:])
    assert torch.equal(epochs[2], make(manifest).clips([0], epoch=2))


def test_draws_one_of_several_clips(manifest: Manifest) -> None:
    source = make(manifest, sampler=Consecutive(starts=(0, 4, 9, 15)))
    brightness = {source.clips([0], epoch=epoch).float().mean().item() for epoch in range(12)}
    assert 1 < len(brightness) <= 4


def test_workers_give_the_same(manifest: Manifest) -> None:
    with make(manifest, workers=1) as source:
        assert torch.equal(source.clips([1, 0]), make(manifest).clips([1, 0]))
        with pytest.raises(DecodeError, match=r"row broken: .*broken\.mp4"):
            source.clips([0, 2])
        assert torch.equal(source.clips([1], epoch=1), make(manifest).clips([1], epoch=1))


def test_a_row_that_fails_is_named(manifest: Manifest) -> None:
    with pytest.raises(DecodeError, match="row broken: "):
        make(manifest).clips([0, 2])
    with pytest.raises(DecodeError, match="row first: gives a clip of 3 frames where 4 are wanted"):
        make(manifest, num_frames=4).clips([0])
    with pytest.raises(DecodeError, match="no row to decode; 1 are rejected"):
        make(Manifest(manifest.path, manifest.rows[1:2]))
    with pytest.raises(IndexError):
        make(manifest).clips([3])


def test_the_digest_sees_rows_and_sampling(manifest: Manifest) -> None:
    digests = {
        make(manifest).digest,
        make(manifest, seed=5).digest,
        make(manifest, sampler=Consecutive(starts=(0,))).digest,
        make(Manifest(manifest.path, manifest.rows[2:])).digest,
    }
    assert len(digests) == 4
    assert make(manifest).digest in digests


def test_images_are_clips_of_one_frame(tmp_path: Path) -> None:
    image = torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8)
    write_png(tmp_path / "image.png", image)
    manifest = Manifest(tmp_path / "manifest.jsonl", (ManifestRow("image", "image.png", "image"),))
    assert torch.equal(make(manifest, num_frames=1).clips([0])[0, 0], image)
