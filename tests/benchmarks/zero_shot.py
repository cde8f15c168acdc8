"""Zero-shot classification beside open_clip's own loop, on the same images with the same weights.

Run it as `python -m tests.benchmarks.zero_shot --images FOLDER`. open_clip's loop: each image through its transform by itself, in
a DataLoader of two workers, and the model in float32. The model's weights are random and saved first, so that both load them;
class embeddings are made beforehand. Times run from the files to the answers and hold the start of the workers; loops take turns,
and the first turn is not counted.

With `--large`, frames of that folder are joined to pictures as large as those of cameras. The loops classify these, too, and it
is told how far decoding them at a reduced scale moves an embedding.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Dataset

from mmssl.functional.framing import framed
from mmssl.media.image import read_image
from mmssl.models.loading import LoadedEncoder, load_encoder
from mmssl.models.precision import Precision
from mmssl.stages.zero_shot import classify
from mmssl.zeroshot.class_embeddings import class_embeddings, image_text_encoder
from mmssl.zeroshot.classes import ClassList, read_classes
from mmssl.zeroshot.embedding_units import Looking, embed_items
from mmssl.zeroshot.items import find_items
from mmssl.zeroshot.tables import read_answers

NAMES = ("dog", "child", "beach", "bicycle", "mountain", "snow", "water", "crowd", "car", "climber")
TEMPLATES = ("a photo of a {}.",)
WORKERS = 2
MOST_CHANGE = 1e-2
"""How far an embedding of length one may be moved."""


class Transformed(Dataset[Tensor]):
    """Images, each through open_clip's transform."""

    def __init__(self, files: list[Path], transform: Callable[[Image.Image], Tensor]) -> None:
        self.files = files
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> Tensor:
        with Image.open(self.files[place]) as image:
            return self.transform(image)


def their_answers(
    model: torch.nn.Module, transform: Callable[[Image.Image], Tensor], files: list[Path], classes: Tensor, batch: int
) -> tuple[list[str], Tensor]:
    """Answers and embeddings of open_clip's loop."""
    loader = DataLoader(Transformed(files, transform), batch, num_workers=WORKERS)
    with torch.inference_mode():
        found = torch.cat([normalize(model.encode_image(images), dim=1) for images in loader])  # type: ignore[operator]
    return [NAMES[number] for number in (found @ classes.T).argmax(1).tolist()], found


def our_answers(loaded: LoadedEncoder, folder: Path, scratch: Path, batch: int, precision: Precision) -> list[str]:
    """Answers of `classify`, as `mmssl zeroshot` gives them."""
    out = scratch / "found.jsonl"
    looking = Looking(batch_size=batch, workers=WORKERS, precision=precision)
    classify([str(folder)], classes_of(scratch), TEMPLATES, loaded, [out], looking=looking, cache=scratch)
    answers = [str(answer.answer) for answer in read_answers(out)]
    out.unlink()
    return answers


