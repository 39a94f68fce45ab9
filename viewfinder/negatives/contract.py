"""What negatives are to a training step: a table, the rows of it that count, and what keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from viewfinder.core.across_ranks import gather, shares, world_size
from viewfinder.core.errors import UserError
from viewfinder.core.expect import check_same_device, check_whole_numbers
from viewfinder.core.table import Row
from viewfinder.data.domain import Spec

EMPTY = -1
"""Index of a slot that holds nothing yet, and a row that is none: never a negative."""
UNKNOWN = -2
"""Index of a vector of which it is not known what image it is of."""

Kind = Literal["none", "batch", "table"]


@dataclass(frozen=True)
class Proposal:
    """How the rows of each query were drawn, by negatives that learn it.

    log_q  float (N, K), log-probability of each draw, with gradients for what drew it
    cost   float (N,), what is added to the loss of each query for the share of rows that would be
           accepted, with gradients
    rate   float (N,), that share, without
    """

    log_q: Tensor
    cost: Tensor
    rate: Tensor


@dataclass(frozen=True)
class Contrast:
    """What the queries of a step are contrasted against: rows of a table, of which none is copied.

    table     float (M, D), any scale
    rows      int64 (N, K), for each query its own rows of the table; (K,), shared by all queries;
              None: all rows of the table. A row of -1 is no row
    positive  float (N, D), where the table also has what each query is to be like
    index     int64 (M,), position in the dataset of each row of the table; -1 an empty slot, never
              a negative; -2 not known
    cluster   int64 (M,), what counts as the same (Z); (M, G) for G clusterings; negative: not known
    own       int64 (N,), position in the dataset of each query: rows of that index are of the
              query's own image. None: not known, or the rows leave them out already
    proposal  how rows (N, K) were drawn, where that is learned

    Raises ValueError for other shapes, for positions that are no whole numbers, and for tensors on
    different devices.
    """

    table: Tensor
    rows: Tensor | None = None
    positive: Tensor | None = None
    index: Tensor | None = None
    cluster: Tensor | None = None
    own: Tensor | None = None
    proposal: Proposal | None = None

    def __post_init__(self) -> None:
        if self.table.ndim != 2:
            raise ValueError(f"a table of negatives is (M, D), not {tuple(self.table.shape)}")
        if self.rows is not None and self.rows.ndim not in (1, 2):
            raise ValueError(f"rows must be (N, K) or (K,), not {tuple(self.rows.shape)}")
        for name in ("rows", "index", "cluster", "own"):
            if (x := getattr(self, name)) is not None:
                check_whole_numbers(name, x)
                check_same_device(name, x, "the table of negatives", self.table)
        for name, dims in (("index", 1), ("cluster", 2)):
            x = getattr(self, name)
            if x is not None and (x.ndim > dims or x.shape[:1] != self.table.shape[:1]):
                raise ValueError(
                    f"{name} must be ({len(self.table)},), one per row of the table, "
                    f"not {tuple(x.shape)}"
                )

    def check_queries(self, query: Tensor) -> None:
        """Raise ValueError where queries (N, D) cannot be contrasted with this."""
        check_same_device("the table of negatives", self.table, "the queries are", query)
        if not len(self.table) or (self.rows is not None and not self.rows.shape[-1]):
            raise ValueError("there are no negatives, 0 rows: at least one is expected")
        if query.ndim != 2 or self.table.shape[1] != query.shape[1]:
            raise ValueError(
                f"negatives must be (K, D) or (N, K, D) for queries (N, D): the table is "
                f"{tuple(self.table.shape)}, the queries are {tuple(query.shape)}"
            )
        if self.rows is not None and self.rows.ndim == 2 and len(self.rows) != len(query):
            raise ValueError(f"{len(query)} queries have {len(self.rows)} sets of negatives")
        if self.own is not None and self.own.shape != query.shape[:1]:
            raise ValueError(f"own must be ({len(query)},), not {tuple(self.own.shape)}")
        if self.positive is not None and self.positive.shape != query.shape:
            raise ValueError(
                f"positives must be {tuple(query.shape)}, as the queries are, not "
                f"{tuple(self.positive.shape)}"
            )

    @classmethod
    def of(
        cls,
        vectors: Tensor,
        index: Tensor | None = None,
        cluster: Tensor | None = None,
        *,
        own: Tensor | None = None,
    ) -> Self:
        """Given vectors, float (K, D) for all queries or (N, K, D) a set for each.

        index and cluster are (K,) or (N, K), as the class says.

        >>> Contrast.of(torch.zeros(2, 5, 3)).rows.shape
        torch.Size([2, 5])
        """
        if vectors.ndim != 3:
            return cls(vectors, index=index, cluster=cluster, own=own)
        rows = torch.arange(len(vectors) * vectors.shape[1], device=vectors.device)
        return cls(
            vectors.flatten(0, 1),
            rows.view(vectors.shape[:2]),
            index=None if index is None else index.flatten(),
            cluster=None if cluster is None else cluster.flatten(),
            own=own,
        )


class Negatives(nn.Module):
    """Where negatives come from. State lives in buffers, is saved, and is equal on every rank.

    This one keeps nothing: the other samples of the batch are the negatives, or there are none.

    options  as it was built with, where it was given them
    said     named scalars () of the last proposal, for the log of a run
    """

    def __init__(self, options: Any = None, spec: Spec | None = None) -> None:
        super().__init__()
        self.options = options
        self.said: dict[str, Tensor] = {}

    def begin(self, epoch: int) -> None:
        """An epoch begins, counted from 0."""

    def propose(self, query: Tensor, index: Tensor, z: Tensor | None = None) -> Contrast | None:
        """What queries (N, D) of the data ``index`` int64 (N,) are contrasted against; None: with
        what the batch holds. ``z`` int64 (N,), or (N, G) of G clusterings: their clusters."""
        return None

    def update(self, keys: Tensor, index: Tensor, z: Tensor | None = None) -> None:
        """Learn of this step's keys (N, D), after the loss. All ranks call it, each with its own
        samples, and all hold the same state afterwards."""

    def relabel(self, z: Tensor) -> None:
        """Z was made anew, int64 (N_data,) or (N_data, G): renew the clusters that are stored."""


@dataclass(frozen=True, kw_only=True)
class NegativesRow(Row):
    """A row of the table of negatives.

    build           (options, spec) -> the module
    kind            "none", "batch": what the batch holds; "table": vectors that were kept
    gives_positive  it also says what each query is to be like
    stable_index    it keeps one entry per datum: indices are below ``spec.n`` and stay
    needs_momentum  it contrasts with keys of past steps as if one network had made them all, which
                    holds where a momentum network makes them
    of_places       its entries are what may stand at a place of a view, not data: the index of a
                    query is what does
    drawn           options -> how many rows of the table are drawn for each query; 0: none is
    learns          it has parameters, which an objective must train
    notes           shares of the queries that it logs (``Negatives.said``) -> what a run says where
                    one is above 0: "for SHARE of the anchors ..."
    """

    build: Callable[[Any, Spec], Negatives]
    kind: Kind
    gives_positive: bool = False
    stable_index: bool = False
    needs_momentum: bool = False
    of_places: bool = False
    drawn: Callable[[Any], int] = lambda options: 0
    learns: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


def check_proposed(negatives: object) -> None:
    """Raise UserError for what is no ``Contrast``, though it may hold one."""
    if isinstance(negatives, Contrast):
        return
    met = type(negatives).__name__
    if isinstance(negatives, Negatives):
        raise UserError(
            f"negatives are a {met}, of which a Contrast is expected: what it proposes",
            fix="negatives.propose(query, index)",
        )
    raise UserError(
        f"negatives are a {met}; a Contrast is expected",
        fix="Contrast.of(vectors), of vectors (K, D) or (N, K, D)",
    )


def check_taught(negatives: Contrast, teaches: bool) -> None:
    """Raise UserError where what proposed the negatives would learn, and the loss does not teach
    it: it would stay as it is without a word."""
    if not teaches and negatives.proposal is not None and negatives.proposal.log_q.requires_grad:
        raise UserError(
            "the negatives come with a proposal that learns, which this loss does not teach",
            fix="vince_plus; or requires_grad_(False) on the acceptance, to draw by it as it is",
        )


def of_all_ranks(
    keys: Tensor,
    index: Tensor,
    z: Tensor | None,
    dim: int,
    further: Callable[[Tensor], None] = lambda index: None,
    clusterings: torch.Size | tuple[int, ...] = (),
) -> tuple[Tensor, Tensor, Tensor]:
    """Keys (N, dim), their index (N,) and clusters, (N,) or (N, G), of all ranks in order; clusters
    are -1 where none are given.

    ``further`` raises where it finds something else wrong with an index; ``clusterings`` is () or
    (G,).

    Raises ValueError on every rank where one has not one index and one cluster per key.
    """

    def check() -> None:
        _check_keys(keys, index, z, dim, clusterings)
        further(index)

    known = {"keys": keys, "index": index, "z": z}
    given = {name: x for name, x in known.items() if x is not None}
    sizes = shares("the memory of negatives", given, check, least=0)
    if z is None:
        z = index.new_full((len(index), *clusterings), -1)
    index, z = index.long(), z.long()
    if world_size() > 1:
        keys = gather(keys, sizes)
        both = gather(torch.cat([index[:, None], z.reshape(len(z), -1)], dim=1), sizes)
        index, z = both[:, 0], both[:, 1:].reshape(-1, *z.shape[1:])
    return keys, index, z


def _check_keys(
    keys: Tensor, index: Tensor, z: Tensor | None, dim: int, clusterings: Sequence[int]
) -> None:
    known = {name: x for name, x in (("index", index), ("z", z)) if x is not None}
    for name, x in known.items():
        check_whole_numbers(name, x)
        check_same_device(name, x, "the keys are", keys)
    shapes = {tuple(x.shape) for x in known.values()}
    wanted = {"index": (len(keys),), "z": (len(keys), *clusterings)}
    right = all(tuple(x.shape) == wanted[name] for name, x in known.items())
    if keys.ndim != 2 or keys.shape[1] != dim or not right:
        told = ", ".join(str(shape) for shape in sorted(shapes))
        raise ValueError(
            f"keys must be (N, {dim}) with one index each, and one cluster where there are any, "
            f"not {tuple(keys.shape)} and {told}"
        )


def finite_rows(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Keys (N, D) with zeros in place of rows that are not finite, and which rows are, bool (N,).

    An overflow in one step, which its loss shows, must not stay in a memory for good.
    """
    whole = keys.isfinite().all(dim=1)
    return torch.where(whole[:, None], keys, 0), whole


def clusters_of(index: Tensor, z: Tensor) -> Tensor:
    """The clusters in z (N_data,) or (N_data, G) of each index (M,), (M,) or (M, G); -1 where the
    index names no datum.

    Raises ValueError where z is not as long as the data are many.
    """
    check_whole_numbers("z", z)
    if index.is_meta:  # only the shapes of a run are asked for
        return index.new_empty((*index.shape, *z.shape[1:]))
    if z.ndim not in (1, 2) or int(index.max()) >= len(z):
        raise ValueError(
            f"z must be (N,) or (N, G), clusters of each of the data, not {tuple(z.shape)} for "
            f"positions up to {int(index.max())}"
        )
    found = z.to(index.device)[index.clamp(min=0)]
    return found.masked_fill((index < 0).view(-1, *[1] * (z.ndim - 1)), -1)


def no_clusters(rows: int, clusterings: int | None) -> Tensor:
    """Where the clusters of so many rows are kept, none of them known yet: int64 (rows,), or for
    so many clusterings (rows, clusterings)."""
    return torch.full((rows,) if clusterings is None else (rows, clusterings), -1)
