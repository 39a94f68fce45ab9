"""What every objective refuses before it computes anything, and what it makes of an overflow."""

from __future__ import annotations

import warnings
from dataclasses import replace
from inspect import isfunction, signature
from typing import Any, get_args

import numpy as np
import pytest
import torch
from situations import DIM, SITUATIONS, Situation, random_data
from torch import Tensor

from viewfinder import losses
from viewfinder.core.errors import UserError
from viewfinder.negatives import Bank, Contrast, Queue
from viewfinder.objectives import (
    CARL,
    DINO,
    NCE,
    OBJECTIVES,
    InfoNCE,
    SupCon,
    SwAV,
    barlow_twins,
    carl,
    info_nce,
    info_nce_with_negatives,
    kl_to_uniform,
    supcon,
)
from viewfinder.objectives.assigner import LinearAssigner
from viewfinder.objectives.barlow_twins import Deviation
from viewfinder.objectives.carl import Constant, MeanOver
from viewfinder.objectives.relations import Stale
from viewfinder.objectives.similarity import Similarity
from viewfinder.objectives.supcon import Anchors, Missing
from viewfinder.regularizers import (
    LBE,
    RC,
    add_noise,
    inverse_predictive,
    lower_bound_estimate,
    reconstruction,
)
from viewfinder.regularizers.contract import Elements
from viewfinder.regularizers.lbe import SumOver
from viewfinder.regularizers.rc import Likelihood

PLAIN = [s for s in SITUATIONS if not s.chosen and s.pairing == "one-way" and s.views == 2]
every_situation = pytest.mark.parametrize("situation", PLAIN, ids=str)
every_objective = pytest.mark.parametrize("name", list(OBJECTIVES))
META = torch.device("meta")


def refusal(situation: Situation, says: str, change: Any = None, **wrong: Any) -> None:
    """What is right except for ``wrong``, or for what ``change`` makes of the data, is refused."""
    data = random_data(situation, 4)
    if change is not None:
        data = change(data)
    with pytest.raises(ValueError, match=says):
        situation.loss(data.online, data.target, data.table, **wrong)


@every_situation
def test_whose_samples_and_which_numbers(situation: Situation) -> None:
    if situation.negatives not in ("table", "rows"):  # those have looked at the index before
        refusal(situation, "index must be whole numbers", index=torch.rand(4))
        refusal(situation, "index of 3 samples are given for 4", index=torch.arange(3))
        refusal(situation, "index is on meta", index=torch.arange(4, device=META))
    cluster, tags = situation.clusters(4), situation.tags(4)
    if cluster is not None:
        refusal(situation, "labels must be whole numbers", cluster=cluster + 0.5)
        refusal(situation, "labels of 3 samples are given for 4", cluster=cluster[:3])
        refusal(situation, "labels is on meta", cluster=cluster.to(META))
    if tags is not None:
        refusal(situation, "tags must be .* of 0 and 1", tags=tags * 0.5)
        refusal(situation, "tags must be .* T at least 1", tags=tags[:, :0])
        refusal(situation, "tags of 3 samples are given for 4", tags=tags[:3])
        refusal(situation, "tags is on meta", tags=tags.to(META))


@every_situation
def test_labels_of_any_integers_are_those_numbers(situation: Situation) -> None:
    if (cluster := situation.clusters(4)) is None:
        return
    data = random_data(situation, 4)
    wanted = situation.loss(data.online, data.target, data.table, cluster=cluster)
    for dtype in (torch.uint8, torch.int16, torch.int32):
        found = situation.loss(data.online, data.target, data.table, cluster=cluster.to(dtype))
        assert torch.equal(found, wanted)


