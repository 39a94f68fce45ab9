"""The attribute sets of CI-InfoNCE in the layouts they are downloaded in.

``ut-zappos50k:DIR``, ``wider-attribute:DIR`` and ``cub200:DIR``; ImageNet is in
``viewfinder.data.sources.imagenet``. Nothing is downloaded here: all are for research only and ask
for consent, and a missing one is an error that says where it is available and how it must lie.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of
from viewfinder.data.file_splits import LARGE_SIZE
from viewfinder.data.options import ReadOptions
from viewfinder.data.sidecars.read import first_five
from viewfinder.data.source import Source
from viewfinder.data.sources.listing import (
    Listing,
    listed_source,
    one_of,
    pairs_of,
    root_of,
    words_of,
)

_ZAPPOS = """\
UT-Zappos50K, from https://vision.cs.utexas.edu/projects/finegrained/utzap50k/ (ut-zap50k-data.zip \
and ut-zap50k-images.zip or ut-zap50k-images-square.zip), unpacked as DIR/ut-zap50k-data/\
meta-data-bin.csv and DIR/ut-zap50k-images/Shoes/Oxfords/Bostonian/100627.72.jpg"""
_WIDER = """\
WIDER Attribute, from http://mmlab.ie.cuhk.edu.hk/projects/WIDERAttribute.html (images and \
annotations), unpacked as DIR/wider_attribute_trainval.json and DIR/wider_attribute_test.json (or \
both in a folder of DIR), with DIR/Image/train/0--Parade/0_Parade_marchingband_1_100.jpg"""
_CUB = """\
Caltech-UCSD Birds-200-2011, from https://www.vision.caltech.edu/datasets/cub_200_2011/ \
(CUB_200_2011.tgz), unpacked as DIR/images.txt, DIR/attributes/image_attribute_labels.txt and \
DIR/images/001.Black_footed_Albatross/..."""


def read_zappos(argument: str, options: ReadOptions) -> Source:
    """UT-Zappos50K at 32x32 unless ``options.size``: 21 classes and 126 binary attributes.

    Classes are category/sub-category by falling number of training images. Attributes are the
    columns of meta-data-bin.csv but those of the classes themselves (Category and SubCategory: 25
    of 151). Train is the first 70 % of numpy's seed-0 permutation of the rows, in that order, test
    the rest: 35,017 and 15,008 images, row for row those of CI-InfoNCE's released tables.
    """
    root = root_of(argument, _ZAPPOS)
    file = one_of(root, ["ut-zap50k-data/meta-data-bin.csv", "meta-data-bin.csv"], _ZAPPOS)
    images = one_of(root, ["ut-zap50k-images", "ut-zap50k-images-square"], _ZAPPOS)
    ids, names, values = _zappos_table(file)
    on_disk = {path.stem: path.relative_to(images).as_posix() for path in images.rglob("*.jpg")}
    files = [on_disk.get(name.replace("-", ".")) for name in ids]
    lost = [name for name, path in zip(ids, files, strict=True) if path is None]
    if lost:
        raise UserError(
            f"{len(lost)} of {len(ids)} images of {file} are not below {images} "
            f"({first_five(lost)})",
            fix=f"unpack it anew. {_ZAPPOS}",
        )
    paths = [path for path in files if path is not None]
    rows = zappos_rows(len(paths))
    labels, class_names = classes_by_size(paths, rows["train"])
    listing = Listing(
        {split: [paths[i] for i in chosen] for split, chosen in rows.items()},
        {split: labels[chosen] for split, chosen in rows.items()},
        {split: values[chosen] for split, chosen in rows.items()},
        names,
        class_names,
    )
    return listed_source(f"ut-zappos50k:{argument}", images, listing, options, 32)


def read_wider(argument: str, options: ReadOptions) -> Source:
    """WIDER Attribute at 256x256 unless ``options.size``: 30 scenes and 14 binary attributes.

    An image has an attribute if any of its boxes does (CI-InfoNCE, appendix C.2): 1 where some box
    says 1, and 0 where all say no (-1) or nothing (0). Train is the official train and validation
    part, test the official test part: 6,871 and 6,918 images.
    """
    root = root_of(argument, _WIDER)
    parts = {}
    for split, part in (("train", "trainval"), ("test", "test")):
        name = f"wider_attribute_{part}.json"
        places = [name, *(f"{folder.name}/{name}" for folder in sorted(root.iterdir()))]
        file = one_of(root, places, _WIDER)
        try:
            parts[split] = json.loads(file_of(file).read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise UserError(f"{file} cannot be read as JSON: {error}") from None
    try:
        listing = _wider_listing(parts)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise UserError(
            f"the annotations in {root} are not those of WIDER Attribute: {error!r}", fix=_WIDER
        ) from None
    images = one_of(root, ["Image", "."], _WIDER)
    return listed_source(f"wider-attribute:{argument}", images, listing, options, LARGE_SIZE)


def read_cub(argument: str, options: ReadOptions) -> Source:
    """CUB-200-2011 at 256x256 unless ``options.size``: 200 species and 312 binary attributes.

    Attributes are "is present", whatever the certainty; the split is the official one: 5,994 and
    5,794 images.
    """
    root = root_of(argument, _CUB)
    base = one_of(root, ["images.txt", "CUB_200_2011/images.txt"], _CUB).parent
    paths = dict(pairs_of(base / "images.txt", _CUB))
    classes = dict(pairs_of(base / "classes.txt", _CUB))
    label_of = dict(pairs_of(base / "image_class_labels.txt", _CUB))
    in_train = dict(pairs_of(base / "train_test_split.txt", _CUB))
    names = dict(
        pairs_of(one_of(base, ["attributes/attributes.txt", "../attributes.txt"], _CUB), _CUB)
    )
    position = {image: row for row, image in enumerate(paths)}
    number = {name: i for i, name in enumerate(classes)}
    table = _cub_attributes(base / "attributes" / "image_attribute_labels.txt", position, names)
    uneven = [image for image in paths if image not in label_of or image not in in_train]
    if uneven:
        raise UserError(
            f"{len(uneven)} of {len(paths)} images of {base / 'images.txt'} have no class or no "
            f"split (ids {first_five(uneven)})",
            fix=f"unpack it anew. {_CUB}",
        )
    chosen = {
        split: [image for image in paths if (in_train[image] == "1") == (split == "train")]
        for split in ("train", "test")
    }
    listing = Listing(
        {split: [paths[i] for i in ids] for split, ids in chosen.items()},
        {split: np.array([number[label_of[i]] for i in ids]) for split, ids in chosen.items()},
        {split: table[[position[i] for i in ids]] for split, ids in chosen.items()},
        list(names.values()),
        list(classes.values()),
    )
    return listed_source(f"cub200:{argument}", base / "images", listing, options, LARGE_SIZE)


def zappos_rows(n: int) -> dict[str, np.ndarray]:
    """The rows of train and test of the n images, int64, in the order of the seed-0 permutation."""
    order = np.random.RandomState(0).permutation(n)  # numpy's old generator: the released split
    cut = int(0.7 * n)
    return {"train": order[:cut], "test": order[cut:]}


def classes_by_size(paths: Sequence[str], train: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Class numbers int64 (N,) of paths "category/sub-category/...", and the classes' names.

    The class of most training images is 0; ties, and classes of test alone, by name.
    """
    names = np.array(["/".join(path.split("/")[:2]) for path in paths])
    found, codes = np.unique(names, return_inverse=True)
    times = np.bincount(codes[train], minlength=len(found))
    order = np.argsort(-times, kind="stable")
    return np.argsort(order)[codes].astype(np.int64), found[order].tolist()


