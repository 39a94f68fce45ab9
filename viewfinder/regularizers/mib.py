"""MIB: the multi-view information bottleneck (Federici et al. 2020; Wang et al. 2022, table 3).

The divergence between what stochastic encoders say of two views,

    1/2 ( KL(p(z|v_1) || p(z|v_2)) + KL(p(z|v_2) || p(z|v_1)) )

which for p(z|v) = N(f(v), sigma^2) is || f(v_1) - f(v_2) ||^2 / (2 sigma^2). The factor is left to
the weight, and what remains is ``inverse_predictive`` of the means. What makes it MIB is that the
objective sees ``add_noise`` of them.
"""

from __future__ import annotations

from viewfinder.regularizers.contract import Regularizer
from viewfinder.regularizers.ip import Match, MatchOptions

MIB_REGULARIZER = Regularizer(
    name="mib",
    summary="multi-view information bottleneck: ip for encoders made stochastic by noise",
    formula="mean_i || f(v_1i) - f(v_2i) ||^2, the head sees f(v) + sigma * e",
    paper="Federici et al. 2020; Wang et al. 2022",
    options=MatchOptions,
    build=Match,
    needs=("features",),
    across_ranks="nothing",
    views=(2, 2),
    noise=True,
)
