"""A loss in a compiled step is the loss, and so are its gradients."""

from __future__ import annotations

import pytest
import torch
from situations import SITUATIONS, Situation, random_data
from torch import Tensor

from viewfinder.objectives import Inputs
from viewfinder.objectives.deep_info_max import Divergence, deep_info_max

# One of each loss and kind of negatives: tracing takes seconds.
COMPILED = {(s.objective.name, s.negatives): s for s in reversed(SITUATIONS) if not s.chosen}


def both(step, leaves: list[Tensor]) -> None:
    """Compare value and gradients, compiled and not. "aot_eager" traces the gradient as inductor
    does, and compiles nothing."""
    plain = step()
    wanted = torch.autograd.grad(plain, leaves, allow_unused=True)
    torch._dynamo.reset()
    made = torch.compile(step, backend="aot_eager")()
    torch.testing.assert_close(made, plain, rtol=1e-12, atol=1e-14)
    found = torch.autograd.grad(made, leaves, allow_unused=True)
    for one, other in zip(found, wanted, strict=True):
        zero = torch.zeros(())
        one, other = (zero if x is None else x for x in (one, other))  # unused, or without effect
        torch.testing.assert_close(one, other.expand_as(one), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("situation", COMPILED.values(), ids=str)
def test_a_compiled_loss_has_the_value_and_the_gradients(situation: Situation) -> None:
    data = random_data(situation, 4)
    objective, index = situation.objective, torch.arange(4)
    table = data.table.table.requires_grad_()
    inputs = Inputs(
        data.online,
        data.online if objective.target == "unused" else data.target[::-1],
        index,
        situation.clusters(4),
        situation.tags(4),
        situation.contrast(data.table, index),
        situation.state(torch.float64),
    )
    learned = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    options = situation.options()
    if situation.has_temperature:
        options = options.model_copy(update={objective.temperature: learned})

    def step() -> Tensor:
        return objective.compute(inputs, options)["loss"]

    both(step, [*data.leaves, table, learned])


@pytest.mark.parametrize("form", Divergence.__args__)
def test_a_compiled_step_has_the_gradients_of_deep_info_max(form: str) -> None:
    generator = torch.Generator().manual_seed(0)
    query, places = (
        torch.randn(*shape, generator=generator, dtype=torch.float64).mul_(0.3).requires_grad_()
        for shape in ((4, 5), (4, 3, 5))
    )
    own = -10 if form == "info-nce" else None
    both(lambda: deep_info_max(query, places, form, own=own), [query, places])
