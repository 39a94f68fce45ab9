"""The table of positives: name -> how Z is made of what is known about the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from viewfinder.core.errors import UserError, unknown
from viewfinder.core.table import Table
from viewfinder.data.source import Attributes, Split
from viewfinder.positives import clusters
from viewfinder.positives.attribute_file import read_attributes
from viewfinder.positives.attributes import Rare, attributes
from viewfinder.positives.cluster_file import read_clusters
from viewfinder.positives.clusters import Clusters, checked
from viewfinder.positives.columns import ColumnOptions
from viewfinder.positives.hierarchy import Ambiguous, Tree, hierarchy
from viewfinder.positives.hierarchy_files import read_tree, tree_from_names
from viewfinder.positives.kmeans import KMeans, kmeans, kmeans_many
from viewfinder.positives.synthetic import Family, synthetic
from viewfinder.positives.tags import Tags, tag_matrix


class Options(BaseModel):
    """Options of one kind of positives: typed, with defaults, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AttributesOptions(Options):
    file: str | None = Field(None, description="attributes.csv; null: the source's own attributes")
    top_k: PositiveInt | None = Field(None, description="so many columns of highest entropy")
    columns: list[str] | None = Field(None, description="or these, by name")
    min_size: PositiveInt = Field(1, description="tuples that fewer images have are rare")
    rare: Rare = Field("prefix", description="what becomes of rare tuples: prefix, rest, instance")
    bins: int | None = Field(None, ge=2, description="quantile bins of real-valued columns")
    categorical: list[str] = Field(
        [], description="columns that are names, whatever they look like"
    )
    continuous: list[str] = Field([], description="columns of whole numbers that are quantities")
    separator: str = Field(";", min_length=1, description="parts the tags of a cell")


class TagsOptions(Options):
    file: str | None = Field(None, description="attributes.csv; null: the source's own attributes")
    columns: list[str] | None = Field(None, description="these attributes alone, by name")
    separator: str = Field(";", min_length=1, description="parts the tags of a cell")


class HierarchyOptions(Options):
    level: PositiveInt = Field(2, description="level of the common ancestor; the root is level 1")
    file: str | None = Field(
        None, description="CSV of class,path or child,parent, or WordNet's is-a file"
    )
    ambiguous: Ambiguous = Field(
        "shortest", description="classes with several ancestors: shortest, drop, refuse"
    )


class KMeansOptions(Options):
    k: PositiveInt | Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        1000, description="clusters; several for pcl"
    )
    every: PositiveInt = Field(1, description="epochs between clusterings")
    start: NonNegativeInt = Field(
        0, description="epochs before the first clustering, in which each image is its own"
    )
    on: Literal["projections", "features"] = Field(
        "projections", description="what is clustered: projections or features, of the momentum "
        "network where there is one"
    )  # fmt: skip
    niter: PositiveInt = Field(20, description="iterations of a run of k-means")
    nredo: PositiveInt = Field(5, description="runs, of which the best is kept")
    max_points_per_centroid: PositiveInt = Field(1000, description="features a run uses, over k")

    @property
    def sizes(self) -> list[int]:
        """The k of each clustering."""
        return self.k if isinstance(self.k, list) else [self.k]


class FileOptions(Options):
    file: str = Field(description="Parquet or CSV: index or path, and cluster")


class SyntheticOptions(Options):
    family: Family = Field(
        "fix_information",
        description="what stays as the level rises, see viewfinder.positives.synthetic",
    )
    level: NonNegativeInt = Field(0, description="clusters of 2^level neighbours")
    shuffled: NonNegativeInt = Field(0, description="classes shuffled (family fix_entropy)")


@dataclass(frozen=True)
class Given:
    """What Z is made of: a split, and for k-means the features (N, D) of its images."""

    split: Split
    features: np.ndarray | None = None
    seed: int = 0


