"""Embeddings without a recipe file: of a manifest, of a folder of files, of sentences."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmssl.config import Recipe, digest
from mmssl.data.building import build_manifest
from mmssl.data.manifest import write_manifest
from mmssl.errors import ConfigError, ManifestError
from mmssl.evaluation.image_text_retrieval import text_embeddings
from mmssl.files import user_cache
from mmssl.models.loading import load_encoder
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.stages.run import run
from mmssl.zeroshot.class_embeddings import image_text_encoder

FILES = "files.jsonl"
"""Manifest of a folder of files, beside the run that embeds them."""


@dataclass(frozen=True, kw_only=True)
class ClipForm:
    """What clips are like where no recipe says it; the encoder decides between pictures and sound, and the sound's rate.

    Args:
        num_frames: Frames of each clip, or windows of sound; 8 and 1 where not given.
        size: Side of pictures in pixels.
        seconds: Length of a window of sound.
        sampler: Name of a sampler.
    """

    num_frames: int | None = None
    size: int = 128
    seconds: float = 1.28
    sampler: str = "uniform"

    def decoding(self, manifest: Path, sample_rate: int | None) -> dict[str, Any]:
        """A decode stage for encoders of pictures, or of sound of some hertz."""
        sound = {"sample_rate": sample_rate, "window_seconds": self.seconds}
        return {
            "stage": "decode",
            "manifest": str(manifest.resolve()),
            "num_frames": self.num_frames or (8 if sample_rate is None else 1),
            "sampler": self.sampler,
            **({"size": self.size} if sample_rate is None else {"sound": sound}),
        }


CLIP_FORM = ClipForm()


def embed_manifest(encoder: str, manifest: Path, out: Path, *, form: ClipForm = CLIP_FORM, workers: int = 2) -> None:
    """Decodes a manifest's clips and embeds them, as a run in `out` with the stages `clips` and `embed`.

    Args:
        encoder: Reference.
        manifest: JSONL or Parquet.
        out: The run's folder; interrupted, the same call goes on there.
        form: Of the clips.
        workers: Processes for decoding.
    """
    stages = {
        "clips": form.decoding(manifest, load_encoder(encoder).encoder.sample_rate),
        "embed": {"clips": "$clips", "encoders": [encoder]},
    }
    run(Recipe({"name": "embed", "stages": stages}), out=out, workers=workers)


def embed_files(folder: Path, encoder: str, out: Path | None, *, workers: int) -> Path:
    """Embeds the images and videos below a folder, once; gives the folder of the run.

    Each video is one clip of eight frames, or of its middle frame where there are images too. Sound is left out.

    Args:
        folder: Of files.
        encoder: Reference.
        out: Of the run; in the user's cache where None, by folder and encoder.
        workers: Processes for decoding.

    Raises:
        ManifestError: If there is no image and no video.
    """
    place = out if out is not None else user_cache("folders") / digest([str(folder.resolve()), encoder])[:16]
    manifest = place / FILES
    if not folder.is_dir():
        raise ManifestError(
            f"{folder}: there is no such folder; give a folder of images and videos, or what mmssl embed wrote"
        )
    rows = [row for row in build_manifest(folder, manifest, workers=workers).rows if row.media_type != "audio"]
    if not rows:
        raise ManifestError(f"{folder}: holds sound alone, and no image and no video")
    write_manifest(manifest, rows)
    num_frames = 1 if any(row.media_type == "image" for row in rows) else None
    embed_manifest(encoder, manifest, place, form=ClipForm(num_frames=num_frames), workers=workers)
    return place


def embed_sentences(encoder: str, file: Path, out: Path) -> None:
    """Embeds the sentences of a text file, one a line, as a table in `out`; each is its own id, and stands there once.

    Args:
        encoder: Reference of one that knows text.
        file: UTF-8.
        out: Folder.

    Raises:
        ConfigError: If the file cannot be read or holds no sentence.
        CheckpointError: If the encoder knows no text.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as text: {error}") from error
    sentences = tuple(dict.fromkeys(text for text in (" ".join(line.split()) for line in lines) if text))
    if not sentences:
        raise ConfigError(f"{file}: holds no sentence; write one a line")
    loaded = load_encoder(encoder)
    nothing = (None,) * len(sentences)
    EmbeddingTable(
        ids=sentences,
        embeddings=text_embeddings(image_text_encoder(loaded), sentences).numpy(),
        row_ids=sentences,
        labels=nothing,
        splits=nothing,
        groups=sentences,
        encoder=encoder,
        encoder_digest=loaded.digest,
        source_digest=digest(sentences),
    ).save(out)
