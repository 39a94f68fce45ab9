"""What a row of positives is: how Z is made, and declared facts about what it takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.ranges import Count, CountOrNone
from viewfinder.core.table import Options, Row
from viewfinder.data.source import Split
from viewfinder.positives.assignment import Assignment, Centroids
from viewfinder.positives.needs import Need, check_need

Kind = Literal["instance", "clusters", "clusterings", "tags"]
"""The forms of Z: each datum its own; one number for each; several; as far as tags are shared."""


class RefreshedOptions(Options):
    """Options of all positives that are made anew between epochs from what the network gives."""

    every: Count = Field(1, description="epochs between clusterings")
    start: CountOrNone = Field(
        0, description="epochs before the first clustering, in which each image is its own"
    )
    on: Literal["projections", "features"] = Field(
        "projections", description="what is clustered: projections or features, of the momentum "
        "network where there is one"
    )  # fmt: skip

    def due(self, epoch: int) -> bool:
        """Whether Z is made before that epoch, counted from 0."""
        since = epoch - self.start
        return since >= 0 and since % self.every == 0


@dataclass(frozen=True)
class Given:
    """What Z is made of.

    split     the N data
    features  float32 (N, D), what the network gives for each of them, for rows that need it
    seed      all draws are derived from it
    kind      the form that is wanted, one of those that the row gives
    """

    split: Split
    features: np.ndarray | None = None
    seed: int = 0
    kind: Kind = "clusters"


@dataclass(frozen=True, kw_only=True)
class Positives(Row):
    """A row of the table of positives; it is called once, or between epochs.

    build     (options, given) -> Assignment. The same for the same arguments, and it may count on
              what the row needs
    gives     the forms it can give, first that which is taken where several can be
    needs     what it must be given: "labels"; "attributes", or a file of them; "classes", a tree of
              the classes, or a file of it; the "file" of its options; "features" of the network.
              With features it is made anew between epochs, and its options are RefreshedOptions
    sized_by  the option that holds the number of clusters, or a list of those of several
              clusterings; None: how many there are shows when they are made

    >>> odd = Positives(name="odd", summary="odd and even positions",
    ...                 build=lambda options, given: Assignment(np.arange(len(given.split)) % 2))
    >>> odd.gives, odd.refreshed
    (('clusters',), False)
    """

    build: Callable[[Any, Given], Assignment]
    gives: tuple[Kind, ...] = ("clusters",)
    needs: tuple[Need, ...] = ()
    sized_by: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.refreshed and not issubclass(self.options, RefreshedOptions):
            raise UserError(f"positives {self.name}: their options must be RefreshedOptions")
        if self.refreshed and not {"clusters", "clusterings"}.issuperset(self.gives):
            raise UserError(f"positives {self.name}: what is made anew is clusters or clusterings")
        if "clusterings" in self.gives and self.sized_by is None:
            raise UserError(f"positives {self.name}: sized_by must say how many clusterings")

    @property
    def refreshed(self) -> bool:
        """Whether Z is made anew between epochs."""
        return "features" in self.needs

    def kind(self, accepted: Sequence[Kind]) -> Kind | None:
        """The first form that it gives of those accepted; None where there is none."""
        return next((kind for kind in self.gives if kind in accepted), None)

    def sizes(self, options: Options) -> tuple[int, ...]:
        """The most clusters of each clustering; () where it is not known beforehand."""
        if self.sized_by is None:
            return ()
        k = getattr(options, self.sized_by)
        return (k,) if isinstance(k, int) else tuple(k)

    def check(self, options: Options, split: Split) -> None:
        """Raise UserError where the split lacks what is needed, or is smaller than the clusters."""
        for need in self.needs:
            check_need(need, self.name, options, split)
        most = max(self.sizes(options), default=0)
        if most > len(split):
            fitting = _fitting(getattr(options, str(self.sized_by)), len(split))
            raise UserError(
                f"positives.{self.sized_by}={most} clusters, but there are only {len(split)} "
                "images",
                fix=f"positives.{self.sized_by}={fitting}",
            )

    def assign(self, options: Options, given: Given) -> Assignment:
        """Z, checked to be of use for a contrastive objective.

        All singletons are allowed, and noted. Raises UserError for what ``check`` refuses, for a Z
        of another length, and for a single cluster: all data would be positives of each other and
        there would be no negative. Raises ValueError where the row breaks its contract.
        """
        self.check(options, given.split)
        n = len(given.split)
        if self.refreshed and (given.features is None or len(given.features) != n):
            found = None if given.features is None else len(given.features)
            raise ValueError(f"positives {self.name} need features of {n} images, not {found}")
        made = self.build(options, given)
        _check_form(self, given.kind, made)
        if given.kind == "instance":
            return made
        return _useful(made, n, given.kind)


@runtime_checkable
class KeepsClusters(Protocol):
    """A module that keeps something of Z between steps, and is told when Z is made anew."""

    def renew_clusters(self, z: Tensor, centroids: Sequence[Centroids]) -> None:
        """z int64 (N,) or (N, M), and the centroids of each clustering where it has them."""
        ...


def _check_form(row: Positives, kind: Kind, made: Assignment) -> None:
    """Raise ValueError where the row did not make what it declares."""
    z, tags = made.z, made.tags
    if kind not in row.gives:
        raise ValueError(f"positives {row.name} do not give {kind}, only {', '.join(row.gives)}")
    dims = {"instance": 0, "tags": 0, "clusters": 1, "clusterings": 2}[kind]
    wrong = z is not None if dims == 0 else z is None or z.ndim != dims or z.dtype != np.int64
    if kind == "tags":
        wrong = wrong or tags is None or tags.ndim != 2 or tags.dtype != np.bool_
    if wrong or (made.keep is not None and (row.refreshed or made.keep.dtype != np.bool_)):
        raise ValueError(
            f"positives {row.name} made z {_told(z)}, tags {_told(tags)}, keep {_told(made.keep)} "
            f"for {kind}; see viewfinder.positives.assignment.Assignment"
        )
    for column in [] if z is None else np.atleast_2d(z.T):
        if len(column) and (column.min() < 0 or np.bincount(column).min() == 0):
            raise ValueError(f"positives {row.name} made a z that is not dense: 0..K-1 all occur")


def _useful(made: Assignment, n: int, kind: Kind) -> Assignment:
    lengths = {len(x) for x in (made.z, made.tags, made.keep) if x is not None}
    if lengths != {n}:
        raise UserError(
            f"the assignment of positives has {' and '.join(map(str, sorted(lengths)))} entries "
            f"and there are {n} images",
            fix="make it again from the same source, with the same data.limit and data.split",
        )
    if kind != "clusters":
        return made
    clusters = made.clusters if made.keep is None else made.clusters[made.keep]
    count = len(np.unique(clusters))
    if count <= 1:
        raise UserError(
            f"all {len(clusters)} images are in one cluster: each is a positive of each, no "
            "negatives are left, and the objective would be constant",
            fix="a finer choice: a larger top_k, level or k",
        )
    if count < len(clusters):
        return made
    told = "every image is a cluster of its own: this is the same as positives=instance (SimCLR)"
    return replace(made, notes=(*made.notes, told))


def _told(array: np.ndarray | None) -> str:
    return "None" if array is None else f"{array.dtype} {array.shape}"


def _fitting(k: int | Sequence[int], images: int) -> str:
    """What fits of the numbers of clusters asked for, or a tenth of the images."""
    several = [k] if isinstance(k, int) else list(k)
    fitting = [n for n in several if n <= images // 2] or [max(2, images // 10)]
    return str(fitting[-1]) if isinstance(k, int) else str(fitting).replace(" ", "")
