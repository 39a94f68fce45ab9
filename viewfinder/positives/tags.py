"""Positives: images as far as they have tags in common."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from viewfinder.core.errors import unknown
from viewfinder.core.table import Options
from viewfinder.data.source import Attributes, Split
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.attribute_file import attributes_of
from viewfinder.positives.columns import ColumnOptions
from viewfinder.positives.contract import Given, Positives
from viewfinder.positives.tag_matrix import Tags, tags_of_attributes


class TagsOptions(Options):
    file: str | None = Field(None, description="attributes.csv; null: the source's own attributes")
    columns: list[str] | None = Field(None, description="these attributes alone, by name")
    separator: str = Field(";", min_length=1, description="parts the tags of a cell")


def tags_of(split: Split, options: TagsOptions) -> Tags:
    """Which tags each image of a split has, from the file of the options or its attributes.

    Raises UserError for a column that is not there, and where no image has a tag.
    """
    reading = ColumnOptions(separator=options.separator)
    known = attributes_of(split, options.file, reading)
    table = known.attributes
    if options.columns is not None:
        names = [str(name) for name in table.names]
        for name in options.columns:
            if name not in names:
                raise unknown("attribute", name, names)
        chosen = [names.index(name) for name in options.columns]
        table = Attributes(table.values[:, chosen], options.columns, table.value_names)
    found = tags_of_attributes(table)
    return replace(found, notes=(*known.notes, *found.notes))


def _build(options: TagsOptions, given: Given) -> Assignment:
    found = tags_of(given.split, options)
    return Assignment(tags=found.matrix, notes=found.notes)


TAGS = Positives(
    name="tags",
    summary="images as far as they have tags in common: shared tags / all tags of both",
    paper="CI-InfoNCE, Tsai et al. 2021, section 3.1 (hashtags)",
    options=TagsOptions,
    build=_build,
    gives=("tags",),
    needs=("attributes",),
    bare="file",
    paths=("file",),
)
