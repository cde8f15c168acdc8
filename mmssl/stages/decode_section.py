"""What the decode stage says in the report: how much there is, what was left out, and what clips look like."""

from collections.abc import Sequence
from pathlib import Path

from mmssl.data.clip_store import ClipStore
from mmssl.data.manifest import ManifestRow
from mmssl.report.pictures import sample_strips
from mmssl.report.section import Reject, Rejects, Section, Table, Text, write_section


def write_decode_section(out: Path, clips: ClipStore, rows: Sequence[ManifestRow], rejects: Sequence[Reject]) -> None:
    """Writes `section.json` and the sample pictures of a decode stage."""
    items = clips.items
    facts: list[tuple[str, str | int | float]] = [
        ("rows", len(rows)),
        ("rejected rows", len(rejects)),
        *_times(clips, rows),
        ("clips", len(clips)),
        *_form(clips),
        ("labels", len({item.label for item in items if item.label is not None})),
    ]
    splits = sorted({item.split or "none" for item in items})
    by_split = [(split, sum((item.split or "none") == split for item in items)) for split in splits]
    blocks = (
        Table(("what", "value"), tuple(facts)),
        Table(("split", "clips"), tuple(by_split), title="Splits"),
        Rejects(tuple(rejects), len(rows)),
        sample_strips(out, clips),
    )
    write_section(out, Section("Clips", blocks))


def _times(clips: ClipStore, rows: Sequence[ManifestRow]) -> list[tuple[str, str | int | float]]:
    """What there is to say of time; nothing of still pictures."""
    seconds = sum(row.duration_seconds or 0.0 for row in rows)
    spans = [item.pts_seconds[-1] - item.pts_seconds[0] for item in clips.items]
    if not seconds and not any(spans):
        return []
    facts: list[tuple[str, str | int | float]] = [
        ("rows of files that are cut off", sum(row.num_missing_frames is not None for row in rows))
    ]
    if seconds:
        facts.append(("hours of media, where probed", round(seconds / 3600, 3)))
    if any(spans):
        facts.append(("mean seconds from a clip's first frame to its last", round(sum(spans) / len(spans), 3)))
    return facts


def _form(clips: ClipStore) -> list[tuple[str, str | int | float]]:
    """What every clip is like."""
    if clips.sample_rate is None:
        height, width = clips.size
        beside = []
        if clips.sound_rate is not None:
            beside = [
                ("seconds of sound beside them", clips.num_samples / clips.sound_rate),
                ("its sample rate, hertz", clips.sound_rate),
            ]
        return [("frames a clip", clips.num_frames), ("height x width, pixels", f"{height} x {width}"), *beside]
    window = clips.num_samples / clips.sample_rate
    return [
        ("windows of sound a clip", clips.num_frames),
        ("seconds of a window", window),
        ("sample rate, hertz", clips.sample_rate),
        ("hours of sound in all windows", round(len(clips) * clips.num_frames * window / 3600, 3)),
    ]


def write_on_the_fly_section(out: Path, rows: Sequence[ManifestRow], rejects: Sequence[Reject]) -> None:
    """Writes `section.json` of a decode stage that stores nothing."""
    blocks = (
        Text("Nothing is stored: each clip is decoded when a stage needs it, one a row."),
        Table(("what", "value"), (("rows", len(rows)), ("rejected rows", len(rejects)))),
        Rejects(tuple(rejects), len(rows)),
    )
    write_section(out, Section("Clips", blocks))
