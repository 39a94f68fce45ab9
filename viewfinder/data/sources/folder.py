"""``folder:DIR``: photos in folders, with or without classes.

How a folder is understood, in this order:

1. Split folders. If images lie under DIR/train and also under DIR/val or DIR/test (or only under
   DIR/train), these are the splits (training, valid, validation, testing, unlabeled count too).
   Images elsewhere in DIR are left out, and a note says so.
2. A labels file (``data.labels``) gives the classes, whatever the folders are.
3. Class folders: if every image of a split lies exactly one folder below the split, and there are
   at least two such folders, the folders are the classes.
4. Otherwise the images are unlabelled, and a note says what spoke against 3.

Names that begin with a dot and files that are no images by their extension are passed over, and so
are links that lead out of DIR, which a note counts.
Images are stored whole as squares of ``size`` (64 by default), with the sides they had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError
from viewfinder.core.files import nearest_path, path_of
from viewfinder.data.decode import EXTENSIONS
from viewfinder.data.file_splits import read_file_splits
from viewfinder.data.options import ReadOptions
from viewfinder.data.sidecars.labels import encode
from viewfinder.data.sidecars.read import first_five, label_column, unlabelled
from viewfinder.data.source import Source
from viewfinder.data.sources.folder_tree import Scan, class_folders, scan, split_tree

# What people keep beside their photos and may expect to be read.
# fmt: off
_FOREIGN = frozenset((
    ".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".psd", ".svg", ".jxl",
    ".exr", ".dcm", ".npy", ".npz", ".zip", ".tar",
))
# fmt: on


def read_folder(argument: str, options: ReadOptions) -> Source:
    """Read ``folder:argument`` as this module's text says."""
    root = _existing_folder(argument)
    found = scan(root)
    if len(found.files) < 2:
        raise _too_few(root, found, found.unreadable, len(found.files))
    paths, depth, notes = split_tree(found.files)
    labels, class_names, label_notes = _labels(paths, depth, options)
    paths, rename_notes = _unlabelled_test(paths, labels)
    read = read_file_splits(root, paths, labels, class_names, options)
    unreadable = [*found.unreadable, *read.unreadable]
    readable = len(read.splits["train"]) if "train" in read.splits else 0
    if readable < 2:
        raise _too_few(root, found, unreadable, readable)
    if options.labels is not None:
        parts = [(split.labels, split.paths or ()) for split in read.splits.values()]
        label_notes += unlabelled(options.labels, parts, options.strict)
    notes += [*label_notes, *rename_notes, *read.notes, *_foreign_notes(found)]
    notes += [f"{told} were left out" for told in _links(found)]
    return Source(f"folder:{argument}", read.splits, notes, unreadable)


def _unlabelled_test(
    paths: Mapping[str, list[str]], labels: Mapping[str, np.ndarray]
) -> tuple[dict[str, list[str]], list[str]]:
    """A test split without labels beside a labelled train cannot test, so it gets another name."""
    if "test" not in paths or "test" in labels or "train" not in labels:
        return dict(paths), []
    name = "unlabeled" if "unlabeled" not in paths else "unlabeled_test"
    renamed = {name if split == "test" else split: files for split, files in paths.items()}
    return renamed, [f"test: without labels beside a labelled train, so it is called {name}"]


def _existing_folder(argument: str) -> Path:
    root = path_of(argument)
    if not argument or not root.exists():
        like = nearest_path(root) if argument else None
        fix = f"folder:{like or 'PATH_OF_YOUR_IMAGES'}"
        raise UserError(f"there is no folder {argument!r}", fix=fix)
    if not root.is_dir():
        raise UserError(f"{root} is a file; folder: takes a folder", fix=f"folder:{root.parent}")
    return root


def _too_few(
    root: Path, found: Scan, unreadable: Sequence[tuple[Path, str]], readable: int
) -> UserError:
    message = (
        f"{root} holds {counted(readable, 'readable image')} to train on; at least 2 are needed"
    )
    if unreadable:
        reasons = first_five(f"{path.name}: {reason}" for path, reason in unreadable)
        message += f"; unreadable: {len(unreadable)} ({reasons})"
    message += "".join(f"; {told} are not followed" for told in _links(found))
    if found.passed_over:
        others = first_five(
            f"{count} {ending or 'without extension'}"
            for ending, count in found.passed_over.most_common()
        )
        message += f"; other files: {others}"
    return UserError(message, fix=f"images ending in {', '.join(sorted(EXTENSIONS))}")


def _links(found: Scan) -> list[str]:
    """How many links lead to images or folders elsewhere; nothing where there are none."""
    n = len(found.led_out)
    return [f"{n} links that lead out of the folder ({first_five(found.led_out)})"] if n else []


def _foreign_notes(found: Scan) -> list[str]:
    counts = {end: count for end, count in found.passed_over.items() if end in _FOREIGN}
    return [
        f"passed over: {counted(count, f'{end} file')}, not an image format that is read here"
        for end, count in sorted(counts.items())
    ]


def _labels(
    paths: Mapping[str, list[str]], depth: int, options: ReadOptions
) -> tuple[dict[str, np.ndarray], list[str] | None, list[str]]:
    candidates = {name: files for name, files in paths.items() if name != "unlabeled"}
    if options.labels is not None:
        column, notes = label_column(
            options.labels, candidates, options.strict, options.label_column
        )
        coded, class_names, more = encode(column, where=str(options.labels))
        return coded, class_names, [*notes, *more]
    named = {name: class_folders(files, depth) for name, files in candidates.items()}
    text = {name: result for name, result in named.items() if not isinstance(result, str)}
    notes = [
        f"{name}: no labels, as {result}"
        for name, result in named.items()
        if isinstance(result, str)
    ]
    if not text:
        return {}, None, notes
    labels, class_names, more = encode(text)
    return labels, class_names, [*notes, *more, *_strange_classes(text)]


def _strange_classes(text: Mapping[str, np.ndarray]) -> list[str]:
    if "train" not in text:
        return []
    known = set(text["train"].tolist())
    strange = {name: sorted(set(values.tolist()) - known) for name, values in text.items()}
    return [
        f"{name}: {len(extra)} classes are not in train ({first_five(extra)})"
        for name, extra in strange.items()
        if extra
    ]
