"""Lists that name clips: Kinetics' CSV, and text files with a path and a label on each line."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mmssl.data.building import folder_rows, with_unique_ids
from mmssl.data.manifest import ManifestRow, media_type_of
from mmssl.data.tables import Table, field_values, finished_rows, refuse
from mmssl.errors import ManifestError

_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " "}


def kinetics_rows(table: Table) -> list[ManifestRow]:
    """A row for each clip of a Kinetics list; clips that are not below the list's folder are rejected.

    A clip is looked for as `ID_000010_000020`, cut already, or as `ID`, the whole video, with any suffix.

    Raises:
        ManifestError: If the times are no numbers, or not one clip is there.
    """
    folder = table.path.parent
    files = {PurePosixPath(row.uri).stem: row for row in folder_rows(folder) if row.media_type == "video"}
    rows: list[ManifestRow] = []
    faults: list[str] = []
    for line, cells in table.rows:
        times = _times(cells)
        if "youtube_id" not in cells or times is None:
            faults.append(f"{table.path}:{line}: expected youtube_id, time_start and time_end in seconds, got {cells}")
        else:
            rows.append(_kinetics_row(cells, times, files, folder))
    refuse(faults)
    if rows and not any(row.status == "ok" for row in rows):
        example = rows[0].uri
        raise ManifestError(
            f"{table.path}: none of its {len(rows)} clips is below {folder}; looked for names such as {example}"
        )
    return with_unique_ids(rows)


def _times(cells: dict[str, Any]) -> tuple[float, float] | None:
    try:
        return float(cells["time_start"]), float(cells["time_end"])
    except (KeyError, ValueError):
        return None


def _kinetics_row(
    cells: dict[str, Any], times: tuple[float, float], files: dict[str, ManifestRow], folder: Path
) -> ManifestRow:
    video, (start, end) = str(cells["youtube_id"]), times
    name = f"{video}_{int(start):06}_{int(end):06}"
    file, whole = files.get(name), files.get(video)
    known = ("youtube_id", "time_start", "time_end", "label", "split")
    missing: dict[str, Any] = {}
    if file is None and whole is None:
        missing = {
            "status": "rejected",
            "error_type": "MediaError",
            "error_message": f"neither {name} nor {video} is below {folder}",
        }
    return ManifestRow(
        id=name,
        uri=(file or whole or ManifestRow(name, f"{name}.mp4", "video")).uri,
        media_type="video",
        start=start if whole is not None and file is None else None,
        end=end if whole is not None and file is None else None,
        label=str(cells["label"]) if "label" in cells else None,
        split=cells.get("split"),
        group=video,
        extra=field_values({column: cell for column, cell in cells.items() if column not in known}, {}),
        **missing,
    )


def splits_of_line(path: Path) -> str | None:
    """The separator of a list of paths and labels, by its first line; None where the file is no such list."""
    if path.suffix.lower() not in (".txt", ".csv", ".tsv", ".lst", ".list", ""):
        return None
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline(4096).strip()
    except (UnicodeDecodeError, OSError):
        return None
    for name, separator in _SEPARATORS.items():
        head, found, label = first.rpartition(separator)
        head = _without_count(head)
        if found and head and label.strip() and (media_type_of(head) or (path.parent / head).is_dir()):
            return name
    return None


def _without_count(head: str) -> str:
    """A path without the number of frames that some lists put between it and the label."""
    return re.sub(r"[\s,;]+\d+$", "", head.strip())


def path_label_rows(path: Path) -> list[ManifestRow]:
    """A row for each `path label` line; a folder is a video of numbered images.

    Raises:
        ManifestError: If a line has no label, or its path is neither a folder nor of a known suffix.
    """
    name = splits_of_line(path)
    if name is None:
        raise ManifestError(f"{path}: expected a path and a label on each line, such as `clips/a.mp4 3`")
    drafts: list[tuple[int, dict[str, Any]]] = []
    faults: list[str] = []
    for line, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not text.strip():
            continue
        head, found, label = text.strip().rpartition(_SEPARATORS[name])
        if not found or not label.strip():
            faults.append(f"{path}:{line}: expected a path and a label, got {text!r}")
            continue
        uri = _without_count(head)
        values = {"uri": uri, "label": label.strip()}
        if media_type_of(uri) is None:
            values["media_type"] = "video"
        drafts.append((line, values))
    refuse(faults)
    return finished_rows(path, drafts)