@dataclass(frozen=True)
class Positives:
    """A row of the table.

    options    class of its options, each with a default where one makes sense
    build      (given, options) -> Clusters; see ``build_clusters`` for the checks after it
    needs      what the data must bring
    refreshed  made anew every ``options.every`` epochs from the features of the network
    bare       the option that ``positives=name:VALUE`` sets
    """

    name: str
    summary: str
    paper: str
    options: type[Options]
    build: Callable[[Given, Any], Clusters]
    needs: tuple[Literal["labels", "attributes", "classes", "features", "file"], ...] = ()
    refreshed: bool = False
    bare: str | None = None


def find(name: str) -> Positives:
    """The row of that name; raises UserError with the nearest name otherwise."""
    if name not in POSITIVES:
        raise unknown("positives", name, POSITIVES)
    return POSITIVES[name]


def split_spec(spec: str) -> tuple[str, dict[str, str]]:
    """Name and options of a short form.

    >>> split_spec("file:z.parquet")
    ('file', {'file': 'z.parquet'})
    """
    name, colon, value = spec.partition(":")
    row = find(name)
    if not colon:
        return name, {}
    if row.bare is None or not value:
        raise UserError(f"positives={spec}: {name} takes nothing behind a colon")
    return name, {row.bare: value}


def build_clusters(name: str, given: Given, options: Options | None = None) -> Clusters:
    """Z of a split, checked to be of use for a contrastive objective (see ``clusters.checked``)."""
    row = find(name)
    options = row.options() if options is None else options
    return checked(row.build(given, options), len(given.split))


def build_clusterings(given: Given, options: KMeansOptions) -> list[KMeans]:
    """The k-means clusterings for every k of the options, with their centroids (PCL)."""
    settings = options.model_dump(include={"niter", "nredo", "max_points_per_centroid"})
    return kmeans_many(_features(given), options.sizes, seed=given.seed, **settings)


def tree_of(split: Split, file: str | None = None, ambiguous: Ambiguous = "shortest") -> Tree:
    """The class tree of a split: from a file, else what its data or class names say of it.

    Classes are the split's class names, or their numbers as text. Without a file, a factor
    ``class_path`` int64 (N, levels) of node numbers serves (-1 below a shallow class), or class
    names that are paths ("Greek/alpha").
    """
    t = _labels(split)
    names = split.class_names or [str(i) for i in range(int(t.max()) + 1)]
    if file is not None:
        return read_tree(file, list(names), ambiguous=ambiguous)
    if "class_path" in split.factors:
        present, first = np.unique(t, return_index=True)
        nodes = split.factors["class_path"][first].tolist()
        steps = dict(zip(present.tolist(), nodes, strict=True))
        return Tree(
            [tuple(str(node) for node in steps.get(c, [c]) if node >= 0) for c in range(len(names))]
        )
    spelled = tree_from_names(list(names))
    if spelled is None:
        raise UserError(
            f"the source says nothing of a tree above its {len(names)} classes",
            fix="positives.file=hierarchy.csv with lines class,path such as cat,animal/mammal",
        )
    return spelled


def table_of(split: Split, options: AttributesOptions) -> tuple[Attributes, list[str]]:
    """The attributes of a split, from the file of the options or its own, and notes."""
    if options.file is not None:
        how = ColumnOptions(
            options.bins, options.categorical, options.continuous, options.separator
        )
        parsed = read_attributes(options.file, split, how)
        return parsed.attributes, list(parsed.notes)
    if split.attributes is None:
        raise UserError(
            f"the images of {split.name} have no attributes",
            fix="positives.file=attributes.csv with a line for each image: path,gender,colour",
        )
    return split.attributes, []


def tags_of(split: Split, options: TagsOptions) -> Tags:
    """Which tags each image of a split has, from the file of the options or its attributes.

    Raises UserError for a column that is not there, and where no image has a tag.
    """
    shared = AttributesOptions(file=options.file, separator=options.separator)
    table, notes = table_of(split, shared)
    if options.columns is not None:
        known = [str(name) for name in table.names]
        for name in options.columns:
            if name not in known:
                raise unknown("attribute", name, known)
        chosen = [known.index(name) for name in options.columns]
        table = Attributes(table.values[:, chosen], options.columns, table.value_names)
    found = tag_matrix(table)
    return replace(found, notes=(*notes, *found.notes))


