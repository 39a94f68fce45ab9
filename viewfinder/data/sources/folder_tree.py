"""How a folder of images is understood: its files, its splits, its classes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from viewfinder.core.counted import counted
from viewfinder.data.decode import EXTENSIONS
from viewfinder.data.sidecars.read import first_five
from viewfinder.data.splits import canonical_split

_SYSTEM_PLACES = (Path("/proc"), Path("/sys"))  # what the system says of itself, without end
_SYSTEM_FOLDERS = frozenset(("__MACOSX", "@eaDir"))


@dataclass(frozen=True)
class Scan:
    """Image files by extension, relative to the root with "/" and sorted; others counted; links to
    images and folders elsewhere, which are not followed."""

    files: list[str]
    passed_over: Counter[str]
    unreadable: list[tuple[Path, str]]
    led_out: list[str]


def system_devices() -> set[int]:
    """The devices whose folders hold nothing that anybody stored, and lead everywhere."""
    found = {place.stat().st_dev for place in _SYSTEM_PLACES if place.is_dir()}
    return found - {Path("/").stat().st_dev}


def scan(root: Path) -> Scan:
    """All image files under a folder. Links that stay in it are followed, those to folders once;
    others are not: a folder that somebody gave away must not make a run read what lies beside."""
    files: list[str] = []
    passed_over: Counter[str] = Counter()
    unreadable: list[tuple[Path, str]] = []
    led_out: list[str] = []
    seen: set[tuple[int, int]] = set()
    real, system = root.resolve(), system_devices()

    def stays(path: Path) -> bool:
        if not path.is_symlink() or not path.exists() or path.resolve().is_relative_to(real):
            return True  # one that leads nowhere is an unreadable file
        led_out.append(path.relative_to(root).as_posix())
        return False

    def failed(error: OSError) -> None:
        unreadable.append((Path(error.filename), error.strerror or "cannot be listed"))

    for place, folders, names in os.walk(root, followlinks=True, onerror=failed):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen or status.st_dev in system:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SYSTEM_FOLDERS
            and stays(Path(place) / name)
        )
        inside = Path(place).relative_to(root)
        for name in names:
            extension = PurePosixPath(name).suffix.lower()
            if name.startswith("."):
                continue
            if extension in EXTENSIONS and stays(Path(place) / name):
                files.append((inside / name).as_posix())
            elif extension not in EXTENSIONS:
                passed_over[extension] += 1
    return Scan(sorted(files), passed_over, unreadable, sorted(led_out))


def split_tree(files: Sequence[str]) -> tuple[dict[str, list[str]], int, list[str]]:
    """The files of each split by rule 1, how many folders deep the splits lie (0 or 1), notes."""
    tops: dict[str, list[str]] = {}
    for file in files:
        parts = PurePosixPath(file).parts
        tops.setdefault(parts[0] if len(parts) > 1 else "", []).append(file)
    named = [(canonical_split(top), top) for top in tops]
    found = {name for name, _ in named if name}
    if "train" not in found or not (found & {"val", "test"} or len(tops) == 1):
        return {"train": list(files)}, 0, []
    splits: dict[str, list[str]] = {}
    for name, top in named:
        if name:
            splits.setdefault(name, []).extend(tops[top])
    left_out = {top or "the folder itself": len(tops[top]) for name, top in named if not name}
    if not left_out:
        return splits, 1, []
    count = sum(left_out.values())
    note = (
        f"left out: {counted(count, 'image')} beside the split folders (in {first_five(left_out)})"
    )
    return splits, 1, [note]


def class_folders(files: Sequence[str], depth: int) -> np.ndarray | str:
    """The class folder of each file as text, by rule 3, or the reason why there are no classes.

    ``depth`` is the number of folders above the class folders: 0, or 1 inside a split folder.
    """
    parts = [PurePosixPath(file).parts for file in files]
    elsewhere = [file for file, part in zip(files, parts, strict=True) if len(part) != depth + 2]
    if len(elsewhere) == len(files):
        return "no image lies exactly one folder deep"
    if elsewhere:
        return (
            f"{len(elsewhere)} of {len(files)} images do not lie exactly one folder deep "
            f"(such as {elsewhere[0]})"
        )
    names = np.array([part[depth] for part in parts], dtype=np.str_)
    if len(np.unique(names)) < 2:
        return f"all images lie in the one folder {names[0]}"
    return names
