"""What positives need of the data, and what to do where it is lacking."""

from __future__ import annotations

from typing import Literal

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.files import nearest_path, path_of
from viewfinder.core.table import Options
from viewfinder.data.source import Split

Need = Literal["labels", "attributes", "classes", "features", "file"]


def check_need(need: Need, name: str, options: Options, split: Split) -> None:
    """Raise UserError where neither the split nor the options' file has what positives need."""
    file = getattr(options, "file", None)
    if file is not None and not (path := path_of(file)).exists():
        like = nearest_path(path) or "the path of one that exists"
        raise UserError(f"positives.file: there is no file {path}", fix=str(like))
    if need == "labels" and split.labels is None:
        raise UserError(
            f"positives={name}, but the images of {split.name} have no labels",
            fix="data.labels=labels.csv with a line for each image: path,label; or "
            "positives=instance",
        )
    if need == "attributes" and file is None and split.attributes is None:
        raise UserError(
            f"positives={name}, but the images of {split.name} have no attributes",
            fix="positives.file=attributes.csv with a line for each image: path,gender,colour",
        )
    if need == "classes" and file is None and not has_class_tree(split):
        raise UserError(
            f"positives={name}, but the source says nothing of a tree above its "
            f"{len(names_of_classes(split))} classes",
            fix="positives.file=hierarchy.csv with lines class,path such as cat,animal/mammal",
        )


def all_labels(split: Split, asking: str) -> np.ndarray:
    """The labels int64 (N,) of a split that has some. Raises UserError where an image has none."""
    assert split.labels is not None, "who asks needs labels"
    lost = int((split.labels < 0).sum())
    if lost:
        raise UserError(
            f"{asking} needs a label for each image, and {lost} of {len(split)} have none",
            fix="a line for each image in data.labels, or positives=labels for a contrastive loss",
        )
    return split.labels


def has_class_tree(split: Split) -> bool:
    """Whether the data say themselves what is above their classes: a factor ``class_path``, or
    class names that are paths ("Greek/alpha")."""
    return "class_path" in split.factors or all("/" in name for name in names_of_classes(split))


def names_of_classes(split: Split) -> list[str]:
    """The classes of a labelled split: its class names, or their numbers as text."""
    assert split.labels is not None, "a row that asks for classes needs labels"
    return list(split.class_names or map(str, range(int(split.labels.max()) + 1)))