def _zappos_table(file: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Image ids, names of the 126 attributes, and their values uint8 (N, 126)."""
    with file_of(file).open(newline="", encoding="utf-8-sig") as stream:
        header, *rows = list(csv.reader(stream))
    wanted = [
        i for i, name in enumerate(header) if i and not name.startswith(("Category", "SubCategory"))
    ]
    strange = [
        row[0] for row in rows if len(row) != len(header) or not {"0", "1"}.issuperset(row[1:])
    ]
    if strange or not wanted or header[0] != "CID":
        raise UserError(
            f"{file} is not the binary table of UT-Zappos50K: its first column is {header[0]!r}, "
            f"{len(wanted)} columns are attributes, and {len(strange)} lines hold something else "
            f"than 0 and 1 ({first_five(strange)})",
            fix=_ZAPPOS,
        )
    values = np.array([[row[i] == "1" for i in wanted] for row in rows], np.uint8)
    return [row[0] for row in rows], [header[i] for i in wanted], values


def _wider_listing(parts: Mapping[str, Mapping[str, Any]]) -> Listing:
    names = _by_number(parts["train"]["attribute_id_map"])
    scenes = _by_number(parts["train"]["scene_id_map"])
    images = {split: part["images"] for split, part in parts.items()}
    number = {scene: i for i, scene in enumerate(scenes)}
    return Listing(
        {split: [str(image["file_name"]) for image in found] for split, found in images.items()},
        {
            split: np.array([number[int(image["scene_id"])] for image in found], np.int64)
            for split, found in images.items()
        },
        {
            split: np.array([_any_box(image["targets"], len(names)) for image in found])
            for split, found in images.items()
        },
        list(names.values()),
        list(scenes.values()),
    )


def _by_number(names: Mapping[str, str]) -> dict[int, str]:
    return {number: str(names[str(number)]) for number in sorted(map(int, names))}


def _any_box(boxes: Sequence[Mapping[str, Any]], width: int) -> np.ndarray:
    found = np.zeros(width, np.uint8)
    for box in boxes:
        found |= (np.asarray(box["attribute"]) == 1).astype(np.uint8)
    return found


def _cub_attributes(
    file: Path, position: Mapping[str, int], names: Mapping[str, str]
) -> np.ndarray:
    """Values uint8 (N, 312). Some lines of the official file have a column too many at the end."""
    column = {attribute: i for i, attribute in enumerate(names)}
    table = np.full((len(position), len(column)), 2, np.uint8)
    for number, words in enumerate(words_of(file, _CUB), start=1):
        try:
            table[position[words[0]], column[words[1]]] = {"0": 0, "1": 1}[words[2]]
        except (KeyError, IndexError):
            raise UserError(
                f"{file}: line {number} is {' '.join(words)[:60]!r}; image, attribute and 0 or 1 "
                "are expected"
            ) from None
    lost = np.argwhere(table == 2)
    if len(lost):
        raise UserError(
            f"{file} says nothing of {len(lost)} of {table.size} attributes of images (first of "
            f"image {list(position)[lost[0][0]]})",
            fix=f"unpack it anew. {_CUB}",
        )
    return table
