"""The table of bounds: what each bounds, if anything, and whether its value may be reported."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from viewfinder.core.table import Options, Row, Table
from viewfinder.information import bounds, vince

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Bound(Row):
    """A functional of a critic that is said to bound mutual information.

    The best critic of every row that takes scores is log p(x,y) / (p(x) p(y)), so that one critic
    may be read by several; one that is constant has the value 0.

    value        (options, what it takes) -> scalar in nats
    formula      in a line
    takes        "scores" (N, K) of a critic with negatives from the marginal; "densities" of x
                 given y and of x; "proposal": scores, and how the negatives were proposed
    lower_bound  whether its mean over samples of finite size is at most I(X;Y) for every critic
    ceiling      of K candidates, the largest value there is, in nats; None: no limit
    variance     what its variance depends on
    trains       (options) -> the loss of scores by which a critic is trained, a new one for each
                 training, as it may keep an average; None: minus the value
    """

    value: Callable[..., Tensor]
    formula: str
    takes: Literal["scores", "densities", "proposal"] = "scores"
    lower_bound: bool
    ceiling: Callable[[int], float] | None = None
    variance: str
    trains: Callable[[Any], Loss] | None = None

    @property
    def reported(self) -> bool:
        """Whether what it gives for a critic on held-out pairs may be called a bound on I(X;Y)."""
        return self.lower_bound and self.takes == "scores"

    def loss(self, options: Options) -> Loss:
        """What a training by this row minimises. Raises ValueError where it takes no scores."""
        if self.takes != "scores":
            raise ValueError(f"{self.name} takes {self.takes}, so no critic is trained by it here")
        if self.trains is not None:
            return self.trains(options)
        return lambda scores: -self.value(options, scores)


class SmileOptions(Options):
    """Of ``smile``."""

    clip: float = Field(
        5.0, ge=0.01, le=100, description="the scores of the partition are cut to ± this"
    )


class MineOptions(Options):
    """Of ``mine``."""

    decay: float = Field(0.99, ge=0, lt=1, description="of the moving average of the partition")


def _uba_both(options: Options) -> Loss:
    """Each direction leaves a function of the other variable free, which may then run away."""
    return lambda scores: -(bounds.uba(scores) + bounds.uba(scores.T)) / 2


def _mine(options: MineOptions) -> Loss:
    average: Tensor | None = None

    def loss(scores: Tensor) -> Tensor:
        nonlocal average
        value, average = bounds.mine_loss(scores, average, options.decay)
        return value

    return loss


BOUNDS: Table[Bound] = Table(
    "bound",
    [
        Bound(
            name="info-nce",
            summary="the positive among K candidates",
            paper="van den Oord et al. (2018); Wu et al. (2020), eq. 2",
            formula="mean [f(x_i,y_i) - log (1/K) sum_j exp f(x_i,y_j)]",
            value=lambda options, scores: bounds.info_nce(scores),
            lower_bound=True,
            ceiling=math.log,
            variance="low: every term is at most log K",
        ),
        Bound(
            name="nwj",
            summary="the partition bounded by its tangent",
            paper="Nguyen, Wainwright and Jordan (2010); Wu et al. (2020), eq. 14",
            formula="1 + mean f(x_i,y_i) - mean exp f(x_i,y_j)",
            value=lambda options, scores: bounds.nwj(scores + 1),
            lower_bound=True,
            variance="grows exponentially with the information",
        ),
        Bound(
            name="ba",
            summary="a conditional density in place of a critic",
            paper="Barber and Agakov (2003); Wu et al. (2020), eq. 12",
            formula="mean [log q(x|y) - log p(x)]",
            value=lambda options, log_q, log_p: bounds.barber_agakov(log_q, log_p),
            takes="densities",
            lower_bound=True,
            variance="low, where p(x) is known",
        ),
        Bound(
            name="uba",
            summary="a partition for each y, from samples",
            paper="Poole et al. (2019); Wu et al. (2020), eq. 13",
            formula="mean [f(x_j,y_j) - log Z(y_j)]",
            value=lambda options, scores: bounds.uba(scores),
            lower_bound=False,
            variance="grows exponentially with the information",
            trains=_uba_both,
        ),
        Bound(
            name="dv",
            summary="one partition for all, from samples",
            paper="Donsker and Varadhan (1983)",
            formula="mean f(x_i,y_i) - log mean exp f(x_i,y_j)",
            value=lambda options, scores: bounds.donsker_varadhan(scores),
            lower_bound=False,
            variance="grows exponentially with the information",
        ),
        Bound(
            name="mine",
            summary="dv with the gradient's denominator averaged over batches",
            paper="Belghazi et al. (2018), section 3.2",
            options=MineOptions,
            formula="mean f(x_i,y_i) - log mean exp f(x_i,y_j)",
            value=lambda options, scores: bounds.donsker_varadhan(scores),
            lower_bound=False,
            variance="grows exponentially with the information",
            trains=_mine,
        ),
        Bound(
            name="smile",
            summary="dv with clipped scores in the partition",
            paper="Song and Ermon (2020), eq. 12",
            options=SmileOptions,
            bare="clip",
            formula="mean f(x_i,y_i) - log mean exp clip(f(x_i,y_j), -c, c)",
            value=lambda options, scores: bounds.smile(scores, options.clip),
            lower_bound=False,
            variance="at most that of exp(c), for a bias",
            trains=lambda options: lambda scores: -bounds.jensen_shannon(scores),
        ),
        Bound(
            name="vince",
            summary="InfoNCE with weights for another proposal: vacuous",
            paper="Wu et al. (2020), eq. 3",
            formula="mean [prod p/q log (exp f(x,y_1) / sum_j exp f(x,y_j))] - K + 1",
            value=lambda options, scores, ratios: -vince.equation_3(scores, ratios),
            takes="proposal",
            lower_bound=True,
            ceiling=lambda k: 1 - k,
            variance="that of a product of K - 1 ratios",
        ),
        Bound(
            name="vince-rejection",
            summary="vince with the acceptance of rejection sampling for the ratio",
            paper="Wu et al. (2020), corollary 3.1.1",
            formula="mean [prod 1/r log (exp f(x,y_1) / a)] - K + 1",
            value=lambda options, scores, r: -vince.corollary_3_1_1(scores, r),
            takes="proposal",
            lower_bound=False,
            variance="that of a product of K - 1 ratios",
        ),
        Bound(
            name="vince-infimum",
            summary="vince with the smallest weight there is: vacuous",
            paper="Wu et al. (2020), corollary 3.1.2",
            formula="mean [c log (exp f(x,y_1) / a)] - K + 1",
            value=lambda options, scores, c: -vince.corollary_3_1_2(scores, c),
            takes="proposal",
            lower_bound=True,
            ceiling=lambda k: math.log(k) - k + 1,
            variance="low",
        ),
        Bound(
            name="vince-practical",
            summary="InfoNCE with negatives from a proposal, as it is trained",
            paper="Wu et al. (2020), eq. 4",
            formula="mean [f(x,y_1) - log (1/K) sum_j exp f(x,y_j)]",
            value=lambda options, scores: -vince.equation_4(scores),
            takes="proposal",
            lower_bound=False,
            ceiling=math.log,
            variance="low: every term is at most log K",
        ),
        Bound(
            name="vince-plus",
            summary="vince-practical with a proposal that is learned, negatives=learned",
            paper="Wu et al. (2020), appendix C, repaired",
            formula="mean [f(x,y_1) - log (1/K) sum_j exp f(x,y_j)], y_j ~ r p / Z(y_1)",
            value=lambda options, scores: -vince.equation_4(scores),
            takes="proposal",
            lower_bound=False,
            ceiling=math.log,
            variance="low: every term is at most log K",
        ),
    ],
)
