"""The sets that transfer is measured on, in the layouts they are downloaded in.

``dtd-split1:DIR``, ``vgg-flower:DIR``, ``gtsrb:DIR`` and ``fgvc-aircraft:DIR``. Nothing is
downloaded here; a missing set is an error that says where it is to be had and how it must lie.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of
from viewfinder.data.file_splits import LARGE_SIZE
from viewfinder.data.options import ReadOptions
from viewfinder.data.sidecars.read import first_five
from viewfinder.data.source import Source
from viewfinder.data.sources.listing import (
    Listing,
    class_split,
    lines_of,
    listed_source,
    one_of,
    root_of,
)

_DTD = """\
the Describable Textures Dataset, from https://www.robots.ox.ac.uk/~vgg/data/dtd/ \
(dtd-r1.0.1.tar.gz), unpacked as DIR/labels/train1.txt, DIR/labels/val1.txt, DIR/labels/test1.txt \
and DIR/images/banded/banded_0002.jpg"""
_FLOWER = """\
the 102 Category Flower Dataset, from https://www.robots.ox.ac.uk/~vgg/data/flowers/102/ \
(102flowers.tgz and imagelabels.mat), unpacked as DIR/imagelabels.mat and DIR/jpg/image_00001.jpg"""
_GTSRB = """\
the German Traffic Sign Recognition Benchmark, from https://benchmark.ini.rub.de/gtsrb_dataset.html\
 (GTSRB_Final_Training_Images.zip), unpacked as DIR/Final_Training/Images/00000/00000_00000.ppm"""
_AIRCRAFT = """\
FGVC-Aircraft, from https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/ \
(fgvc-aircraft-2013b.tar.gz), unpacked as DIR/data/images_variant_trainval.txt, \
DIR/data/images_variant_test.txt, DIR/data/variants.txt and DIR/data/images/0034309.jpg"""


def read_dtd(argument: str, options: ReadOptions) -> Source:
    """DTD at 256x256 unless ``options.size``: 47 textures, split 1.

    Train is train1.txt followed by val1.txt, test is test1.txt: 3,760 and 1,880 images.
    """
    root = root_of(argument, _DTD)
    base = one_of(root, ["labels/train1.txt", "dtd/labels/train1.txt"], _DTD).parents[1]
    parts = {
        split: [line for name in names for line in lines_of(base / "labels" / f"{name}1.txt", _DTD)]
        for split, names in (("train", ("train", "val")), ("test", ("test",)))
    }
    listing = _by_folder(parts)
    return listed_source(f"dtd-split1:{argument}", base / "images", listing, options, LARGE_SIZE)


def read_flower(argument: str, options: ReadOptions) -> Source:
    """VGG Flower at 256x256 unless ``options.size``: 102 kinds, 8,189 images.

    Four fifths of each kind are train, by ``class_split``; the official split, of ten images a kind
    to train on, is ``flowers102``. Classes are those of imagelabels.mat, counted from 0.
    """
    root = root_of(argument, _FLOWER)
    file = one_of(root, ["imagelabels.mat", "flowers-102/imagelabels.mat"], _FLOWER)
    labels = _mat_labels(file)
    files = [f"image_{number:05d}.jpg" for number in range(1, len(labels) + 1)]
    images = one_of(file.parent, ["jpg"], _FLOWER)
    names = [f"flower {number}" for number in range(1, int(labels.max()) + 1)]
    listing = class_split(files, (labels - 1).tolist(), names)
    return listed_source(f"vgg-flower:{argument}", images, listing, options, LARGE_SIZE)


def read_gtsrb(argument: str, options: ReadOptions) -> Source:
    """Traffic signs at 64x64 unless ``options.size``: 43 classes, the 39,209 training images.

    Four fifths of each class are train, by ``class_split``. The frames of one physical sign lie on
    both sides, as in the papers: the accuracy is of known signs, not of new ones.
    """
    root = root_of(argument, _GTSRB)
    places = ["Final_Training/Images", "GTSRB/Final_Training/Images"]
    images = one_of(root, places, _GTSRB)
    files = sorted(path.relative_to(images).as_posix() for path in images.glob("*/*.ppm"))
    if not files:
        raise UserError(f"{images} holds no folder of .ppm images", fix=_GTSRB)
    folders = [PurePosixPath(file).parent.name for file in files]
    names = sorted(set(folders))
    listing = class_split(files, [names.index(folder) for folder in folders], names)
    return listed_source(f"gtsrb:{argument}", images, listing, options, 64)


def read_aircraft(argument: str, options: ReadOptions) -> Source:
    """FGVC-Aircraft at 256x256 unless ``options.size``: 100 variants, 6,667 and 3,333 images.

    Train is the official training and validation part. Images are as they are, with the line of
    credit at the bottom and not cut to the bounding boxes.
    """
    root = root_of(argument, _AIRCRAFT)
    place = "images_variant_trainval.txt"
    base = one_of(root, [f"data/{place}", place], _AIRCRAFT).parent
    names = list(lines_of(base / "variants.txt", _AIRCRAFT))
    number = {name: i for i, name in enumerate(names)}
    paths: dict[str, list[str]] = {}
    labels: dict[str, np.ndarray] = {}
    for split, part in (("train", "trainval"), ("test", "test")):
        file = base / f"images_variant_{part}.txt"
        lines = [line.partition(" ") for line in lines_of(file, _AIRCRAFT)]
        strange = [" ".join((image, name)) for image, _, name in lines if name not in number]
        if strange:
            raise UserError(
                f"{file}: {len(strange)} lines are not an image and one of the {len(names)} "
                f"variants ({first_five(strange)})",
                fix=_AIRCRAFT,
            )
        paths[split] = [f"{image}.jpg" for image, _, _ in lines]
        labels[split] = np.array([number[name] for _, _, name in lines], np.int64)
    listing = Listing(paths, labels, {}, (), names)
    return listed_source(f"fgvc-aircraft:{argument}", base / "images", listing, options, LARGE_SIZE)


def _by_folder(parts: dict[str, list[str]]) -> Listing:
    """Classes are the folders of the paths, by name."""
    folders = {
        split: [PurePosixPath(p).parent.name for p in paths] for split, paths in parts.items()
    }
    names = sorted({name for found in folders.values() for name in found})
    number = {name: i for i, name in enumerate(names)}
    labels = {
        split: np.array([number[name] for name in found], np.int64)
        for split, found in folders.items()
    }
    return Listing(parts, labels, {}, (), names)


def _mat_labels(file: Path) -> np.ndarray:
    """The numbers from 1 of imagelabels.mat, int64 (N,)."""
    from scipy.io import loadmat

    try:
        labels = np.asarray(loadmat(file_of(file))["labels"]).ravel()
    except (KeyError, ValueError, TypeError, OSError, NotImplementedError) as error:
        raise UserError(f"{file} holds no labels: {error}", fix=_FLOWER) from None
    if len(labels) == 0 or labels.dtype.kind not in "ui" or labels.min() < 1:
        raise UserError(f"{file}: numbers from 1 are expected as labels", fix=_FLOWER)
    return labels.astype(np.int64)