def classes_of(scratch: Path) -> ClassList:
    file = scratch / "classes.txt"
    file.write_text("\n".join(NAMES))
    return read_classes(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of images")
    parser.add_argument("--large", type=Path, help="folder of images that are joined to large ones")
    parser.add_argument("--large-count", type=int, default=64, help="number of large ones")
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--count", type=int, default=384)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    import open_clip  # here, because workers import this module too

    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        weights = scratch / "weights.safetensors"
        torch.manual_seed(0)
        made = open_clip.create_model(given.model)
        save_file({key: value.contiguous() for key, value in made.state_dict().items()}, weights)
        model, _, transform = open_clip.create_model_and_transforms(given.model, pretrained=str(weights))
        model.eval()
        loaded = load_encoder(f"open_clip:{given.model}:{weights}")
        folder = scratch / "images"
        folder.mkdir()
        files = []
        for file in sorted(given.images.glob("*.jpg"))[: given.count]:
            files.append(folder / file.name)
            files[-1].symlink_to(file.resolve())
        classes = class_embeddings(loaded, classes_of(scratch), TEMPLATES, cache=scratch)
        compare(model, transform, loaded, files, classes, scratch / "small", given)
        if given.large is not None:
            pictures = joined(sorted(given.large.rglob("*.jpg")), scratch / "pictures", given.large_count)
            compare(model, transform, loaded, pictures, classes, scratch / "large", given)
            reduced(loaded, pictures)


def compare(model, transform, loaded, files, classes, scratch, given) -> None:  # type: ignore[no-untyped-def]
    """Times the loops in turns, and compares answers and embeddings."""
    scratch.mkdir()
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    seconds: dict[str, list[float]] = {"open_clip": [], **{precision: [] for precision in precisions}}
    answers: dict[str, list[str]] = {}
    for repeat in range(given.repeats + 1):
        began = time.perf_counter()
        answers["open_clip"], embeddings = their_answers(model, transform, files, classes, given.batch_size)
        seconds["open_clip"].append(time.perf_counter() - began)
        for precision in precisions:
            began = time.perf_counter()
            answers[precision] = our_answers(loaded, files[0].parent, scratch, given.batch_size, precision)
            seconds[precision].append(time.perf_counter() - began)
        if repeat == 0:
            seconds = {name: [] for name in seconds}
    print({name: [round(value, 1) for value in values] for name, values in seconds.items()})
    theirs = len(files) / median(seconds["open_clip"])
    print(f"{given.model}, {len(files)} images, {torch.get_num_threads()} threads, {WORKERS} workers")
    print(f"open_clip's loop {theirs:6.1f} images/s")
    items = find_items([str(files[0].parent)])
    for precision in precisions:
        looking = Looking(batch_size=given.batch_size, workers=WORKERS, precision=precision)
        encoder = image_text_encoder(loaded)
        folder = scratch / precision
        ours = torch.cat([part.embeddings for part in embed_items(loaded, encoder, items, looking, folder=folder)])
        rate = len(files) / median(seconds[precision])
        same = sum(one == other for one, other in zip(answers[precision], answers["open_clip"], strict=True))
        moved = (ours - embeddings).norm(dim=1)
        gap = max(
            float(embeddings[place] @ (classes[NAMES.index(named)] - classes[NAMES.index(answer)]))
            for place, (answer, named) in enumerate(zip(answers[precision], answers["open_clip"], strict=True))
        )
        print(
            f"mmssl {precision:10} {rate:6.1f} images/s, {rate / theirs:.2f} x; {same} of {len(files)} answers the same, "
            f"where they differ the two classes lie {gap:.5f} apart in cosine similarity at most; "
            f"embeddings differ by {moved.max():.4f} at most, {moved.mean():.4f} on average"
        )


def joined(frames: list[Path], folder: Path, count: int) -> list[Path]:
    """Writes pictures of sixteen frames each, four by four, all as large as the first frame of them."""
    folder.mkdir()
    files = []
    step = max(1, len(frames) // (16 * count))
    for number in range(count):
        tiles = [Image.open(frames[(16 * number + place) * step % len(frames)]) for place in range(16)]
        width, height = tiles[0].size
        picture = Image.new("RGB", (4 * width, 4 * height))
        for place, tile in enumerate(tiles):
            picture.paste(tile.resize((width, height)), (place % 4 * width, place // 4 * height))
        files.append(folder / f"{number:04}.jpg")
        picture.save(files[-1], quality=90)
    return files


def reduced(loaded: LoadedEncoder, files: list[Path]) -> None:
    """What decoding at a reduced scale saves, and how far it moves embeddings."""
    encoder = image_text_encoder(loaded)
    found, seconds = [], []
    for at_least in (None, encoder.framing.size):
        began = time.perf_counter()
        pictures = [framed(read_image(file, at_least=at_least)[None], encoder.framing) for file in files]
        seconds.append(time.perf_counter() - began)
        with torch.inference_mode():
            found.append(normalize(encoder(torch.cat(pictures).float() / 255), dim=1))
    moved = (found[0] - found[1]).norm(dim=1)
    width, height = Image.open(files[0]).size
    spread = (found[0] - found[0].mean(0)).norm(dim=1).mean()
    print(
        f"{len(files)} JPEGs of {width} x {height}: {1e3 * seconds[0] / len(files):.1f} ms each in full, "
        f"{1e3 * seconds[1] / len(files):.1f} ms at a reduced scale; embeddings differ by {moved.max():.4f} at most "
        f"(allowed {MOST_CHANGE}; they lie {spread:.2f} from their mean)"
    )
    assert moved.max() < MOST_CHANGE, "decoding at a reduced scale moves embeddings too far"


if __name__ == "__main__":
    main()