@every_situation
def test_views_are_a_list_of_equal_shares_on_one_device(situation: Situation) -> None:
    objective = situation.objective

    def call(online: Any, target: Any = None) -> None:
        data = random_data(situation, 4)
        cluster, tags = situation.clusters(4), situation.tags(4)
        negatives = situation.contrast(data.table, torch.arange(4))
        state = situation.state(torch.float64)
        given = {"cluster": cluster, "tags": tags, "negatives": negatives, "state": state}
        objective(online, target, **given)

    count = 1 if objective.scores == "pairs" else 2
    views = [x.detach() for x in random_data(situation, 4).online[:count]]
    keys = [situation.keys(x) for x in views]
    call(views, keys)
    with pytest.raises(ValueError, match=r"views of .* must be a list.*list\(x.unbind\(1\)\)"):
        call(torch.stack(views, dim=1))
    with pytest.raises(ValueError, match=r"targets of .* must be a list"):
        call(views, torch.stack(views))
    with pytest.raises(ValueError, match=r"views \(N, D\) of the same samples"):
        call(views, [x[:3] for x in keys])
    with pytest.raises(ValueError, match=r"\(N, D\) of the same samples|vectors \(N, D\) with"):
        call([x[:, :, None] for x in views])
    with pytest.raises(ValueError, match=r"D at least 1|vectors \(N, D\) with those of places"):
        call([x[:, :0] for x in views])
    with pytest.raises(ValueError, match=r"a view is on meta, the first view on cpu"):
        call(views, [x.to(META) for x in keys])
    if objective.keys is not None:
        with pytest.raises(ValueError, match=r"places \(N, L, D\), not .*x.flatten\(2\).mT"):
            call(views, views)


@every_situation
def test_no_samples_are_refused(situation: Situation) -> None:
    data, cluster, tags = random_data(situation, 4), situation.clusters(4), situation.tags(4)
    with pytest.raises(ValueError, match=r"at least one sample in every process, not \[0\]"):
        situation.loss(
            [x[:0] for x in data.online],
            [x[:0] for x in data.target],
            data.table,
            index=torch.arange(0),
            cluster=None if cluster is None else cluster[:0],
            tags=None if tags is None else tags[:0],
        )


@every_objective
def test_options_of_another_objective_are_refused(name: str) -> None:
    row = OBJECTIVES[name]
    other = next(o for o in OBJECTIVES.values() if o.options is not row.options)
    with pytest.raises(UserError, match=rf"{name} is given {other.options.__name__}"):
        row([torch.zeros(4, DIM)], options=other.options())


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"total": torch.zeros(())},
        {"loss": torch.zeros(4)},
        {"loss": torch.zeros((), dtype=torch.int64)},
        {"loss": 0.5},
        torch.zeros(()),
        None,
    ],
    ids=str,
)
def test_an_objective_that_gives_no_scalar_loss_is_named(made: Any) -> None:
    row = replace(OBJECTIVES["nt-xent"], compute=lambda inputs, options: made)
    with pytest.raises(UserError, match=r"objective=nt-xent gives .* scalar loss.*losses.mean"):
        row([torch.randn(4, DIM)])


X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
UNIT = X.sigmoid()
WORDS = [
    (lambda w: supcon([X, X], anchors=w), "anchors", Anchors),
    (lambda w: supcon([X, X], missing=w), "missing", Missing),
    (lambda w: info_nce(X, X, similarity=w), "similarity", Similarity),
    (
        lambda w: info_nce_with_negatives(X, X, Bank(9, 3).propose(X, torch.arange(4)), stale=w),
        "stale",
        Stale,
    ),
    (lambda w: carl(X, X, mean_over=w), "mean_over", MeanOver),
    (lambda w: kl_to_uniform(X, constant=w), "constant", Constant),
    (lambda w: barlow_twins(X, X, deviation=w), "deviation", Deviation),
    (lambda w: reconstruction(X, UNIT, w), "likelihood", Likelihood),
    (lambda w: reconstruction(X, UNIT, elements=w), "elements", Elements),
    (lambda w: inverse_predictive(X, X, elements=w), "elements", Elements),
    (lambda w: lower_bound_estimate(X, X, sum_over=w), "sum_over", SumOver),
]


@pytest.mark.parametrize(
    ("call", "name", "known"), WORDS, ids=lambda x: x if type(x) is str else ""
)
def test_a_word_that_is_none_is_refused_by_the_functions(call: Any, name: str, known: Any) -> None:
    for word in get_args(known):
        assert torch.isfinite(torch.as_tensor(call(word) if name != "mean_over" else 0.0))
        close = word[:-1] + "x"
        with pytest.raises(UserError, match=f"{name} is '{close}'.*is expected. Try: {name}='"):
            call(close)
    with pytest.raises(UserError, match=f"{name} is True"):
        call(True)


