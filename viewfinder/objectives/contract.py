"""What an objective is to a training step: one uniform call and declared facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from viewfinder.core.across_ranks import gather, own_rows, shares
from viewfinder.core.errors import UserError
from viewfinder.core.expect import (
    check_classes,
    check_same_device,
    check_several,
    check_tensor,
    check_whole_numbers,
    check_zeros_and_ones,
)
from viewfinder.core.facts import check_count
from viewfinder.core.table import Options, Row
from viewfinder.negatives.contract import Contrast, check_proposed, check_taught
from viewfinder.negatives.contract import Kind as NegativesKind
from viewfinder.networks.places import Read
from viewfinder.objectives.contrast import check_temperature
from viewfinder.positives.contract import Kind

__all__ = ["Inputs", "Objective", "Options", "Progress"]


@dataclass(frozen=True)
class Progress:
    """Where the training stands: the epoch, from 0, of so many."""

    epoch: int = 0
    epochs: int = 1


@dataclass(frozen=True)
class Inputs:
    """What an objective computes on.

    online    of an objective that scores pairs one (N, D), the queries: projections, or predictions
              where there is a predictor, or what the objective's assigner made of them. Of one that
              scores all views together one (N, D) per view, the large views first
    target    what they are compared with: the keys, (N, D), or (N, L, D) where they are of places;
              or one (N, D) per large view. The same tensors, or detached, or a momentum encoder's
    index     int64 (N,), position in the dataset
    cluster   int64 (N,), what counts as the same; (N, M) for M clusterings; None: every image is
              its own
    tags      bool (N, T), which tags each image has
    negatives what to contrast with, where it is not the batch; of this rank's samples
    state     what the objective keeps between steps; see ``Objective.state``
    progress  where the training stands
    rows      the samples that are this rank's anchors; None: all
    """

    online: Sequence[Tensor]
    target: Sequence[Tensor]
    index: Tensor | None = None
    cluster: Tensor | None = None
    tags: Tensor | None = None
    negatives: Contrast | None = None
    state: Any = None
    progress: Progress = Progress()
    rows: slice | None = None

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        """Queries and keys, float (N, D) each, keys of places (N, L, D); row i of both is sample
        i."""
        return self.online[0], self.target[0]


@dataclass(frozen=True, kw_only=True)
class Objective(Row):
    """A row of the table of objectives.

    formula       as a line of text
    compute       (inputs, options) -> named scalars, "loss" among them; and where it has
                  prototypes "usage" (K,), the share of the samples that each wins, and "assigned"
                  (K,), their mean assignment
    scores        "pairs": queries and keys, (N, D) each. The training step forms the pairs of views
                  and their directions, see ``viewfinder.objectives.pairs``. "views": all views of
                  the batch together
    pairing       the pairs that are formed where a recipe names none
    ordered       False: a pair has no direction, query and key are alike
    summed        (options) -> True where the losses of several pairs are added, not averaged
    across_ranks  what the loss of one rank's samples needs of the others: "nothing"; "keys", then
                  ``inputs`` holds the samples of all ranks and ``rows`` says which are this rank's
                  anchors; "batch", then ``inputs`` holds all samples and every rank computes the
                  loss of them all
    target        "unused"; "any"; "constant": the target must carry no gradient, and a predictor or
                  a momentum encoder must set it apart from the online side, or all collapses
    negatives     the kinds of negatives it works with, see ``NegativesRow``
    positives     what may count as the same: "instance", views of one image; "clusters", a label
                  or any other Z; "clusterings", several Z with their centroids; "tags", as far as
                  images have tags in common
    views         least and greatest number of views of an objective that scores them together;
                  None: no limit
    outputs       what its online side is: an "embedding", or logits, one of each of the "classes"
    keys          (options) -> the inner stage that its keys are made of, vectors (N, L, D) of L
                  places; None: they are projections, as the queries are
    assigner      (options, dim) -> the last layer, from projections to what the objective compares;
                  a momentum network has a copy of it. None: projections are compared
    state         (options, dim, sizes) -> module with the objective's own parameters and buffers,
                  given to every call as ``inputs.state``; sizes are those of the clusterings, where
                  there are any. None: it keeps nothing
    pieces        (options) -> how many pieces it scores of a view, each by its own features:
                  queries and keys have those of all pieces side by side. None: views are whole
    predictor     (options, dim) -> what makes queries of projections, in place of the head's
                  predictor. None: that of the head, where it has one
    partners      the second view of a pair is of another image of the cluster, not of the same one
    refuses_alone (options) -> whether an anchor without any positive is an error: with one view, an
                  image alone in its cluster is one. None: a view is never without
    teaches       it trains negatives that learn what to propose, and is for them
    temperature   the option that a temperature given to the call stands for
    minimum       (options, samples, views, classes) -> the least loss there is when the batch has
                  ``samples`` images in ``classes`` equal clusters and enough dimensions; None
                  where that depends on what it has learned, or on the number of places
    chance        (options, samples, views, classes, dim) -> the loss where the online side and
                  its target, each of width dim, are zero everywhere and tell nothing. None where
                  it depends on what was learned, and where how far a loss went from there says
                  nothing, as an encoder that maps all images to one point has the least
    """

    formula: str
    compute: Callable[[Inputs, Any], dict[str, Tensor]]
    minimum: Callable[[Any, int, int, Any], float | None] | None
    chance: Callable[[Any, int, int, int, int], float | None] | None = None
    scores: Literal["pairs", "views"]
    across_ranks: Literal["nothing", "keys", "batch"]
    target: Literal["unused", "any", "constant"]
    negatives: tuple[NegativesKind, ...]
    positives: tuple[Kind, ...]
    pairing: str = "one-way"
    ordered: bool = True
    summed: Callable[[Any], bool] = lambda options: False
    views: tuple[int, int | None] = (1, None)
    outputs: Literal["embedding", "classes"] = "embedding"
    keys: Callable[[Any], Read] | None = None
    assigner: Callable[[Any, int], nn.Module] | None = None
    state: Callable[[Any, int, Sequence[int]], nn.Module] | None = None
    pieces: Callable[[Any], int] | None = None
    predictor: Callable[[Any, int], nn.Module] | None = None
    partners: bool = False
    refuses_alone: Callable[[Any], bool] | None = None
    teaches: bool = False
    temperature: str = "temperature"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self, *self.views)

    def __call__(
        self,
        online: Sequence[Tensor],
        target: Sequence[Tensor] | None = None,
        *,
        index: Tensor | None = None,
        cluster: Tensor | None = None,
        tags: Tensor | None = None,
        negatives: Contrast | None = None,
        state: nn.Module | None = None,
        progress: Progress | None = None,
        options: Options | None = None,
        temperature: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss and its named terms, as scalars; see Inputs for the arguments.

        ``target`` defaults to ``online``. ``temperature`` is a tensor () that is learned, in place
        of the option's number. Where there are several processes each of them must call
        this, and the mean over the ranks is the loss of one process on the joined batch, in value
        and in gradients; each needs one sample at least.

        Raises ValueError for what cannot be right. What one process refuses all of them refuse, so
        that none waits for the others.
        """
        options = self.options() if options is None else options
        inputs = Inputs(
            online,
            online if target is None else target,
            index,
            cluster,
            tags,
            negatives,
            state,
            progress or Progress(),
        )
        sizes = shares(
            self.name, _given(inputs), partial(self._check, inputs, options, temperature)
        )
        if temperature is not None:
            options = options.model_copy(update={self.temperature: temperature})
        if len(sizes) == 1:
            return self._terms(inputs, options)
        if self.across_ranks == "batch":
            return self._terms(joined(inputs, sizes), options)
        if self.across_ranks == "keys":
            inputs = replace(joined(inputs, sizes), rows=own_rows(sizes))
        share = len(online[0]) * len(sizes) / sum(sizes)
        return {name: term * share for name, term in self._terms(inputs, options).items()}

    def _terms(self, inputs: Inputs, options: Any) -> dict[str, Tensor]:
        """What ``compute`` gives, once it is known to be what it must give."""
        terms = self.compute(inputs, options)
        given = terms.get("loss") if isinstance(terms, Mapping) else None
        if not isinstance(given, Tensor) or given.ndim or not given.is_floating_point():
            found: object = terms if given is None else given
            if isinstance(found, Tensor):
                found = f"a tensor {tuple(found.shape)} of {found.dtype}"
            elif isinstance(found, Mapping):
                found = f"{list(found)} without a loss"
            raise UserError(
                f"objective={self.name} gives {found}; named terms with a scalar loss are expected",
                fix='return {"loss": losses.mean()}',
            )
        return {name: torch.as_tensor(term) for name, term in terms.items()}

    def _check(self, inputs: Inputs, options: Any, temperature: Tensor | None) -> None:
        """Raise ValueError for what cannot be right, before anything of it leaves this process."""
        if temperature is not None:
            if self.temperature not in self.options.model_fields:
                raise ValueError(f"{self.name} has no temperature")
            check_temperature(temperature)
        if type(options) is not self.options:
            raise UserError(
                f"{self.name} is given {type(options).__name__}; options of {self.name} are "
                "expected",
                fix=f'OBJECTIVES["{self.name}"].options(...)',
            )
        check_several(f"the views of {self.name}", inputs.online)
        check_several(f"the targets of {self.name}", inputs.target)
        least, greatest = (1, 1) if self.scores == "pairs" else self.views
        count = len(inputs.online)
        if count < least or (greatest is not None and count > greatest):
            if self.scores == "pairs":
                raise ValueError(
                    f"{self.name} scores the pairs of one view with another: give it one tensor of "
                    f"queries and one of keys, not {count} views; of several call it for "
                    "each pair, and take the mean"
                )
            bound = f"at least {least}" if greatest is None else f"{least} to {greatest}"
            raise ValueError(f"{self.name} takes {bound} views, not {count}")
        if inputs.negatives is not None and "table" not in self.negatives:
            raise ValueError(f"{self.name} has no place for given negatives")
        if inputs.negatives is not None:
            check_proposed(inputs.negatives)
            check_taught(inputs.negatives, self.teaches)
        if inputs.negatives is None and "table" in self.negatives and len(self.negatives) == 1:
            raise ValueError(f"{self.name} contrasts with given negatives: give it some")
        if inputs.tags is not None and "tags" not in self.positives:
            raise ValueError(f"{self.name} knows no positives by tags; supcon does")
        for name, x in (("index", inputs.index), ("labels", inputs.cluster), ("tags", inputs.tags)):
            if x is not None:
                check_tensor(name, x)
        if inputs.cluster is not None:
            kind = "clusters" if inputs.cluster.ndim == 1 else "clusterings"
            if kind not in self.positives:
                raise ValueError(
                    f"{self.name} knows no positives by {kind[:-1]} of shape "
                    f"{tuple(inputs.cluster.shape)}; supcon and info_nce take (N,), pcl (N, M)"
                )
        if inputs.cluster is None and inputs.tags is None and "instance" not in self.positives:
            raise ValueError(f"{self.name} needs labels or clusters")
        if self.state is not None and inputs.state is None:
            raise ValueError(f"{self.name} keeps something between steps: give it its state")
        if self.target == "constant" and any(t.requires_grad for t in inputs.target):
            raise ValueError(
                f"{self.name} collapses when gradients flow into its target: give it detached, or "
                "from a momentum encoder"
            )
        self._check_samples(inputs)

    def _check_samples(self, inputs: Inputs) -> None:
        """Raise ValueError unless all is of the same samples, on one device."""
        first = inputs.online[0]
        keys = inputs.target
        if self.keys is not None:
            self._check_places(first, keys)
            keys = [key[:, 0] for key in keys]
        for view in (*inputs.online, *keys):
            if view.ndim != 2 or len(view) != len(first) or not view.shape[1]:
                raise ValueError(
                    f"{self.name} takes views (N, D) of the same samples, D at least 1, not "
                    f"{tuple(first.shape)} and {tuple(view.shape)}"
                )
            check_same_device("a view", view, "the first view", first)
        for name in ("index", "cluster", "tags"):
            if (x := getattr(inputs, name)) is None:
                continue
            said = "labels" if name == "cluster" else name
            if len(x) != len(first):
                raise ValueError(f"{said} of {len(x)} samples are given for {len(first)} samples")
            check_same_device(said, x, "the views are", first)
            (check_zeros_and_ones if name == "tags" else check_whole_numbers)(said, x)
        if inputs.negatives is not None:
            inputs.negatives.check_queries(first)
        if self.outputs == "classes" and inputs.cluster is not None:
            check_classes(inputs.cluster, first.shape[1])

    def _check_places(self, query: Tensor, keys: Sequence[Tensor]) -> None:
        for key in keys:
            if key.ndim != 3 or not key.shape[1] or key.shape[2] != query.shape[-1]:
                raise ValueError(
                    f"{self.name} compares vectors (N, D) with those of places (N, L, D), not "
                    f"{tuple(query.shape)} with {tuple(key.shape)}; of maps (N, D, H, W) give "
                    "x.flatten(2).mT"
                )


