"""Every way to use a registered objective, read from what it declares.

An objective joins the tests of the hard rules by being registered: its declared positives,
negatives and the choices among its options (booleans and literals, one at a time) make the
situations. Negatives of a table are all its rows ("table"), or some for each query ("rows").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor, nn

from viewfinder.negatives import Contrast
from viewfinder.objectives import NCE, OBJECTIVES, Objective, Options
from viewfinder.objectives.pairs import Pair, combined, pairs_of
from viewfinder.objectives.pcl import Clusterings

DIM = 6
PLACES = 3
"""Of keys that are places of a map."""
CLUSTERINGS = (4, 3)


@dataclass(frozen=True)
class Situation:
    objective: Objective
    positives: str
    negatives: str
    chosen: dict[str, Any] = field(default_factory=dict)
    views: int = 2
    pairing: str = "one-way"

    def __str__(self) -> str:
        chosen = [f"{key}={value}" for key, value in self.chosen.items()]
        parts = [self.objective.name, self.positives, self.negatives, *chosen]
        parts += [] if self.views == 2 else [f"views={self.views}"]
        return "-".join(parts + ([] if self.pairing == "one-way" else [self.pairing]))

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of views that are scored, where pairs are."""
        return pairs_of(self.objective, self.pairing, ["main"] * self.views, self.views)

    def keys(self, key: Tensor) -> Tensor:
        """A target as the objective takes it: (N, D), or where its keys are places the same at
        each of them."""
        if self.objective.keys is None:
            return key
        whole = self.objective.keys(self.options()).whole
        return key[:, None].expand(-1, 1 if whole else PLACES, -1)

    def options(self, **more: Any) -> Options:
        known = {k: v for k, v in more.items() if k in self.objective.options.model_fields}
        return self.objective.options(**self.chosen, **known)

    def clusters(self, samples: int) -> Tensor | None:
        """Clusters 0, 0, 1, 1, ..., and among many samples the last one alone."""
        if self.positives in ("instance", "tags"):
            return None
        if self.positives == "clusterings":
            return torch.stack([torch.arange(samples) % k for k in CLUSTERINGS], dim=1)
        cluster = torch.arange(samples) // 2
        if samples > 4:
            cluster[-1] = 5
        return cluster

    def tags(self, samples: int) -> Tensor | None:
        """Of three tags each image has the first and one of the others, and image 1 has none."""
        if self.positives != "tags":
            return None
        tags = torch.stack([torch.ones(samples), *[torch.arange(samples) % 2 == i for i in (0, 1)]])
        tags[:, 1:2] = 0
        return tags.T.bool()

    def state(self, dtype: torch.dtype, dim: int = DIM) -> nn.Module | None:
        """What the objective keeps, equal at every call; it does not move (evaluation mode)."""
        if self.objective.state is None:
            return None
        with torch.random.fork_rng():
            torch.manual_seed(3)
            state = self.objective.state(self.options(prototypes=dim), dim, CLUSTERINGS)
            if isinstance(state, Clusterings):
                for m, size in enumerate(CLUSTERINGS):
                    state.set(m, torch.randn(size, dim), torch.rand(size) + 0.1)
            if isinstance(state, NCE):
                state.log_mean.fill_(0.3)  # else it would be estimated from each batch anew
        return state.to(dtype).eval().requires_grad_(False)

    def loss(
        self,
        online: list[Tensor],
        target: list[Tensor],
        table: Contrast | None = None,
        *,
        index: Tensor | None = None,
        cluster: Tensor | None = None,
        tags: Tensor | None = None,
        temperature: float | Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        samples = len(online[0])
        if self.positives == "clusterings" and cluster is not None and cluster.ndim == 1:
            several = "clusters" in self.objective.positives  # the same ones several times
            cluster = torch.stack([cluster] * len(CLUSTERINGS), dim=1) if several else cluster
        index = torch.arange(samples) if index is None else index
        learned = temperature if isinstance(temperature, Tensor) else None
        if temperature is not None and learned is None:
            options["temperature"] = temperature
        dtype = torch.float64 if online[0].dtype == torch.float64 else torch.float32
        given: dict[str, Any] = {
            "index": index,
            "cluster": self.clusters(samples) if cluster is None else cluster,
            "tags": self.tags(samples) if tags is None else tags,
            "negatives": None if table is None else self.contrast(table, index),
            "state": self.state(dtype, online[0].shape[1]),
            "options": self.options(**options),
            "temperature": learned if self.has_temperature else None,
        }
        if self.objective.scores == "views":
            return self.objective(online, target, **given)["loss"]
        keys = online if self.objective.target == "unused" else target
        terms = [self.objective([online[i]], [keys[j]], **given) for i, j in self.pairs]
        return combined(terms, summed=self.objective.summed(given["options"]))["loss"]

    @property
    def has_temperature(self) -> bool:
        return self.objective.temperature in self.objective.options.model_fields

    def contrast(self, table: Contrast, index: Tensor) -> Contrast | None:
        """The table, whose rows of a query's own image are known; some of its rows for each."""
        if self.negatives not in ("table", "rows"):
            return None
        if self.positives == "clusterings" and table.cluster is not None:
            columns = [table.cluster] * len(CLUSTERINGS)
            table = replace(table, cluster=torch.stack(columns, dim=1))
        if self.negatives == "table":
            return replace(table, own=index)
        size = len(table.table)
        rows = (2 * index[:, None] + torch.tensor([0, 1, 3, 3])) % size
        rows[:, 3] = torch.where(index % 2 == 0, -1, rows[:, 3])
        return replace(table, own=index, rows=rows)


@dataclass(frozen=True)
class Data:
    """Random inputs of one situation: online ones, and targets where they may, carry gradients."""

    online: list[Tensor]
    target: list[Tensor]
    table: Contrast

    @property
    def leaves(self) -> list[Tensor]:
        return [x for x in (*self.online, *self.target) if x.requires_grad]


def random_data(
    situation: Situation, samples: int, dtype: torch.dtype = torch.float64, seed: int = 0
) -> Data:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    online = [draw(samples, DIM).requires_grad_() for _ in range(situation.views)]
    flows = situation.objective.target == "any"
    shape = situation.keys(torch.empty(samples, DIM)).shape
    target = [draw(*shape).requires_grad_(flows) for _ in range(situation.views)]
    # stale keys of samples 0 and 1, keys of other images, and an empty slot
    index = torch.tensor([0, 100, 1, 101, 102, -1])
    cluster = torch.tensor([0, 1, 1, 0, -1, -1])
    return Data(online, target, Contrast(draw(6, DIM), index=index, cluster=cluster))


def _choices(objective: Objective) -> Iterator[dict[str, Any]]:
    yield {}
    for name, option in objective.options.model_fields.items():
        kind = option.annotation
        values = get_args(kind) if get_origin(kind) is Literal else (True, False)
        if get_origin(kind) is Literal or kind is bool:
            yield from ({name: value} for value in values if value != option.default)


SITUATIONS = [
    *(
        Situation(objective, positives, negatives, chosen)
        for objective in OBJECTIVES.values()
        for positives in objective.positives
        for kind in objective.negatives
        for negatives in (("table", "rows") if kind == "table" else (kind,))
        for chosen in _choices(objective)
    ),
    # both directions of the objectives whose pairs have one
    *(
        Situation(objective, positives, negatives, pairing="symmetric")
        for objective in OBJECTIVES.values()
        if objective.scores == "pairs" and objective.ordered
        for positives in objective.positives
        for kind in objective.negatives
        for negatives in (("table", "rows") if kind == "table" else (kind,))
    ),
    # one view, so that the single member of a cluster has no positive
    *(
        Situation(OBJECTIVES["supcon"], "clusters", "batch", {"missing": missing}, views=1)
        for missing in ("skip", "zero")
    ),
]