@every_situation
def test_what_is_no_contrast_is_refused_with_what_makes_one(situation: Situation) -> None:
    if situation.negatives != "table":
        return
    state, views = situation.state(torch.float32), ([torch.randn(4, DIM)], [torch.randn(4, DIM)])
    known = {"cluster": situation.clusters(4), "state": state}
    for memory in (Queue(5, DIM), Bank(9, DIM)):
        with pytest.raises(UserError, match=r"Try: negatives.propose\(query, index\)"):
            situation.objective(*views, negatives=memory, **known)
    with pytest.raises(UserError, match=r"are a Tensor.*Try: Contrast.of\(vectors\)"):
        situation.objective(*views, negatives=torch.randn(5, DIM), **known)
    cluster = torch.zeros(0, dtype=torch.int64)
    table = Contrast(torch.zeros(3, DIM), torch.zeros(4, 0, dtype=torch.int64))
    for empty in (Contrast(torch.zeros(0, DIM), cluster=cluster), table):
        with pytest.raises(ValueError, match="no negatives, 0 rows"):
            situation.objective(*views, negatives=empty, **known)


NARROW, INDEX = torch.zeros(4, 0), torch.arange(4)
NOTHING = Contrast(torch.zeros(5, 0))
WITHOUT_NUMBERS = {
    "barlow_twins": lambda z: losses.barlow_twins(z, z),
    "byol_regression": lambda z: losses.byol_regression(z, z),
    "carl": lambda z: losses.carl(z, z),
    "ci_infonce": lambda z: losses.ci_infonce(z, z),
    "cosine": lambda z: losses.cosine(z, z),
    "cpc": lambda z: losses.cpc(z, z),
    "cross_entropy": lambda z: losses.cross_entropy(z, INDEX),
    "deep_info_max": lambda z: losses.deep_info_max(z, z[:, None]),
    "dino": lambda z: losses.dino([z, z], [z, z], torch.zeros(z.shape[1]), 0.1),
    "info_nce": lambda z: losses.info_nce(z, z),
    "info_nce_from_scores": losses.info_nce_from_scores,
    "info_nce_with_negatives": lambda z: losses.info_nce_with_negatives(z, z, NOTHING),
    "kl_to_uniform": losses.kl_to_uniform,
    "local_aggregation": lambda z: losses.local_aggregation(z, z, NOTHING),
    "log_normaliser": lambda z: losses.log_normaliser(z, z, NOTHING),
    "nce": lambda z: losses.nce(z, z, NOTHING, log_z=0.0),
    "negative_cosine": lambda z: losses.negative_cosine(z, z),
    "nt_xent": lambda z: losses.nt_xent(z, z),
    "pcl": lambda z: losses.pcl(z, z, NOTHING, []),
    "proto_nce": lambda z: losses.proto_nce(
        z, losses.Prototypes(INDEX % 3, torch.zeros(3, 0), torch.ones(3))
    ),
    "sinkhorn": losses.sinkhorn,
    "supcon": lambda z: losses.supcon([z, z]),
    "swav": lambda z: losses.swav([z, z]),
    "tag_overlap": losses.tag_overlap,
    "vicreg": lambda z: losses.vicreg(z, z),
    "vince_plus": lambda z: losses.vince_plus(z, z, NOTHING),
}
"""Every function of a batch (N, D), given one of width 0."""
OTHERS = {"concentration", "draw_partners", "moved_center"}
"""Those that take no vectors (N, D) of samples."""


def test_every_function_is_in_one_of_the_two_lists() -> None:
    functions = {n for n in losses.__all__ if isfunction(getattr(losses, n))}
    assert functions == WITHOUT_NUMBERS.keys() | OTHERS


@pytest.mark.parametrize("name", WITHOUT_NUMBERS)
def test_vectors_of_no_numbers_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\(4, 0\)|D at least 1|0 logits"):
        WITHOUT_NUMBERS[name](NARROW)


