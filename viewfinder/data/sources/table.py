"""Opening a source of images from its spec string: a table of names and their readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from viewfinder.core.errors import UserError, nearest, unknown
from viewfinder.data.convert import channel_note
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Source, Split
from viewfinder.data.sources.arrays import read_digits, read_npz
from viewfinder.data.sources.folder import read_folder
from viewfinder.data.sources.imagenet import read_imagenet, read_imagenet100
from viewfinder.data.sources.paper_sets import read_cub, read_wider, read_zappos
from viewfinder.data.sources.torchvision_sets import SETS, read_torchvision
from viewfinder.data.sources.transfer_sets import read_aircraft, read_dtd, read_flower, read_gtsrb
from viewfinder.data.splits import with_test
from viewfinder.data.stored import ConvertedImages

SHAPES_SIZE = 32
Reader = Callable[[str, ReadOptions], Source]


def _read_shapes(argument: str, options: ReadOptions) -> Source:
    from viewfinder.data.shapes.source import shapes_source

    source = shapes_source(options.size or SHAPES_SIZE, options.limit, options.seed)
    note = channel_note(source.train.data.shape[0], options.channels, "shapes")
    if note is None:
        return source

    def converted(split: Split) -> Split:
        return replace(split, data=ConvertedImages(split.data, options.channels, None))

    splits = {name: converted(split) for name, split in source.splits.items()}
    return replace(source, splits=splits, notes=[*source.notes, note])


# Where images come from: the word before the colon (or all of the spec), and who reads it.
READERS: Mapping[str, Reader] = {
    "shapes": _read_shapes,
    "digits": read_digits,
    "npz": read_npz,
    "folder": read_folder,
    "ut-zappos50k": read_zappos,
    "wider-attribute": read_wider,
    "cub200": read_cub,
    "dtd-split1": read_dtd,
    "vgg-flower": read_flower,
    "gtsrb": read_gtsrb,
    "fgvc-aircraft": read_aircraft,
    "imagenet": read_imagenet,
    "imagenet100": read_imagenet100,
    **dict.fromkeys(SETS, read_torchvision),
}
_WITH_ARGUMENT = (
    "npz",
    "folder",
    "ut-zappos50k",
    "wider-attribute",
    "cub200",
    "dtd-split1",
    "vgg-flower",
    "gtsrb",
    "fgvc-aircraft",
    "imagenet",
    "imagenet100",
)


def open_source(
    spec: str,
    *,
    root: Path | str | None = None,
    download: bool = False,
    strict: bool = False,
    labels: Path | str | None = None,
    channels: int | None = None,
    size: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Source:
    """Open the images a spec string names: ``shapes``, ``digits``, ``npz:PATH``, ``folder:DIR`` or
    one of torchvision's sets (``cifar10``, ``stl10``, ``fashion-mnist``, ...).

    The other arguments are described at ``ReadOptions``. ``limit`` counts the images of each split
    as they lie in the source. Where there is no test split, a validation split takes its place, and
    otherwise a part of train is held out: a stratified fifth, or of unlabelled images a random
    fifth, at most 2000. Whatever had to be decided stands in the source's ``notes``.

    Raises UserError for anything that cannot be read as asked.

    >>> source = open_source("digits")
    >>> len(source.train), len(source.test), source.train.data.shape
    (1438, 359, (1, 8, 8))
    """
    options = ReadOptions(
        root=None if root is None else Path(root),
        download=download,
        strict=strict,
        labels=None if labels is None else Path(labels),
        channels=channels,
        size=size,
        limit=limit,
        seed=seed,
    )
    name, colon, argument = spec.partition(":")
    if name not in READERS:
        raise _unknown_spec(spec)
    if bool(colon) != (name in _WITH_ARGUMENT):
        raise UserError(
            f"data source {spec!r}: {name} takes {'a path' if not colon else 'nothing'} after it",
            fix=f"{name}:PATH" if not colon else name,
        )
    if options.labels is not None and name not in _WITH_ARGUMENT:
        raise UserError(
            f"data.labels goes with npz: and folder:, but the source is {spec}",
            fix="leave data.labels out",
        )
    source = READERS[name](argument if name in _WITH_ARGUMENT else name, options)
    source = with_test(replace(source, spec=spec), seed)
    first = [split for split in ("train", "test") if split in source.splits]
    return replace(source, splits={key: source.splits[key] for key in [*first, *source.splits]})


def _unknown_spec(spec: str) -> UserError:
    path = Path(spec).expanduser()
    if spec and path.exists():
        kind = "npz" if path.suffix == ".npz" or list(path.glob("*.npz")) else "folder"
        return UserError(f"data source {spec!r} does not say what it is", fix=f"{kind}:{spec}")
    names = [f"{name}:PATH" if name in _WITH_ARGUMENT else name for name in READERS]
    guess = nearest(spec.partition(":")[0], READERS)
    if ":" in spec and guess is not None:  # the place would make every name unlike
        fix = f"{guess}:PATH" if guess in _WITH_ARGUMENT else guess
        return UserError(f"unknown data source {spec!r}", fix=fix)
    return unknown("data source", spec, names)
