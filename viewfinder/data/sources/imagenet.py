"""ImageNet-1K and subsets of its classes: ``imagenet:DIR`` and ``imagenet100:DIR``.

    DIR/train/n01440764/*.JPEG
    DIR/val/n01440764/*.JPEG            or DIR/val/*.JPEG with DIR/LOC_val_solution.csv
    DIR/imagenet100.txt                 the classes of imagenet100, one per line
    DIR/wordnet.is_a.txt                WordNet's "parent child" lines, for positives=hierarchy

The layout below ILSVRC/Data/CLS-LOC of the Kaggle download is found too. Classes are named by
their WordNet ids, which are the nodes of the tree.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of, path_of
from viewfinder.data.file_splits import LARGE_SIZE, read_file_splits
from viewfinder.data.options import ReadOptions
from viewfinder.data.sidecars.read import first_five
from viewfinder.data.source import Source

_LAYOUT = """\
ImageNet (ILSVRC 2012), from https://www.image-net.org/download.php or Kaggle's \
imagenet-object-localization-challenge, unpacked as DIR/train/n01440764/*.JPEG and \
DIR/val/n01440764/*.JPEG (or DIR/val/*.JPEG with DIR/LOC_val_solution.csv)"""
_TREE = "wordnet.is_a.txt"
CLASS_LISTS = ("imagenet100.txt", "selected_100_classes.txt", "classes.txt")


def read_imagenet(argument: str, options: ReadOptions) -> Source:
    """All class folders of train, at 256x256 unless ``options.size``; test is the val part."""
    return _read(f"imagenet:{argument}", _root(argument), None, options)


def read_imagenet100(argument: str, options: ReadOptions) -> Source:
    """The classes of a list beside the images (``imagenet100.txt``), in the order of the list.

    There is no one ImageNet-100: CI-InfoNCE's and CMC's lists have three classes in common, so the
    list is always the user's.
    """
    root = _root(argument)
    found = [root / name for name in CLASS_LISTS if (root / name).is_file()]
    if not found:
        raise UserError(
            f"{root} holds no list of classes; lists called ImageNet-100 differ, so none is built "
            "in",
            fix=f"write the wanted WordNet ids, one per line, into {root / CLASS_LISTS[0]}",
        )
    return _read(f"imagenet100:{argument}", root, read_class_list(found[0]), options)


def read_class_list(file: Path) -> list[str]:
    """WordNet ids, the first word of each line; UserError for none, and for one named twice."""
    names = [
        line.split()[0]
        for line in file_of(file).read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    double = sorted({name for name in names if names.count(name) > 1})
    if not names or double:
        raise UserError(f"{file} names {len(names)} classes; {first_five(double) or 'none'} twice")
    return names


def _read(spec: str, root: Path, chosen: Sequence[str] | None, options: ReadOptions) -> Source:
    base = root / "ILSVRC" / "Data" / "CLS-LOC"
    base = base if base.is_dir() else root
    folders = {p.name for p in (base / "train").glob("*") if p.is_dir()}
    if not folders:
        raise UserError(f"{root} holds no class folders in train", fix=_LAYOUT)
    names = sorted(folders) if chosen is None else list(chosen)
    lost = [name for name in names if name not in folders]
    if lost:
        raise UserError(
            f"{len(lost)} of {len(names)} classes have no folder in {base / 'train'} "
            f"({first_five(lost)})",
            fix=_LAYOUT,
        )
    listed = {
        "train": _in_class_folders(base, "train", names),
        "test": _validation(root, base, names),
    }
    number = {name: i for i, name in enumerate(names)}
    paths = {split: [path for path, _ in found] for split, found in listed.items() if found}
    labels = {
        split: np.array([number[name] for _, name in found], np.int64)
        for split, found in listed.items()
        if found
    }
    read = read_file_splits(
        base, paths, labels, names, replace(options, size=options.size or LARGE_SIZE)
    )
    if len(read.splits.get("train", ())) < 2:
        raise UserError(f"{base / 'train'} holds no readable images", fix=_LAYOUT)
    return Source(spec, read.splits, [*read.notes, _tree_note(root)], read.unreadable)


def _validation(root: Path, base: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    folder = base / "val"
    found = _in_class_folders(base, "val", names)
    if found or not folder.is_dir():
        return found
    flat = sorted(path.name for path in folder.glob("*.JPEG"))
    if not flat:
        return []
    solution = _solution(root)
    lost = [name for name in flat if Path(name).stem not in solution]
    if lost:
        raise UserError(
            f"{len(lost)} of {len(flat)} images of {folder} have no class ({first_five(lost)})",
            fix=f"put LOC_val_solution.csv into {root}, or the images into folders by class",
        )
    wanted = set(names)
    classes = [(name, solution[Path(name).stem]) for name in flat]
    return [(f"val/{name}", found) for name, found in classes if found in wanted]


def _solution(root: Path) -> Mapping[str, str]:
    """Image id -> WordNet id, from Kaggle's "id,n01440764 x y x y ..." lines."""
    file = root / "LOC_val_solution.csv"
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        return {row[0]: row[1].split()[0] for row in list(csv.reader(stream))[1:] if len(row) == 2}


def _in_class_folders(base: Path, part: str, names: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (f"{part}/{name}/{path.name}", name)
        for name in names
        for path in sorted((base / part / name).glob("*"))
        if path.suffix.lower() in (".jpeg", ".jpg", ".png")
    ]


def _tree_note(root: Path) -> str:
    file = root / _TREE
    if file.is_file():
        return f"the class tree: positives=hierarchy positives.file={file}"
    return f"no {_TREE} in {root}: positives=hierarchy needs a tree by positives.file"


def _root(argument: str) -> Path:
    root = path_of(argument)
    if not argument or not root.is_dir():
        raise UserError(f"there is no folder {argument!r}", fix=_LAYOUT)
    return root