@pytest.mark.parametrize(
    "name",
    [n for n in WITHOUT_NUMBERS if "rows" in signature(getattr(losses, n)).parameters],
)
def test_no_anchors_are_refused(name: str) -> None:
    """Their mean would be NaN."""
    loss = getattr(losses, name)
    given = ([X, X],) if name == "supcon" else (X, X)
    assert torch.isfinite(loss(*given, rows=slice(1, 3)))
    for rows in (slice(0, 0), slice(3, 3), slice(9, None), slice(2, 1)):
        with pytest.raises(ValueError, match=r"are none of 4 samples: one anchor"):
            loss(*given, rows=rows)


@every_situation
def test_where_nothing_was_kept_yet_the_loss_is_0_and_teaches_nothing(
    situation: Situation,
) -> None:
    """The first step of a queue: a positive is there, and nothing to tell it from."""
    if situation.negatives != "table":
        return
    data = random_data(situation, 4)
    cluster, state = situation.clusters(4), situation.state(torch.float64)
    several = (
        cluster is not None and cluster.ndim == 2 and "clusters" in situation.objective.positives
    )
    queue = Queue(5, DIM, clusterings=cluster.shape[1] if several else None).double()
    kept = queue.propose(data.online[0], torch.arange(4))
    known = {"cluster": cluster, "negatives": kept, "state": state}
    terms = situation.objective([data.online[0]], [data.online[1].detach()], **known)
    loss = terms.get("instance", terms["loss"])  # PCL has centroids beside the queue
    (gradient,) = torch.autograd.grad(loss, data.online[0])
    assert loss == 0
    assert gradient.abs().max() < 1e-15


