"""The rules that every objective keeps, in every situation it declares. See situations.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from situations import DIM, SITUATIONS, Data, Situation, random_data

from viewfinder.negatives import Contrast, Queue
from viewfinder.objectives import log_partition

every_situation = pytest.mark.parametrize("situation", SITUATIONS, ids=str)


def value(situation: Situation, data: Data, **more) -> torch.Tensor:
    return situation.loss(data.online, data.target, data.table, **more)


@every_situation
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_precision_in_is_precision_out(situation: Situation, dtype: torch.dtype) -> None:
    data = random_data(situation, 5, dtype)
    loss = value(situation, data)
    loss.backward()
    assert loss.dtype == dtype
    assert loss.ndim == 0
    assert all(x.grad.dtype == dtype for x in data.leaves if x.grad is not None)


@every_situation
@pytest.mark.parametrize("where", ["random", "equal views", "opposite views", "zero vectors"])
def test_finite_in_float32_at_temperature_one_hundredth(situation: Situation, where: str) -> None:
    data = random_data(situation, 6, torch.float32)
    first = data.online[0]
    with torch.no_grad():
        for other in (*data.online[1:], *data.target):
            if where == "equal views":
                other.copy_(situation.keys(first) if other.ndim == 3 else first)
            elif where == "opposite views":
                other.copy_(-(situation.keys(first) if other.ndim == 3 else first))
        if where == "zero vectors":
            for x in (*data.online, *data.target, data.table.table):
                x[0] = 0
    loss = value(situation, data, temperature=0.01)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(x.grad).all() for x in data.leaves if x.grad is not None)
    assert max(x.grad.abs().max() for x in data.leaves if x.grad is not None) < 1e4


@every_situation
@pytest.mark.parametrize("samples", [2, 5])
def test_order_of_samples_and_size_of_blocks_do_not_matter(
    situation: Situation, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_data(situation, samples)
    loss = value(situation, data)
    gradients = torch.autograd.grad(loss, data.leaves, allow_unused=True)
    monkeypatch.setitem(log_partition.BLOCK, "cpu", 3)
    order = torch.tensor([1, 0, 3, 4, 2][:samples] if samples > 2 else [1, 0])
    cluster, tags = situation.clusters(samples), situation.tags(samples)
    shuffled = situation.loss(
        [x[order] for x in data.online],
        [x[order] for x in data.target],
        data.table,
        index=order,
        cluster=None if cluster is None else cluster[order],
        tags=None if tags is None else tags[order],
    )
    torch.testing.assert_close(shuffled, loss, rtol=1e-12, atol=1e-14)
    again = torch.autograd.grad(shuffled, data.leaves, allow_unused=True)
    torch.testing.assert_close(again, gradients, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    "situation",
    # SwAV's assignments are constants to its gradient, not to finite differences: see its tests
    [s for s in SITUATIONS if s.objective.name != "swav"],
    ids=str,
)
@pytest.mark.parametrize("samples", [2, 3])
def test_gradcheck(situation: Situation, samples: int) -> None:
    data = random_data(situation, samples)

    def loss(*leaves):
        given = iter(leaves)
        online = [next(given) for _ in data.online]
        return situation.loss(online, [next(given, x) for x in data.target], data.table)

    torch.autograd.gradcheck(loss, data.leaves)


@pytest.mark.parametrize(
    "situation", [s for s in SITUATIONS if s.objective.name != "swav"], ids=str
)
@pytest.mark.parametrize("samples", [2, 5])  # fewer than half of the dimensions, and more
def test_a_second_derivative_is_right_or_refused(situation: Situation, samples: int) -> None:
    """The Hessian times a direction is what the gradient changes by along it."""
    data = random_data(situation, samples)
    generator = torch.Generator().manual_seed(1)
    along = [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in data.leaves]

    def gradient(step: float, **more: bool) -> list[torch.Tensor]:
        pairs = zip(data.leaves, along, strict=True)
        given = iter([(x.detach() + step * d).requires_grad_() for x, d in pairs])
        moved = [next(given) for _ in data.online], [next(given, x) for x in data.target]
        leaves = [x for x in (*moved[0], *moved[1]) if x.requires_grad]
        loss = situation.loss(*moved, data.table)
        found = torch.autograd.grad(loss, leaves, materialize_grads=True, **more)
        if not more:
            return list(found)
        slope = sum((g * d).sum() for g, d in zip(found, along, strict=True))
        return list(torch.autograd.grad(slope, leaves, materialize_grads=True))

    try:
        found = gradient(0.0, create_graph=True)
    except RuntimeError as refused:
        assert "no second derivative" in str(refused)  # noqa: PT017
        return
    step = 1e-5
    ends = zip(gradient(step), gradient(-step), strict=True)
    wanted = [(above - below) / (2 * step) for above, below in ends]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def least_loss(
    situation: Situation, samples: int = 8, classes: int = 8, temperature: float = 0.1
) -> float | None:
    if situation.objective.minimum is None:
        return None
    options = situation.options(temperature=temperature)
    return situation.objective.minimum(options, samples, situation.views, classes)


def hadamard(size: int) -> torch.Tensor:
    """Orthogonal columns of ones and minus ones; all but the first have mean zero."""
    matrix = torch.ones(1, 1, dtype=torch.float64)
    while len(matrix) < size:
        matrix = torch.kron(matrix, torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64))
    return matrix


@pytest.mark.parametrize(
    "situation",
    [
        s
        for s in SITUATIONS
        # stale keys as positives or negatives are asked for, and then the minimum is another one
        if (s.negatives != "table" or "stale" not in s.chosen)
        # it is known for all rows of a table, not for some
        and s.negatives != "rows"
        # tags make positives of weights, learned prototypes have no perfect place: see their tests
        and s.positives != "tags"
        # by cluster its pairs are of two images, which are drawn before it is called
        and not (s.objective.partners and s.positives == "clusters")
        and least_loss(s) is not None
        # unit vectors have little variance, so the epsilon in it counts
        and not s.chosen.get("normalize")
    ],
    ids=str,
)
@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_perfect_query_reaches_the_known_minimum(situation: Situation, temperature: float) -> None:
    """All views of an image at one point, the classes at the corners of a simplex. For a loss on
    the statistics of the batch: uncorrelated dimensions of great variance.

    The table holds the current keys already: no positive may be its own negative.
    """
    samples, classes = 8, 8 if situation.positives == "instance" else 4
    cluster = None if situation.positives == "instance" else torch.arange(samples) % classes
    if situation.objective.name in ("barlow-twins", "vicreg"):
        perfect, scale = hadamard(samples)[:, 1:] * 2.0**30, 2.0**30
    else:
        corners = torch.eye(classes, dtype=torch.float64) - 1 / classes
        # of dot products the squares count, and float64 must keep their digits
        scale = 30.0 if "dot" in situation.chosen.values() else 1000.0
        perfect = scale * corners[torch.arange(samples) % classes]
    table = Contrast(perfect, index=torch.arange(samples), cluster=cluster)
    views = [perfect] * situation.views
    keys = [situation.keys(view) for view in views]
    loss = situation.loss(views, keys, table, cluster=cluster, temperature=temperature)
    minimum = least_loss(situation, samples, classes, temperature)
    assert loss.item() == pytest.approx(minimum, rel=1e-9, abs=1e-12)
    for seed in range(3):  # and nothing is below it
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(2, *perfect.shape, generator=generator)
        views = list(perfect / scale + noise[: situation.views] * 0.1)
        keys = [situation.keys(view) for view in views]
        worse = situation.loss(views, keys, table, cluster=cluster, temperature=temperature)
        assert worse >= minimum - 1e-12


def chance_loss(situation: Situation, samples: int = 8) -> float | None:
    if situation.objective.chance is None:
        return None
    options = situation.options(temperature=0.2)
    return situation.objective.chance(options, samples, situation.views, DIM, DIM)


@pytest.mark.parametrize(
    "situation",
    [
        s
        for s in SITUATIONS
        if chance_loss(s) is not None
        # of a table's rows some are drawn, and a stale key is one candidate more
        and s.negatives != "rows"
        and (s.negatives != "table" or "stale" not in s.chosen)
        # by cluster its pairs are of two images, which are drawn before it is called
        and not (s.objective.partners and s.positives == "clusters")
    ],
    ids=str,
)
def test_outputs_that_tell_nothing_cost_what_the_row_declares(situation: Situation) -> None:
    samples = 8
    cluster = None if situation.positives in ("instance", "tags") else torch.arange(samples) % 4
    nothing = [torch.zeros(samples, DIM, dtype=torch.float64)] * situation.views
    table = Contrast(nothing[0], index=torch.arange(samples), cluster=cluster)
    keys = [situation.keys(view) for view in nothing]
    loss = situation.loss(nothing, keys, table, cluster=cluster, temperature=0.2)
    assert loss.item() == pytest.approx(chance_loss(situation), rel=1e-9, abs=1e-9)


@every_situation
def test_a_single_sample_teaches_or_is_refused(situation: Situation) -> None:
    data = random_data(situation, 1)
    statistics = situation.objective.across_ranks == "batch" and situation.objective.name != "dino"
    if situation.negatives == "batch" or statistics:
        with pytest.raises(ValueError, match="needs at least two samples"):
            value(situation, data)
        return
    loss = value(situation, data)
    gradients = torch.autograd.grad(loss, data.online, allow_unused=True)
    assert max(g.abs().max() for g in gradients if g is not None) > 1e-3


@every_situation
def test_autocast_changes_nothing(situation: Situation) -> None:
    data = random_data(situation, 5, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = value(situation, data, temperature=0.05)
        gradient = torch.autograd.grad(under, data.leaves, allow_unused=True)
    plain = value(situation, data, temperature=0.05)
    torch.testing.assert_close(under, plain)
    wanted = torch.autograd.grad(plain, data.leaves, allow_unused=True)
    torch.testing.assert_close(gradient, wanted)
    half = Data(
        [x.bfloat16() for x in data.online], [x.bfloat16() for x in data.target], data.table
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = value(situation, half, temperature=0.5)
    assert rough.dtype == torch.float32 or situation.objective.outputs == "classes"
    exact = value(situation, data, temperature=0.5).item()
    assert rough.item() == pytest.approx(exact, abs=0.05, rel=0.01)


@pytest.mark.parametrize("situation", [s for s in SITUATIONS if s.negatives == "table"], ids=str)
def test_negatives_survive_a_restart(situation: Situation) -> None:
    data = random_data(situation, 3)
    queue = Queue(5, data.online[0].shape[1])
    for step in range(3):
        queue.update(data.target[0].detach(), torch.arange(3) + 10 * step, torch.arange(3) % 2)
    restored = Queue(5, data.online[0].shape[1])
    restored.load_state_dict(queue.state_dict())
    for _ in range(2):
        first, second = (
            value(situation, replace(data, table=q.propose(data.online[0], torch.arange(3))))
            for q in (queue, restored)
        )
        assert torch.isfinite(first)
        assert torch.equal(first, second)
        for q in (queue, restored):
            q.update(data.online[0].detach(), torch.arange(3), torch.arange(3) % 2)


@every_situation
def test_what_has_no_place_is_refused(situation: Situation) -> None:
    data = random_data(situation, 4)
    if "table" not in situation.objective.negatives:
        pairs = situation.objective.scores == "pairs"
        views = (data.online[:1], data.target[:1]) if pairs else (data.online, data.target)
        with pytest.raises(ValueError, match="no place for given negatives"):
            situation.objective(*views, negatives=data.table)
    if "clusters" not in situation.objective.positives:
        with pytest.raises(ValueError, match="no positives by cluster"):
            value(situation, data, cluster=torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        situation.objective.options(temprature=0.1)


@every_situation
@pytest.mark.parametrize(
    ("dtype", "powers"), [(torch.float32, (63, 67, -73)), (torch.float64, (531, -531))], ids=str
)
def test_of_any_scale_where_scale_does_not_count(
    situation: Situation, dtype: torch.dtype, powers: tuple[int, ...]
) -> None:
    """What is the same of much longer or shorter vectors is the same where their
    squares overflow or vanish: at 1e19, 1e20 and 1e-22 in float32. The gradient is as much
    smaller."""

    def scaled(power: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        data = random_data(situation, 5, dtype)
        for x in (*data.online, *data.target, data.table.table):
            with torch.no_grad():
                x.mul_(2.0**power)
        loss = value(situation, data)
        found = torch.autograd.grad(loss, data.leaves, materialize_grads=True)
        return loss, [g * 2.0**power for g in found]

    wanted, gradients = scaled(0)
    for power in powers:
        if not torch.allclose(scaled(12 if power > 0 else -12)[0], wanted, rtol=1e-4):
            continue  # lengths count
        loss, found = scaled(power)
        torch.testing.assert_close(loss, wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found, gradients, rtol=1e-3, atol=1e-4)
