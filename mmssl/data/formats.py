"""Turns what people already have into a manifest: folders, tables, lists and archives, each told by how it looks."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mmssl.data.building import folder_rows
from mmssl.data.lists import kinetics_rows, path_label_rows, splits_of_line
from mmssl.data.manifest import Manifest, ManifestRow, read_manifest, relocated, write_manifest
from mmssl.data.tables import base_folder, columns_of, meanings, read_table, table_rows
from mmssl.data.webdataset import shards_in, webdataset_rows
from mmssl.errors import ManifestError

SPLITS = frozenset(["train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"])
"""Names of folders that are splits, in any case."""


@dataclass(frozen=True)
class Converted:
    """What a form yields.

    Args:
        rows: Rows of the manifest to be.
        root: Folder that their paths are relative to.
        description: What was found, in words.
    """

    rows: list[ManifestRow]
    root: Path
    description: str


@dataclass(frozen=True)
class Form:
    """A form that people keep data in.

    Args:
        looks_like: What it looks like, for messages.
        recognizes: Whether a path, which exists, has this form.
        read: Its rows; is given the path and the folder that extracted files go to.
    """

    looks_like: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path, Path], Converted]


def convert_manifest(source: Path, out: Path, *, form: str = "auto") -> Manifest:
    """Writes a manifest of what people already have; says on standard error what it was taken for.

    Files are not opened; build a manifest from the one that this writes to probe them.

    Args:
        source: A folder, a table, a list, or an archive.
        out: Manifest to write. Files from archives are extracted to the folder of the same name with `_files` added.
        form: A name in `FORMS`, or `auto` to take the first that recognizes the source.

    Returns:
        The manifest, as written.

    Raises:
        ManifestError: If no form recognizes the source, or it is malformed.
    """
    if str(source).startswith("pipe:") or ":/" in str(source)[2:]:
        raise ManifestError(
            f"{source}: commands and addresses are not followed; download the files and give their path"
        )
    if not source.exists():
        raise ManifestError(f"{source}: there is no such file or folder")
    if form == "auto":
        form = recognized_form(source)
    if form not in FORMS:
        raise ManifestError(f"form {form!r} is not known; forms are {['auto', *FORMS]}")
    converted = FORMS[form].read(source, out.with_name(f"{out.stem}_files"))
    if not converted.rows:
        raise ManifestError(f"{source}: taken for {form} ({FORMS[form].looks_like}), but it holds no media file")
    rows = tuple(relocated(converted.rows, converted.root, out.parent))
    write_manifest(out, rows)
    print(f"{source}: {form}: {converted.description}, {len(rows)} rows", file=sys.stderr)
    return Manifest(out, rows)


def recognized_form(source: Path) -> str:
    """The first form that recognizes a path.

    Raises:
        ManifestError: If none does; the message lists the forms, and the columns where there are some.
    """
    for name, form in FORMS.items():
        if form.recognizes(source):
            return name
    columns = columns_of(source) if source.is_file() else ()
    seen = f"; its columns are {list(columns)}" if len(columns) > 1 else ""
    forms = "\n".join(f"  {name}: {form.looks_like}" for name, form in FORMS.items())
    raise ManifestError(f"{source}: is of no known form{seen}. Forms are\n{forms}")


def _has_columns(*names: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and set(names) <= set(columns_of(path))


def _is_manifest(path: Path) -> bool:
    return path.suffix in (".json", ".jsonl", ".parquet") and _has_columns("id", "uri")(path)


def _read_manifest(path: Path, extracted: Path) -> Converted:
    return Converted(list(read_manifest(path).rows), path.parent, "a manifest already")


def _read_table(path: Path, extracted: Path) -> Converted:
    table = read_table(path)
    known = meanings(table.columns)
    column = known.get("uri", "")
    folder = base_folder(path, [str(cells[column]) for _, cells in table.rows[:1] if column in cells])
    told = ", ".join(f"{field} from {name!r}" for field, name in known.items())
    beside = f", files in {folder}/" if folder else ""
    return Converted(table_rows(table, folder=folder), path.parent, f"{table.form}, {told}{beside}")


def _read_nemo(path: Path, extracted: Path) -> Converted:
    table = read_table(path)
    table = replace(table, columns=(*table.columns, "end"))
    for _, cells in table.rows:
        if "offset" in cells and "duration" in cells:
            cells["end"] = float(cells["offset"]) + float(cells.pop("duration"))
    return Converted(table_rows(table, defaults={"media_type": "audio"}), path.parent, f"NeMo {table.form}")


def _metadata_files(source: Path) -> list[Path]:
    """Hugging Face's metadata files: the one given, the folder's own, or one in each folder below it."""
    names = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
    if source.is_file():
        return [source] if source.name in names else []
    for pattern in ("", "*/"):
        files = sorted(file for name in names for file in source.glob(pattern + name))
        if files:
            return files
    return []


def _read_metadata(source: Path, extracted: Path) -> Converted:
    root = source.parent if source.is_file() else source
    files = _metadata_files(source)
    rows = []
    for file in files:
        inside = file.parent.relative_to(root).as_posix()
        split = {"split": inside} if inside.lower() in SPLITS else {}
        rows += table_rows(read_table(file), folder="" if inside == "." else inside, defaults=split)
    names = ", ".join(file.relative_to(root).as_posix() for file in files)
    return Converted(rows, root, f"Hugging Face metadata in {names}")


def _are_class_folders(source: Path) -> bool:
    """Whether all media lie in two or more folders, or in folders of folders whose names are those of splits."""
    depths = {row.uri.count("/") for row in folder_rows(source)} if source.is_dir() else set()
    tops = {entry.name.lower() for entry in source.iterdir() if entry.is_dir()} if depths else set()
    if tops <= SPLITS:
        return depths in ({1}, {2})
    return depths == {1} and len(tops) > 1


def _class_folders(source: Path) -> list[ManifestRow]:
    """Rows with the label, and the split where there is one, that their folders name."""
    rows = []
    for row in folder_rows(source):
        folders = row.uri.split("/")[:-1]
        split = folders.pop(0) if folders and folders[0].lower() in SPLITS else None
        rows.append(replace(row, split=split, label=folders[0] if folders else None))
    return rows


def _read_class_folders(source: Path, extracted: Path) -> Converted:
    rows = _class_folders(source)
    labels, splits = ({getattr(row, name) for row in rows} - {None} for name in ("label", "split"))
    in_splits = f" in the splits {sorted(splits)}" if splits else ""
    return Converted(rows, source, f"folders as classes, {len(labels)} of them{in_splits}")


def _read_folder(source: Path, extracted: Path) -> Converted:
    return Converted(folder_rows(source), source, "a folder of media")


def _read_kinetics(path: Path, extracted: Path) -> Converted:
    rows = kinetics_rows(read_table(path))
    found = sum(row.status == "ok" for row in rows)
    return Converted(rows, path.parent, f"a Kinetics list, {found} of {len(rows)} clips are there")


def _read_list(path: Path, extracted: Path) -> Converted:
    return Converted(path_label_rows(path), path.parent, "a list of paths and labels")


def _read_webdataset(source: Path, extracted: Path) -> Converted:
    shards = shards_in(source)
    rows, ignored = webdataset_rows(shards, extracted)
    left = f", members ending in {ignored} left out" if ignored else ""
    return Converted(rows, extracted, f"WebDataset, {len(shards)} archives extracted to {extracted}{left}")


FORMS: dict[str, Form] = {
    "manifest": Form("a manifest, JSON Lines or Parquet with id and uri", _is_manifest, _read_manifest),
    "nemo": Form("NeMo's JSON Lines with audio_filepath", _has_columns("audio_filepath"), _read_nemo),
    "kinetics": Form("a Kinetics list, CSV with youtube_id", _has_columns("youtube_id"), _read_kinetics),
    "metadata": Form(
        "Hugging Face's metadata.csv or .jsonl with file_name, or its folder",
        lambda path: bool(_metadata_files(path)),
        _read_metadata,
    ),
    "webdataset": Form(
        "a WebDataset archive (.tar), or a folder of them", lambda path: bool(shards_in(path)), _read_webdataset
    ),
    "list": Form(
        "a text file with a path and a label on each line",
        lambda path: path.is_file() and splits_of_line(path) is not None,
        _read_list,
    ),
    "table": Form(
        "CSV, TSV, JSON Lines or Parquet with a column such as filepath and perhaps caption, label, split",
        lambda path: path.is_file() and "uri" in meanings(columns_of(path)),
        _read_table,
    ),
    "imagefolder": Form(
        "a folder for each class, perhaps below train, val, test",
        _are_class_folders,
        _read_class_folders,
    ),
    "folder": Form("a folder of media files", lambda path: path.is_dir() and bool(folder_rows(path)), _read_folder),
}
"""Forms by name, in the order in which they are tried."""
