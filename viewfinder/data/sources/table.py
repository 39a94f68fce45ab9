"""The table of sources, and opening one from its spec string."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from viewfinder.core.errors import UserError, in_words, nearest, unknown
from viewfinder.core.files import nearest_path, path_of, reading
from viewfinder.core.table import Options, Row, Table
from viewfinder.core.validation import readable
from viewfinder.data.domain import Modality
from viewfinder.data.excluding import without
from viewfinder.data.moving_digits.source import MovingDigitsOptions, read_moving_digits
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Source
from viewfinder.data.sources.arrays import read_digits, read_npz
from viewfinder.data.sources.folder import read_folder
from viewfinder.data.sources.imagenet import read_imagenet, read_imagenet100
from viewfinder.data.sources.paper_sets import read_cub, read_wider, read_zappos
from viewfinder.data.sources.spirals import SpiralsOptions, read_spirals
from viewfinder.data.sources.stl10 import read_stl10
from viewfinder.data.sources.text import read_text
from viewfinder.data.sources.torchvision_sets import SETS, read_torchvision
from viewfinder.data.sources.transfer_sets import read_aircraft, read_dtd, read_flower, read_gtsrb
from viewfinder.data.splits import with_test


class AtPath(Options):
    """The path behind the colon."""

    path: str = Field(description="file or folder")


@dataclass(frozen=True, kw_only=True)
class SourceRow(Row):
    """Where data come from.

    read      a Source from the row's own options, which follow the colon of a spec, and from how
              it is to be read
    modality  what it holds
    labels    whether a table of labels, ``data.labels``, may be laid beside it

    A row with a bare option is written ``name:PATH``; one with other options
    ``name:key=value,...``; one without any ``name``.
    """

    read: Callable[[Any, ReadOptions], Source]
    modality: Modality = "images"
    labels: bool = False

    @property
    def spelling(self) -> str:
        """How it is written in a spec: ``npz:PATH``."""
        return self.name if self.bare is None else f"{self.name}:{self.bare.upper()}"


def _at_path(
    name: str,
    summary: str,
    read: Callable[[str, ReadOptions], Source],
    *,
    paper: str = "",
    labels: bool = False,
    modality: Modality = "images",
) -> SourceRow:
    """A row whose reader takes what follows the colon."""
    return SourceRow(
        name=name,
        summary=summary,
        paper=paper,
        options=AtPath,
        bare="path",
        paths=("path",),
        read=lambda own, how: read(own.path, how),
        labels=labels,
        modality=modality,
    )


def _named(
    name: str, summary: str, read: Callable[[ReadOptions], Source], paper: str = ""
) -> SourceRow:
    """A row that its name alone says all of."""
    return SourceRow(name=name, summary=summary, paper=paper, read=lambda own, how: read(how))


def _read_shapes(how: ReadOptions) -> Source:
    from viewfinder.data.shapes.source import read_shapes

    return read_shapes(how)


def _read_moving_digits(own: MovingDigitsOptions, how: ReadOptions) -> Source:
    def images(spec: str, *, channels: int, size: int | None) -> Source:
        row = SOURCES[full_spec(spec).partition(":")[0]]
        if row.modality != "images":
            raise UserError(
                f"moving-digits: {spec} holds {row.modality}; images are expected",
                fix="moving-digits, which takes embedded ones",
            )
        own = {"channels": channels, "size": size, "seed": how.seed}
        return open_source(spec, root=how.root, download=how.download, **own)  # type: ignore[arg-type]

    return read_moving_digits(own, how, images)


SOURCES: Table[SourceRow] = Table(
    "data source",
    [
        _named("shapes", "drawn shapes of 16 classes with all their factors", _read_shapes),
        _named("digits", "1,797 handwritten digits of 8x8 px, from scikit-learn", read_digits),
        SourceRow(
            name="spirals",
            summary="two spirals of points in the plane",
            paper="Wu et al. 2020, figure 1",
            options=SpiralsOptions,
            read=read_spirals,
            modality="points",
        ),
        SourceRow(
            name="moving-digits",
            summary="clips of a digit that bounces over a background, with all three factors",
            paper="Tian et al. 2020 (InfoMin), section 4.1 and appendix B.4",
            options=MovingDigitsOptions,
            read=_read_moving_digits,
            modality="clips",
        ),
        _at_path("text", "sentences of a text file, one per line", read_text, modality="tokens"),
        _at_path("npz", "arrays in an npz file, or a folder of them", read_npz, labels=True),
        _at_path("folder", "image files below a folder", read_folder, labels=True),
        _at_path(
            "ut-zappos50k",
            "UT-Zappos50K: shoes with attributes",
            read_zappos,
            paper="Yu and Grauman 2014",
        ),
        _at_path(
            "wider-attribute",
            "WIDER Attribute: scenes with attributes",
            read_wider,
            paper="Li et al. 2016",
        ),
        _at_path(
            "cub200", "CUB-200-2011: birds with attributes", read_cub, paper="Wah et al. 2011"
        ),
        _at_path(
            "dtd-split1", "DTD: textures, its first split", read_dtd, paper="Cimpoi et al. 2014"
        ),
        _at_path(
            "vgg-flower", "Oxford 102 flowers", read_flower, paper="Nilsback and Zisserman 2008"
        ),
        _at_path(
            "gtsrb", "German traffic signs, cut out", read_gtsrb, paper="Stallkamp et al. 2011"
        ),
        _at_path("fgvc-aircraft", "aircraft variants", read_aircraft, paper="Maji et al. 2013"),
        _at_path("imagenet", "ImageNet-1K", read_imagenet, paper="Russakovsky et al. 2015"),
        _at_path(
            "imagenet100",
            "classes of ImageNet that a list beside it names",
            read_imagenet100,
            paper="Russakovsky et al. 2015",
        ),
        _named("stl10", "STL-10, with its unlabelled part", read_stl10, "Coates et al. 2011"),
        *(
            _named(name, f"torchvision's {one.factory}", partial(read_torchvision, name))
            for name, one in SETS.items()
        ),
    ],
)


def open_source(
    spec: str,
    *,
    root: Path | str | None = None,
    download: bool = False,
    strict: bool = False,
    labels: Path | str | None = None,
    label_column: str = "label",
    channels: int | None = None,
    size: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    held_out: np.ndarray | None = None,
    exclude: Path | str | None = None,
) -> Source:
    """Open the data a spec string names: ``shapes``, ``digits``, ``npz:PATH``, ``folder:DIR``, one
    of torchvision's sets (``cifar10``, ``stl10``, ...) or any other row of ``SOURCES``. A file or
    folder that exists is understood without its prefix.

    The other arguments are described at ``ReadOptions``. ``limit`` counts the data of each split
    as they lie in the source. Where there is no test split, a validation split takes its place, and
    otherwise a part of train is held out: a stratified fifth, or of unlabelled data a random
    fifth, at most 2000; or the images of ``held_out`` (paths or rows), see ``with_test``. At last
    the images that the list ``exclude`` names are left out, see ``without``. Whatever had to be
    decided stands in the source's ``notes``.

    Raises UserError for anything that cannot be read as asked.

    >>> source = open_source("digits")
    >>> len(source.train), len(source.test), source.train.data.shape
    (1438, 359, (1, 8, 8))
    """
    how = ReadOptions(
        root=None if root is None else Path(root),
        download=download,
        strict=strict,
        labels=None if labels is None else Path(labels),
        label_column=label_column,
        channels=channels,
        size=size,
        limit=limit,
        seed=seed,
    )
    whole = full_spec(spec)
    row = SOURCES[whole.partition(":")[0]]
    own = _own_options(row, whole)
    _check_fits(row, how)
    with reading(whole, "`viewfinder data` with a part of it, to find the file"):
        source = with_test(replace(row.read(own, how), spec=whole), seed, held_out)
    if exclude is not None:
        source = without(source, path_of(exclude), limited=limit is not None)
    if whole != spec:
        source = replace(source, notes=[f"{spec} is read as {whole}", *source.notes])
    first = [split for split in ("train", "test") if split in source.splits]
    return replace(source, splits={key: source.splits[key] for key in [*first, *source.splits]})


def located_source(spec: str) -> str:
    """The spec with the name of its row and, where it is at a path, with an absolute one.

    >>> located_source("digits"), located_source("npz:/data/../mine")
    ('digits', 'npz:/mine')
    """
    whole = full_spec(spec)
    path = place_of(whole)
    if not path:
        return whole
    return f"{whole.partition(':')[0]}:{path_of(path).resolve()}"


def place_of(spec: str) -> str | None:
    """The path of a spec that has the name of its row; None where the source is at no path."""
    name, _, argument = spec.partition(":")
    row = SOURCES.get(name)
    return argument if row is not None and row.bare in row.paths else None


def full_spec(spec: str) -> str:
    """The spec with the name of its row; UserError where it names neither a row nor a path."""
    if spec.partition(":")[0] in SOURCES:
        return spec
    path = path_of(spec)
    if spec and path.exists():
        arrays = path.suffix == ".npz" or any(path.glob("*.npz"))
        return f"npz:{spec}" if arrays else f"folder:{spec}"
    guess = nearest(spec.partition(":")[0], SOURCES)
    if ":" in spec and guess is not None:  # the place would make every name unlike
        raise UserError(f"unknown data source {in_words(spec)}", fix=SOURCES[guess].spelling)
    like = nearest_path(path) if spec else None
    if like is not None or (":" not in spec and (path.suffix or len(path.parts) > 1)):
        raise UserError(
            f"there is no {in_words(spec)}, and no data source is called so",
            fix=f"data={like or 'folder:PATH_OF_YOUR_IMAGES'}",
        )
    spellings = [row.spelling for row in SOURCES.values()]
    raise unknown("data source", spec, spellings, "`viewfinder methods sources` lists all")


def same_source(one: str, other: str) -> bool:
    """Whether two specs name the same data, paths spelled in different ways included.

    >>> same_source("folder:photos", "folder:./photos"), same_source("digits", "shapes")
    (True, False)
    """
    return one == other or _resolved(one) == _resolved(other)


def _resolved(spec: str) -> str:
    try:
        return located_source(spec)
    except UserError:  # what is not there is no other's equal
        return spec


def _own_options(row: SourceRow, spec: str) -> Options:
    """The options that follow the colon of a spec."""
    _, colon, text = spec.partition(":")
    if bool(colon) != (row.bare is not None) and (row.bare or not row.options.model_fields):
        taken = "nothing" if row.bare is None else f"a {row.bare}"
        raise UserError(
            f"data source {spec!r}: {row.name} takes {taken} after it", fix=row.spelling
        )
    if row.bare is not None:
        return row.options(**{row.bare: text})
    given = {}
    for word in text.split(",") if text else []:
        key, equals, value = word.partition("=")
        if not equals:
            raise UserError(
                f"data source {spec!r}: {word!r} is not of the form key=value; {row.name} has "
                f"{', '.join(row.options.model_fields)}",
                fix=f"{row.name}:{next(iter(row.options.model_fields))}=...",
            )
        given[key] = value
    try:
        return row.options(**given)
    except ValidationError as error:
        fields = row.options.model_fields.items()
        known = {f"{row.name}.{key}": field.description or "" for key, field in fields}
        raise readable(error, known, prefix=(row.name,)) from error


def _check_fits(row: SourceRow, how: ReadOptions) -> None:
    """Raise UserError for options that mean nothing for a source."""
    if how.labels is not None and not row.labels:
        takers = " and ".join(f"{one.name}:" for one in SOURCES.values() if one.labels)
        raise UserError(
            f"data.labels goes with {takers}, but the source is {row.name}",
            fix="leave data.labels out",
        )
    for key in ("size", "channels"):
        if row.modality != "images" and getattr(how, key) is not None:
            raise UserError(
                f"data.{key} converts images, but {row.name} holds {row.modality}",
                fix=f"leave data.{key} out",
            )