def _labels(split: Split) -> np.ndarray:
    if split.labels is None:
        raise UserError(
            f"the images of {split.name} have no labels",
            fix="data.labels=labels.csv with a line for each image: path,label",
        )
    return split.labels


def _features(given: Given) -> np.ndarray:
    if given.features is None:
        raise ValueError("k-means needs the features of the images")
    if len(given.features) != len(given.split):
        raise ValueError(f"{len(given.features)} features for {len(given.split)} images")
    return given.features


def _attributes(given: Given, o: AttributesOptions) -> Clusters:
    table, notes = table_of(given.split, o)
    made = attributes(table, top_k=o.top_k, columns=o.columns, min_size=o.min_size, rare=o.rare)
    return made.noted(notes)


def _hierarchy(given: Given, o: HierarchyOptions) -> Clusters:
    tree = tree_of(given.split, o.file, o.ambiguous)
    return hierarchy(tree, _labels(given.split), level=o.level)


def _kmeans(given: Given, o: KMeansOptions) -> Clusters:
    if isinstance(o.k, list):
        raise UserError(
            f"positives.k={o.k}: several clusterings are for objectives that take several (pcl)",
            fix=f"positives.k={o.k[0] if o.k else 1000}",
        )
    settings = o.model_dump(include={"niter", "nredo", "max_points_per_centroid"})
    return kmeans(_features(given), o.k, seed=given.seed, **settings).clusters


def _tags(given: Given, o: TagsOptions) -> Clusters:
    found = tags_of(given.split, o)
    exact = np.unique(found.matrix, axis=0, return_inverse=True)[1]
    return clusters.dense(exact.ravel(), found.notes)


def _synthetic(given: Given, o: SyntheticOptions) -> Clusters:
    t = _labels(given.split)
    return synthetic(t, o.family, o.level, shuffled=o.shuffled, seed=given.seed)


POSITIVES: Table[Any] = Table(
    "positives",
    [
        Positives(
            "instance",
            "an image and nothing else",
            "SimCLR, Chen et al. 2020",
            Options,
            lambda given, o: clusters.instance(len(given.split)),
        ),
        Positives(
            "labels",
            "images of the same class",
            "SupCon, Khosla et al. 2020",
            Options,
            lambda given, o: clusters.labels(_labels(given.split)),
            needs=("labels",),
        ),
        Positives(
            "attributes",
            "images that share the values of the attributes of highest entropy",
            "CI-InfoNCE, Tsai et al. 2021, section 3.1",
            AttributesOptions,
            _attributes,
            needs=("attributes",),
            bare="file",
        ),
        Positives(
            "tags",
            "images as far as they have tags in common: shared tags / all tags of both",
            "CI-InfoNCE, Tsai et al. 2021, section 3.1 (hashtags)",
            TagsOptions,
            _tags,
            needs=("attributes",),
            bare="file",
        ),
        Positives(
            "hierarchy",
            "images whose classes have a common ancestor at a level of a tree",
            "CI-InfoNCE, Tsai et al. 2021, section 3.1",
            HierarchyOptions,
            _hierarchy,
            needs=("labels", "classes"),
            bare="file",
        ),
        Positives(
            "kmeans",
            "images near each other in the network's own space, found anew between epochs",
            "CI-InfoNCE, Tsai et al. 2021, algorithm 1; PCL, Li et al. 2021",
            KMeansOptions,
            _kmeans,
            needs=("features",),
            refreshed=True,
        ),
        Positives(
            "file",
            "whatever a table of index (or path) and cluster says",
            "",
            FileOptions,
            lambda given, o: read_clusters(o.file, given.split),
            needs=("file",),
            bare="file",
        ),
        Positives(
            "synthetic",
            "made from the labels, to study I(Z;T) and H(Z|T)",
            "CI-InfoNCE, Tsai et al. 2021, appendix F",
            SyntheticOptions,
            _synthetic,
            needs=("labels",),
        ),
    ],
)
