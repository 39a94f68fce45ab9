"""The estimator: a critic is trained on one half of the pairs, and bounds I(X;Y) on the other."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, MutableMapping
from typing import Any, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from viewfinder.core.errors import UserError, unknown
from viewfinder.core.randomness import derive, torch_generator
from viewfinder.core.table import Options
from viewfinder.information.critics import CRITICS
from viewfinder.information.estimate import (
    BATCHES,
    MOST_CANDIDATES,
    Estimate,
    SeedResult,
    summarised,
)
from viewfinder.information.pairs import ArrayPairs, Inputs, Pairs, Shuffled, checked
from viewfinder.information.table import BOUNDS, Bound

SMALLEST = 64
Tick = Callable[[int], None]
"""Called with the number of training steps that were done, or need not be done."""


class Protocol(Options):
    """Everything that makes an estimate, beside the data."""

    bound: str = Field("info-nce", description="what is reported: a lower bound of the table")
    objective: str | None = Field(
        None, description="what the critic is trained by, as smile or smile:2; null: the bound"
    )
    critic: Literal["separable", "joint"] = "separable"
    inputs: Inputs = Field("ranks", description="what is done to each column, see ArrayPairs")
    k: PositiveInt | None = Field(
        None, description="candidates; null: 512, or less so that there are 8 held-out batches"
    )
    seeds: PositiveInt = 3
    batch_size: PositiveInt = 256
    steps: PositiveInt = Field(1500, description="at most; validation stops earlier")
    learning_rate: PositiveFloat = 2e-3
    weight_decay: float = Field(0.1, ge=0)
    width: PositiveInt = 64
    dim: PositiveInt = 32
    every: PositiveInt = Field(25, description="steps between looks at the validation pairs")
    patience: PositiveInt = Field(
        8, description="looks that end training where none is better by a thousandth of a nat"
    )
    device: str = "cpu"


def mutual_information(
    x: Any,
    y: Any,
    *,
    shuffled: bool = True,
    seed: int = 0,
    tick: Tick = lambda steps: None,
    **protocol: Any,
) -> Estimate:
    """A lower bound on the mutual information of paired samples, that can be trusted.

    x, y      numbers (N, D) and (N, E), numpy or torch, or (N,); row i of both is a pair, and pairs
              are independent draws. N ≥ 64; thousands give values to a few hundredths of a nat
    shuffled  also measure shuffled pairs, which share nothing; takes a third longer
    seed      first of the seeds
    tick      told of each training step, ``trainings(...)`` times ``steps`` in all
    protocol  fields of ``Protocol``: bound, objective, critic, inputs, k, seeds, ...

    For each seed the pairs are halved at random; a critic is trained on the one half, of which a
    fifth is kept to say when to stop, and the bound is computed on the other, once.

    Raises UserError for arrays that do not fit, are not finite or constant, for fewer pairs than
    K asks for, and for a bound that is none.

    >>> rng = np.random.default_rng(0)  # doctest: +SKIP
    >>> x = rng.normal(size=(10000, 1))  # doctest: +SKIP
    >>> y = 0.8 * x + 0.6 * rng.normal(size=(10000, 1))  # doctest: +SKIP
    >>> mutual_information(x, y).value  # the truth is -log(0.6) = 0.511  # doctest: +SKIP
    0.50
    """
    how = protocol_of(protocol)
    left, right = checked(x, "x"), checked(y, "y")
    if len(left) != len(right):
        raise UserError(
            f"x has {len(left)} rows and y has {len(right)}; row i of both is a pair, so as many "
            "are expected"
        )
    pairs = ArrayPairs(left, right, how.inputs)
    build = CRITICS[how.critic]
    return estimate(
        pairs,
        lambda: build(left.shape[1], right.shape[1], how.width, how.dim),
        how,
        shuffled=shuffled,
        seed=seed,
        tick=tick,
    )


def trainings(how: Protocol, shuffled: bool = True) -> int:
    """How many critics an estimate trains."""
    return how.seeds + shuffled


def estimate(
    pairs: Pairs,
    critic: Callable[[], nn.Module],
    how: Protocol,
    *,
    shuffled: bool = True,
    seed: int = 0,
    known: MutableMapping[str, SeedResult] | None = None,
    tick: Tick = lambda steps: None,
) -> Estimate:
    """``mutual_information`` of any pairs by any critic, a module (x, y) -> scores (n, m).

    known  results by name, "seed 0", ..., "shuffled": those that are there are taken, others are
           put there as soon as they are known
    """
    bound, objective = rows_of(how)
    k = candidates(how.k, len(pairs))
    how = how.model_copy(update={"k": k, "objective": how.objective or how.bound})
    known = {} if known is None else known
    asked = {f"seed {one}": (pairs, one) for one in range(seed, seed + how.seeds)}
    if shuffled:
        order = torch.randperm(len(pairs), generator=torch_generator(seed, "measure/shuffled"))
        # a cycle through a random order: nobody is its own partner
        partner = torch.empty_like(order).scatter_(0, order, order.roll(1))
        asked["shuffled"] = (Shuffled(pairs, partner), seed)
    for name, (these, one) in asked.items():
        if name in known:
            tick(how.steps)
        else:
            known[name] = _one_seed(these, critic, how, bound, objective, one, tick)
    results = [known[name] for name in asked if name != "shuffled"]
    control = known["shuffled"] if shuffled else None
    ceiling = None if bound.ceiling is None else bound.ceiling(k)
    told = {
        **how.model_dump(),
        "pairs": len(pairs),
        "held_out": len(pairs) // 2,
        "seed": seed,
        "lower_bound": bound.lower_bound,
        "paper": bound.paper,
    }
    return summarised(results, control, ceiling, told)


def protocol_of(given: dict[str, Any]) -> Protocol:
    """The protocol, or a UserError that names the field."""
    unknown_fields = given.keys() - Protocol.model_fields.keys()
    if unknown_fields:
        raise unknown("setting of an estimate", min(unknown_fields), Protocol.model_fields)
    try:
        return Protocol(**given)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        raise UserError(f"{name} is {problem['input']!r}: {problem['msg']}") from error


def split(pairs: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Positions to train on, to validate on and to report on: two fifths, a tenth and a half."""
    order = torch.randperm(pairs, generator=torch_generator(seed, "measure/split"))
    held_out, rest = order[: pairs // 2], order[pairs // 2 :]
    return rest[len(rest) // 5 :], rest[: len(rest) // 5], held_out


def rows_of(how: Protocol) -> tuple[Bound, tuple[Bound, Options]]:
    """The bound to report, and the objective with its options."""
    bound = BOUNDS.find(how.bound)
    if not bound.reported:
        known = ", ".join(name for name, row in BOUNDS.items() if row.reported)
        scored = bound.takes == "scores"
        raise UserError(
            f"{bound.name} is not reported as mutual information: it "
            + (f"takes {bound.takes}" if not scored else "may exceed it on finite samples")
            + f". Those that are: {known}",
            fix=f"objective={bound.name}, which trains by it and reports {known.split(',')[0]}"
            if scored
            else None,
        )
    name, options = BOUNDS.parse(how.objective or how.bound)
    if BOUNDS[name].takes != "scores":
        raise UserError(f"no critic is trained by {name} here: it takes {BOUNDS[name].takes}")
    try:
        return bound, (BOUNDS[name], BOUNDS[name].options(**options))
    except ValueError as error:
        raise UserError(f"objective={how.objective}: {error}") from error


def check_enough(pairs: int) -> None:
    """Raise UserError for fewer than 64 pairs."""
    if pairs < SMALLEST:
        raise UserError(
            f"there are {pairs} pairs; at least {SMALLEST} are expected, and thousands are better"
        )


def candidates(k: int | None, pairs: int) -> int:
    """K, as asked for or by default."""
    held_out = pairs // 2
    check_enough(pairs)
    if k is None:
        return min(MOST_CANDIDATES, held_out // BATCHES)
    if not 2 <= k <= held_out // 2:
        raise UserError(
            f"k={k}: the {held_out} held-out of {pairs} pairs make batches of 2 to "
            f"{held_out // 2} candidates, for at least two are needed to say how sure the value is",
            fix=f"k={min(MOST_CANDIDATES, held_out // BATCHES)}",
        )
    return k


def _one_seed(
    pairs: Pairs,
    critic: Callable[[], nn.Module],
    how: Protocol,
    bound: Bound,
    objective: tuple[Bound, Options],
    seed: int,
    tick: Tick,
) -> SeedResult:
    train, validation, held_out = split(len(pairs), seed)
    pairs = pairs.fitted(train)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "measure/critic"))
        made = critic().to(how.device)
    fixed = torch_generator(seed, "measure/held-out")
    look = _drawn(pairs, validation, how.device, torch_generator(seed, "measure/validation"))
    row, options = objective
    course = _train(made, pairs, train, look, how, bound, row.loss(options), seed, tick)
    curve, best, finite, losses = course
    x, y = _drawn(pairs, held_out, how.device, fixed)
    assert how.k is not None
    sizes = [4**power for power in range(1, 12) if 4**power < how.k]
    return SeedResult(
        seed=seed,
        batches=tuple(evaluate(made, x, y, how.k, bound)),
        by_k={k: _mean(evaluate(made, x, y, k, bound)) for k in (*sizes, how.k)},
        curve=tuple(curve),
        best=best,
        finite=finite,
        losses=tuple(losses),
    )


def _train(
    critic: nn.Module,
    pairs: Pairs,
    train: Tensor,
    look: tuple[Tensor, Tensor],
    how: Protocol,
    bound: Bound,
    loss_of: Callable[[Tensor], Tensor],
    seed: int,
    tick: Tick,
) -> tuple[list[tuple[int, float]], int, bool, list[float]]:
    """Train ``critic`` in place, to the moving average of its weights that validates best.

    Returns the validation's curve, the step that was kept, whether all losses were finite, and the
    losses as ``SeedResult`` has them.
    """
    optimizer = torch.optim.AdamW(
        critic.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay
    )
    mean = AveragedModel(critic, multi_avg_fn=get_ema_multi_avg_fn(0.95), use_buffers=True)
    size, warm_up = min(how.batch_size, len(train)), 50
    kept, best, finite, curve = copy.deepcopy(mean.module.state_dict()), 0, True, []
    highest, last_gain = -math.inf, 0
    losses: list[float] = []
    since: list[float] = []
    for step in range(how.steps + 1):
        if step % how.every == 0 or step == how.steps:
            value = _mean(evaluate(mean.module, *look, min(256, len(look[0])), bound))
            curve.append((step, value))
            losses, since = losses + ([_mean(since)] if since else []), []
            if value > highest + 1e-3:
                last_gain = step
            if value > highest:
                highest, best = value, step
                kept = copy.deepcopy(mean.module.state_dict())
            stuck = step - last_gain >= how.patience * how.every
            if step == how.steps or stuck or not math.isfinite(value):
                break
        optimizer.param_groups[0]["lr"] = how.learning_rate * min(1.0, (step + 1) / warm_up)
        draw = torch_generator(seed, "measure/batch", step=step)
        index = train[torch.randperm(len(train), generator=draw)[:size]]
        x, y = pairs.draw(index, draw)
        loss = loss_of(critic(x.to(how.device), y.to(how.device)))
        if not bool(loss.isfinite()):
            finite = False
            break
        since.append(float(loss.detach()))
        losses = losses or since[:]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
        optimizer.step()
        mean.update_parameters(critic)
        tick(1)
    tick(how.steps - step)
    critic.load_state_dict(kept)
    return curve, best, finite, losses


@torch.no_grad()
def evaluate(critic: nn.Module, x: Tensor, y: Tensor, k: int, bound: Bound) -> list[float]:
    """The bound on each whole batch of k pairs, computed in float64 from the critic's scores."""
    critic.eval()
    values = [
        float(bound.value(bound.options(), critic(x[at : at + k], y[at : at + k]).double()))
        for at in range(0, len(x) - k + 1, k)
    ]
    critic.train()
    return values


def _drawn(
    pairs: Pairs, index: Tensor, device: str, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    x, y = pairs.draw(index, generator)
    return x.to(device), y.to(device)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
