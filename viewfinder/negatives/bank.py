"""A memory bank: one vector per datum (instance discrimination, CMC, BALL)."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from viewfinder.core.across_ranks import shares
from viewfinder.core.errors import OptionError, UserError
from viewfinder.core.expect import (
    check_same_device,
    check_whole,
    check_whole_numbers,
    check_word,
)
from viewfinder.core.randomness import derive, drawn_for, torch_generator
from viewfinder.core.ranges import CountOrNone, Fraction, Rows
from viewfinder.core.table import Options
from viewfinder.core.vectors import unit
from viewfinder.data.domain import Spec
from viewfinder.negatives.contract import (
    Contrast,
    Negatives,
    NegativesRow,
    clusters_of,
    finite_rows,
    no_clusters,
    of_all_ranks,
)
from viewfinder.negatives.pool import Choice, Chosen, Pool, after

Draws = Literal["each", "shared"]
By = Literal["current", "memory"]
Own = Literal["excluded", "kept"]


class Bank(Negatives):
    """A row for every datum, renewed each time the datum is seen (Wu et al. 2018).

        M[i] = alpha * M[i] + (1 - alpha) * key_i / |key_i|,  then divided by its length

    (VINCE, Wu et al. 2020, equation 7, which does not divide; the released code does.) The positive
    of a query is its own row; its negatives are other rows, drawn uniformly or the nearest.

    n, dim       data, and size of a vector
    size         so many uniform draws, with replacement; None: all
    alpha        share of the old row, in [0, 1]; 0 keeps the last view alone
    renormalise  divide a row by its length after the update, as all released code does
    unit_keys    divide keys by their length before they enter; not where lengths count, as in dot
                 products
    draws        "each" query has draws of its own, or they are "shared" by the batch
    nearest      k: the negatives, or the rows they are drawn from, at least ``size`` of them, are
                 the k of greatest cosine
    by           neighbours of the "current" query, as the code has it, or of its row in the
                 "memory", as the paper writes
    choose       what chooses the rows of each query, in the place of ``size``, ``draws`` and
                 ``nearest``: the proposal, see ``viewfinder.negatives.pool``
    labelled     whether a proposal says the clusters of its rows; without, none is a positive
    clusterings  so many clusterings are kept; None: Z is one
    own          "excluded": the query's own row is none of its negatives; "kept", as in released
                 code, whose draws and neighbours do not leave it out
    seed         of the first rows and the draws

    At the start a row is drawn uniformly from [-sqrt(3/dim), sqrt(3/dim)], of length about 1, as in
    CMC's code; ``fill`` puts something better there. The draws depend on (seed, step, index) alone:
    a resumed run repeats them, and so do several ranks those of one process. State is in buffers:
    table float (n, dim), cluster int64 (n,) or (n, clusterings), step.
    Where the choice left nothing of a query's rows and took others, ``said`` has the share of such
    queries as ``empty_sets``. A choice that is a module is part of this one, with all its state.

    >>> bank = Bank(n=100, dim=8, size=16)
    >>> contrast = bank.propose(torch.randn(4, 8), torch.tensor([3, 1, 4, 59]))
    >>> contrast.rows.shape, contrast.positive.shape
    (torch.Size([4, 16]), torch.Size([4, 8]))
    """

    table: Tensor
    index: Tensor
    cluster: Tensor
    step: Tensor

    def __init__(
        self,
        n: int,
        dim: int,
        *,
        size: int | None = None,
        alpha: float = 0.5,
        renormalise: bool = True,
        unit_keys: bool = True,
        draws: Draws = "each",
        nearest: int | None = None,
        by: By = "current",
        own: Own = "excluded",
        choose: Choice | None = None,
        labelled: bool = True,
        clusterings: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_whole("n", n, 2)
        check_whole("dim", dim)
        if size is not None:
            check_whole("size", size)
        if nearest is not None:
            check_whole("nearest", nearest, 1, n - 1)
        if clusterings is not None:
            check_whole("clusterings", clusterings)
        check_word("draws", draws, Draws)
        check_word("by", by, By)
        check_word("own", own, Own)
        if not isinstance(alpha, int | float) or not 0 <= alpha <= 1:
            raise UserError(f"alpha is {alpha!r}; a share, between 0 and 1, is expected")
        if nearest is not None and draws == "shared":
            raise ValueError("neighbours are each query's own: draws cannot be shared")
        _check_pool(size, nearest)
        self.choose, self.labelled, self.epoch = choose, labelled, 0
        self.size, self.alpha = size, alpha
        self.renormalise, self.unit_keys = renormalise, unit_keys
        self.draws, self.nearest, self.by, self.own, self.seed = draws, nearest, by, own, seed
        generator = torch_generator(seed, "bank")
        first = torch.rand(n, dim, generator=generator).mul_(2).sub_(1).mul_(math.sqrt(3 / dim))
        self.register_buffer("table", first)
        self.register_buffer("index", torch.arange(n), persistent=False)
        self.register_buffer("cluster", no_clusters(n, clusterings))
        self.register_buffer("step", torch.tensor(0))

    def begin(self, epoch: int) -> None:
        self.epoch = epoch

    def propose(self, query: Tensor, index: Tensor, z: Tensor | None = None) -> Contrast:
        """Rows for queries (N, dim) of the data ``index`` (N,). The table is the bank itself, not a
        copy: use it before the next update. With several processes every one must call this, and
        an index that one refuses all of them refuse."""
        known = {} if index is None else {"index": index}
        shares("the bank", known, partial(self._check_queries, query, index), least=0)
        index = index.long()
        rows, _, proposal = self._chosen(query.detach(), index)
        # rows that are each query's own leave its datum out already
        told = self.own == "excluded" and (rows is None or rows.ndim == 1)
        return Contrast(
            self.table,
            rows,
            positive=self.table[index],
            index=self.index,
            cluster=self.cluster if self.labelled else torch.full_like(self.cluster, -1),
            own=index if told else None,
            proposal=proposal,
        )

    def _chosen(self, query: Tensor, index: Tensor) -> Chosen:
        if self.choose is None and self.nearest is None and self.size is None:
            return Chosen(None)
        at = self.table[index] if self.by == "memory" else query
        excluded = self.own == "excluded"
        pool = Pool(self.table, at, index, self.cluster, self._seed(), self.epoch, excluded)
        if self.choose is not None:
            chosen = self.choose(pool)
            self.said = {}
            if chosen.empty is not None:
                self.said["empty_sets"] = chosen.empty.to(self.table.dtype).mean()
            if chosen.proposal is not None:
                self.said["acceptance"] = chosen.proposal.rate.mean()
            return chosen
        if self.nearest is not None:
            near, _ = pool.nearest(self.nearest)
            if self.size is None:
                return Chosen(near)
            return Chosen(near.gather(1, pool.draws(self.size, self.nearest)))
        assert self.size is not None
        if self.draws == "shared":
            seed = self._seed()
            return Chosen(drawn_for(index.new_zeros(1), self.size, len(self.table), seed)[0])
        return Chosen(pool.uniform(self.size))

    def _seed(self) -> int:
        return derive(self.seed, "negatives", step=int(self.step))

    @torch.no_grad()
    def update(self, keys: Tensor, index: Tensor, z: Tensor | None = None) -> None:
        """Renew the rows of keys (N, dim), any scale, but not by a key that is not finite. Of a
        datum that is there twice, on whichever ranks, the last counts."""
        dim, clusterings = self.table.shape[1], self.cluster.shape[1:]
        keys, index, z = of_all_ranks(keys, index, z, dim, self._check, clusterings)
        ordered, order = index.sort(stable=True)
        last = order[torch.searchsorted(ordered, index.contiguous(), right=True) - 1]
        keys, whole = finite_rows(keys[last].to(self.table))
        before = self.table[index]
        rows = before.lerp(self._entered(keys), 1 - self.alpha)
        rows = unit(rows).to(rows.dtype) if self.renormalise else rows
        self.table[index] = torch.where(whole[:, None], rows, before)
        self.cluster[index] = torch.where(z[last] >= 0, z[last], self.cluster[index])
        self.step += 1

    @torch.no_grad()
    def relabel(self, z: Tensor) -> None:
        """Take the clusters of all data, z int64 (n,) or (n, clusterings)."""
        self.cluster.copy_(clusters_of(self.index, z))

    @torch.no_grad()
    def fill(self, table: Tensor) -> None:
        """Put a vector for every datum into the bank, (n, dim): of all data encoded once, say."""
        if table.shape != self.table.shape:
            raise ValueError(
                f"the bank is {tuple(self.table.shape)} and cannot hold {tuple(table.shape)}"
            )
        self.table.copy_(self._entered(table))

    def _entered(self, keys: Tensor) -> Tensor:
        keys = keys.to(self.table)
        return unit(keys).to(keys.dtype) if self.unit_keys else keys

    def _check_queries(self, query: Tensor, index: Tensor) -> None:
        self._check(index)
        if query.ndim != 2 or query.shape != (len(index), self.table.shape[1]):
            raise ValueError(
                f"queries must be ({len(index)}, {self.table.shape[1]}), one for each index and as "
                f"wide as the bank, not {tuple(query.shape)}"
            )

    def _check(self, index: Tensor) -> None:
        _check_known(index)
        check_whole_numbers("index", index)
        check_same_device("index", index, "the bank", self.table)
        below = (index >= 0) & (index < len(self.table))
        if index.ndim != 1 or not bool(below.all()):
            raise ValueError(
                f"index must be (N,), positions from 0 to {len(self.table) - 1}: the bank keeps "
                "one row per datum"
            )


def _check_known(index: Tensor | None) -> None:
    """Raise UserError for data of which nobody knows which they are."""
    if index is None:
        raise UserError(
            "a bank keeps one row for each datum, and needs the position of each in the dataset, "
            "the same in every epoch; these data come without",
            fix="index, or negatives=queue, which needs none",
        )


def _check_pool(size: int | None, nearest: int | None) -> None:
    """Raise OptionError where more rows are drawn than there are to draw from."""
    if size is not None and nearest is not None and size > nearest:
        raise OptionError(
            f"@size={size} draws from the @nearest={nearest} rows would weigh each of them "
            f"{size / nearest:.3g} times",
            fix="@size=null, which takes each once",
            own="size=None, which takes each once",
        )


class MemoryOptions(Options):
    """What a memory of one vector per datum holds, whichever of its rows are chosen."""

    alpha: Fraction = Field(0.5, description="share of the old row in its renewal")
    renormalise: bool = Field(True, description="rows are divided by their length when renewed")
    unit_keys: bool = Field(True, description="keys are divided by their length when they enter")
    by: By = Field(
        "memory",
        description="neighbours of the datum's row in the memory, or of the current output",
    )
    own: Own = Field("excluded", description="the query's own row: excluded, or kept as any other")

    start: CountOrNone = Field(
        0, description="epochs before, in which as many rows are drawn uniformly"
    )

    def memory(
        self,
        spec: Spec,
        draws: int,
        choose: Choice,
        *,
        labelled: bool = True,
        tells: bool = False,
    ) -> Bank:
        """The bank with a proposal of its own, of ``draws`` rows for each query; ``tells``: it says
        where it found none."""
        _check_data(spec)
        kept = {n: getattr(self, n) for n in MemoryOptions.model_fields if n != "start"}
        choose = partial(after, self.start, draws, choose, tells) if self.start else choose
        clusterings = len(spec.sizes) or None
        return Bank(
            spec.n,
            spec.dim,
            choose=choose,
            labelled=labelled,
            clusterings=clusterings,
            seed=spec.seed,
            **kept,
        )


class BankOptions(Options):
    size: Rows | None = Field(
        None, description="uniform draws, with replacement; null: all rows, or all nearest ones"
    )
    alpha: Fraction = Field(0.5, description="share of the old row in its renewal")
    renormalise: bool = Field(True, description="rows are divided by their length when renewed")
    unit_keys: bool = Field(True, description="keys are divided by their length when they enter")
    draws: Draws = Field("each", description="each query has its own draws; or shared by the batch")
    nearest: Rows | None = Field(
        None, description="negatives are of the so many nearest rows; null: of all"
    )
    by: By = Field("current", description="neighbours of the current output, or of the memory")
    own: Own = Field("excluded", description="the query's own row: excluded, or kept as any other")

    @model_validator(mode="after")
    def _enough_to_draw_from(self) -> Self:
        _check_pool(self.size, self.nearest)
        return self


def _check_data(spec: Spec) -> None:
    if spec.n < 2:
        raise UserError(f"a memory bank keeps a row per datum; there are {spec.n}")


def _build(o: BankOptions, spec: Spec) -> Bank:
    _check_data(spec)
    if o.nearest is not None and o.nearest >= spec.n:
        raise UserError(
            f"negatives.nearest={o.nearest}, but a datum has only {spec.n - 1} others",
            fix=f"negatives.nearest={max(1, spec.n // 10)}",
        )
    if o.nearest is not None and o.draws == "shared":
        raise UserError(
            "negatives.draws=shared: neighbours are each query's own", fix="negatives.draws=each"
        )
    clusterings = len(spec.sizes) or None
    return Bank(spec.n, spec.dim, clusterings=clusterings, seed=spec.seed, **o.model_dump())


memory_row = partial(NegativesRow, kind="table", gives_positive=True, stable_index=True)
"""A row whose memory is a bank."""


BANK = memory_row(
    name="bank",
    summary="a memory of one vector per datum, of which rows are drawn, or the nearest taken",
    paper="Wu et al. 2018; VINCE, Wu et al. 2020, equation 7",
    options=BankOptions,
    bare="size",
    build=_build,
    drawn=lambda o: (o.size or 0) if o.draws == "each" else 0,
)