def _given(inputs: Inputs) -> dict[str, Tensor]:
    """What all ranks must be given alike, by name; first what says how many samples there are."""
    several = {"view": inputs.online, "target": inputs.target}
    named = {f"{name} {i}": x for name, views in several.items() for i, x in enumerate(views)}
    known = {n: getattr(inputs, n) for n in ("index", "cluster", "tags")}
    if isinstance(inputs.negatives, Contrast):
        known["negatives"] = inputs.negatives.table
    return {n: x for n, x in {**named, **known}.items() if isinstance(x, Tensor)}


def joined(inputs: Inputs, sizes: Sequence[int]) -> Inputs:
    """The inputs with the samples of all ranks; negatives stay, they are equal on every rank."""
    views = [*inputs.online, *inputs.target]
    flat = [v.flatten(1) for v in views]
    parts = gather(torch.cat(flat, dim=1), sizes).split([v.shape[1] for v in flat], dim=1)
    floats = [part.reshape(-1, *v.shape[1:]) for part, v in zip(parts, views, strict=True)]
    known = {n: x for n in ("index", "cluster", "tags") if (x := getattr(inputs, n)) is not None}
    columns = [x.reshape(len(x), -1) for x in known.values()]
    width = [x.shape[1] for x in columns]
    integers = gather(torch.cat(columns, dim=1).long(), sizes).split(width, dim=1) if known else ()
    return replace(
        inputs,
        online=floats[: len(inputs.online)],
        target=floats[len(inputs.online) :],
        **{
            name: part.reshape(-1, *own.shape[1:]).to(own.dtype)
            for (name, own), part in zip(known.items(), integers, strict=True)
        },
    )
