"""SwAV: each view predicts the prototypes that another view was assigned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from viewfinder.core.across_ranks import gather, shares, world_size
from viewfinder.core.expect import check_several, check_whole
from viewfinder.core.ranges import Count, Divisor
from viewfinder.core.validation import given
from viewfinder.negatives.queue import Queue
from viewfinder.objectives.assigner import CosineAssigner, assignments
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.contrast import check_temperature
from viewfinder.objectives.correlation import check_statistics
from viewfinder.objectives.log_partition import Temperature
from viewfinder.objectives.similarity import check_pair, float32_or_better, unit
from viewfinder.objectives.sinkhorn import sinkhorn


def swav(
    scores: Sequence[Tensor],
    temperature: Temperature = 0.1,
    *,
    assigned: int = 2,
    epsilon: float = 0.05,
    iterations: int = 3,
    queue: Sequence[Tensor] | None = None,
) -> Tensor:
    """Swapped prediction (Caron et al. 2020, equations 1 and 2, with several crops equation 6).

        q_i  = sinkhorn(scores_i), a constant, for each of the first ``assigned`` views i
        loss = mean_i mean_{v != i} mean_n -sum_k q_i[n, k] log softmax(scores_v[n] / temperature)_k

    scores    one float (N, K) a view: cosines of the projections with the prototypes. The
              ``assigned`` large crops first, then the small ones
    queue     one (Q, K) for each assigned view: scores of earlier samples, which Sinkhorn sees too
    Returns a scalar >= 0. Where there are several ranks give the scores of all, as ``SwAV`` does.
    Raises ValueError for other shapes or options, and for a single sample without a queue.

    >>> sure = 100 * torch.eye(3)
    >>> swav([sure, sure]).item()
    0.0
    """
    _check_views(scores)
    if len(scores) < 2 or not 1 <= assigned <= len(scores):
        raise ValueError(f"{len(scores)} views cannot have {assigned} assigned ones")
    if queue is not None and len(queue) != assigned:
        raise ValueError(f"{assigned} assigned views need as many queues, not {len(queue)}")
    check_temperature(temperature)
    samples = len(scores[0])
    codes = []
    for i in range(assigned):
        seen = scores[i].detach() if queue is None else torch.cat([scores[i].detach(), queue[i]])
        check_statistics(len(seen))
        codes.append(sinkhorn(seen, epsilon, iterations)[:samples])
    return swapped_prediction(scores, codes, temperature)


def _check_views(views: Sequence[Tensor]) -> None:
    check_several("views", views)
    for view in views:
        check_pair(views[0], view, ("the first view", "another view"))


def swapped_prediction(
    predictions: Sequence[Tensor], targets: Sequence[Tensor], temperature: Temperature
) -> Tensor:
    """mean_i mean_{v != i} mean_n -sum_k targets_i log softmax(predictions_v / temperature).

    predictions  one float (N, K) a view; targets one (N, K) for each of the first views, rows that
    sum to 1. A view does not predict its own target. Returns a scalar.
    """
    log_p = [F.log_softmax(float32_or_better(x) / temperature, dim=1) for x in predictions]
    total = sum(log_p[1:], log_p[0])
    losses = [
        -(target * (total - own)).sum(dim=1).mean() / (len(log_p) - 1)
        for target, own in zip(targets, log_p, strict=False)
    ]
    return torch.stack(losses).mean()


class SwAV(nn.Module):
    """Prototypes and the swapped prediction of projections, for a training loop of one's own.

        loss = swav_loss([z0, z1, small0, small1])       # each (N, dim)

    dim, prototypes  size and number K of the unit vectors that are learned. They are normalised
                     when they are used: nothing need be done to them between steps
    queue            how many earlier projections of each assigned view Sinkhorn sees beside the
                     batch, from when so many have been seen; 0: none. It is part of the state
    options          temperature, assigned, epsilon, iterations of ``swav``; a temperature that is
                     an nn.Parameter is learned
    Across ranks the assignments are those of the joined batch: every rank calls it and has the loss
    of one process on all samples.
    """

    def __init__(
        self,
        dim: int,
        prototypes: int,
        temperature: Temperature = 0.1,
        *,
        assigned: int = 2,
        epsilon: float = 0.05,
        iterations: int = 3,
        queue: int = 0,
    ) -> None:
        super().__init__()
        # refuses what no recipe may have either
        known = {} if isinstance(temperature, Tensor) else {"temperature": temperature}
        known |= {"prototypes": prototypes, "epsilon": epsilon}
        given(SwAVOptions, iterations=iterations, queue=queue, **known)
        check_whole("dim", dim)
        check_whole("assigned", assigned)
        self.scores = CosineAssigner(dim, prototypes)
        self.queues = nn.ModuleList(Queue(queue, dim) for _ in range(assigned if queue else 0))
        self.temperature, self.assigned = temperature, assigned
        self.epsilon, self.iterations = epsilon, iterations

    def forward(self, views: Sequence[Tensor]) -> Tensor:
        if world_size() == 1:
            _check_views(views)
            return self.joined(views)

        def check() -> None:
            _check_views(views)
            check_temperature(self.temperature)

        sizes = shares("swav", {f"view {i}": z for i, z in enumerate(views)}, check)
        everyone = gather(torch.cat(list(views), dim=1), sizes)
        return self.joined(everyone.split([z.shape[1] for z in views], dim=1))

    def joined(self, views: Sequence[Tensor], temperature: Temperature | None = None) -> Tensor:
        """The loss of the views of all ranks, equal on every rank."""
        queues = [q for q in self.queues if isinstance(q, Queue)]
        full = bool(queues) and all(q.filled == len(q.table) for q in queues)
        loss = swav(
            [self.scores(z) for z in views],
            self.temperature if temperature is None else temperature,
            assigned=self.assigned,
            epsilon=self.epsilon,
            iterations=self.iterations,
            queue=[self.scores(q.table).detach() for q in queues] if full else None,
        )
        if self.training:
            for held, z in zip(queues, views, strict=False):
                held.write(unit(z.detach()))
        return loss


class SwAVOptions(Options):
    prototypes: int = Field(
        100, ge=2, le=1_000_000, description="prototypes; some ten times the classes"
    )
    temperature: Divisor = Field(0.1, description="divides the scores that predict")
    epsilon: Divisor = Field(0.05, description="divides the scores that are assigned")
    iterations: Count = Field(3, description="of Sinkhorn's algorithm")
    queue: int = Field(
        0, ge=0, le=1_000_000_000,
        description="earlier projections that Sinkhorn sees beside a batch; needed where the "
        "batch is smaller than the number of prototypes"
    )  # fmt: skip


def _state(o: SwAVOptions, dim: int, sizes: Sequence[int]) -> SwAV:
    return SwAV(dim, **o.model_dump())


def _compute(x: Inputs, o: SwAVOptions) -> dict[str, Tensor]:
    with torch.no_grad():
        scores = x.state.scores(x.online[0])
        used = assignments(scores / o.temperature)
    return {"loss": x.state.joined(x.online, o.temperature), **used}


SWAV_OBJECTIVE = Objective(
    name="swav",
    # the first two views are assigned, as in the paper; all further ones, small or not, predict
    summary="a view predicts the prototypes that another was assigned, all used alike",
    formula="mean_i mean_{v != i} mean_n -sum_k q_i[n, k] log softmax(z_v . c / temperature)_k",
    paper="SwAV, Caron et al. 2020",
    options=SwAVOptions,
    compute=_compute,
    minimum=None,
    state=_state,
    scores="views",
    across_ranks="batch",
    target="unused",
    negatives=("none",),
    positives=("instance",),
    views=(2, None),
)