BYTES = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
NOISE = torch.Generator()
SLIPS = {
    "a negative mean_exp": lambda: NCE(mean_exp=-1),
    "a mean_exp of 0": lambda: NCE(mean_exp=0),
    "a negative epsilon": lambda: NCE(epsilon=-1),
    "a momentum above 1": lambda: DINO(16, center_momentum=2),
    "a momentum of 1": lambda: DINO(16, center_momentum=1),
    "no outputs": lambda: DINO(0),
    "one output": lambda: DINO(1),
    "one prototype": lambda: SwAV(16, 1),
    "no dimensions": lambda: SwAV(0, 3),
    "a negative queue": lambda: SwAV(16, 3, queue=-1),
    "an epsilon of 0": lambda: SwAV(16, 3, epsilon=0.0),
    "no iterations": lambda: SwAV(16, 3, iterations=0),
    "no assigned view": lambda: SwAV(16, 3, assigned=0),
    "a negative rho": lambda: lower_bound_estimate(X, X, -1.0),
    "a rho of 0": lambda: lower_bound_estimate(X, X, 0.0),
    "a rho that is none": lambda: lower_bound_estimate(X, X, float("nan")),
    "a negative rho of the module": lambda: LBE(4, rho=-1.0),
    "negative noise": lambda: add_noise(X, -0.1, NOISE),
    "bytes as a view": lambda: reconstruction(BYTES.float(), BYTES),
    "bytes as a view of the module": lambda: RC(4, 3, 16)([torch.zeros(2, 4)], [BYTES]),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_what_no_recipe_may_have_is_refused_in_a_loop_of_ones_own(slip: str) -> None:
    with pytest.raises(ValueError, match=r"greater|less|positive|at least|from 0|floating point"):
        SLIPS[slip]()


@pytest.mark.parametrize("loss", [SupCon(), SwAV(3, 4), DINO(3)], ids=lambda m: type(m).__name__)
def test_the_modules_take_a_list_of_views(loss: torch.nn.Module) -> None:
    z = torch.stack([X, X + 1], dim=1)  # (N, V, D), as the first implementation of SupCon has it
    with pytest.raises(ValueError, match=r"one tensor \(4, 2, 3\).*list\(x.unbind\(1\)\)"):
        loss(z, z) if isinstance(loss, DINO) else loss(z)
    views = list(z.unbind(1))
    given = (views, views) if isinstance(loss, DINO) else (views,)
    assert torch.isfinite(loss(*given))


@pytest.mark.parametrize("module", [InfoNCE(), NCE()], ids=lambda m: type(m).__name__)
def test_negatives_on_another_device_are_refused(module: torch.nn.Module) -> None:
    elsewhere = Bank(9, 3).propose(X, torch.arange(4))
    elsewhere = replace(
        elsewhere,
        **{n: x.to(META) for n, x in vars(elsewhere).items() if isinstance(x, Tensor)},
    )
    with pytest.raises(ValueError, match="negatives is on meta, the queries are on cpu"):
        module(X, X, elsewhere)


WITH_STATE = [n for n, row in OBJECTIVES.items() if row.state is not None]


@pytest.mark.parametrize("name", WITH_STATE)
@pytest.mark.parametrize("broken", [float("inf"), float("nan")])
def test_a_step_that_overflowed_leaves_the_state_whole(name: str, broken: float) -> None:
    """Its loss says so; the next one is finite, and all that is kept."""
    situation = next(s for s in PLAIN if s.objective.name == name)
    row = situation.objective
    state = situation.state(torch.float32).train()
    if isinstance(state, NCE):
        state.log_mean.fill_(float("-inf"))  # estimated of the first batch that can be
    count = 1 if row.scores == "pairs" else 2

    def step(seed: int, spoilt: bool) -> Tensor:
        data = random_data(situation, 4, torch.float32, seed)
        views = [x.detach().clone() for x in data.online[:count]]
        if spoilt:
            views[0][1, 2] = broken
        keys = [x.detach() for x in views]
        negatives = situation.contrast(data.table, torch.arange(4))
        cluster = situation.clusters(4)
        return row(views, keys, cluster=cluster, negatives=negatives, state=state)["loss"]

    assert not torch.isfinite(step(0, spoilt=True))
    kept = {n: x for n, x in state.named_buffers() if n != "log_mean"}
    assert all(torch.isfinite(x).all() for x in kept.values())
    assert torch.isfinite(step(1, spoilt=False))
    assert all(torch.isfinite(x).all() for x in state.buffers())


@pytest.mark.parametrize("name", [n for n, row in OBJECTIVES.items() if row.assigner is not None])
def test_an_assigner_works_in_float32_or_better(name: str) -> None:
    """Under autocast as without it, gradients too, with logits as far apart as sure ones are."""
    row = OBJECTIVES[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assigner = row.assigner(row.options(prototypes=20), 16)
        z = torch.randn(32, 16)
    if isinstance(assigner, LinearAssigner):
        with torch.no_grad():
            assigner.weight.mul_(9 / assigner(z).std())

    def gradient(x: Tensor) -> Tensor:
        logits = assigner(x)
        loss = (20 * logits if name == "dino" else logits).logsumexp(dim=1).mean()
        (found,) = torch.autograd.grad(loss, next(assigner.parameters()))
        return found

    wanted = gradient(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert assigner(z).dtype == torch.float32
        torch.testing.assert_close(gradient(z), wanted)
    assert assigner(z.bfloat16()).dtype == torch.float32
    assert assigner(z.double()).dtype == torch.float64
    torch.testing.assert_close(gradient(z.double()), wanted)


def test_carl_takes_half_and_double_precision() -> None:
    loss = CARL(3, 5)
    wanted = loss(X, X + 1)["loss"]
    assert loss(X.double(), X.double() + 1)["loss"].dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss(X, X + 1)["loss"], wanted)
    assert torch.isfinite(loss(X.half(), X.half() + 1)["loss"])


@pytest.mark.parametrize("labels", [[0, 0, 1, 1], np.array([0, 0, 1, 1])], ids=["list", "array"])
def test_labels_that_are_no_tensor_are_told_what_to_be(labels: object) -> None:
    z = torch.randn(4, 3)
    for loss in (SupCon(), supcon):
        with pytest.raises(
            ValueError, match=r"labels must be a tensor .* torch.as_tensor\(labels\)"
        ):
            loss([z, z], labels)


def test_a_bank_refuses_queries_of_another_shape_and_takes_indices_that_are_strided() -> None:
    bank = Bank(9, 4, size=2)
    for wrong in (torch.randn(2, 5), torch.randn(3, 4), torch.randn(4)):
        with pytest.raises(ValueError, match="as wide as the bank"):
            bank.propose(wrong, torch.arange(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bank.update(torch.randn(3, 4), torch.arange(6)[::2])
