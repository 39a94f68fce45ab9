"""The terms: the paper's and the code's conventions, and the bounds they claim to be."""

from __future__ import annotations

import math

import pytest
import torch
from golden.cases import Case, assert_golden, golden_cases
from torch import Tensor
from torch.distributions import Bernoulli, Laplace, Normal

from viewfinder.objectives import nt_xent
from viewfinder.regularizers import (
    add_noise,
    inverse_predictive,
    lower_bound_estimate,
    reconstruction,
)


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def of(*variants: str):
    return golden_cases("infocl", lambda c: c.params["variant"] in variants)


@pytest.mark.parametrize("case", of("lbe"))
def test_golden_lower_bound_estimate(case: Case) -> None:
    rho = case.params["rho"]
    assert_golden(case, lambda x: lower_bound_estimate(x["mu"], x["h"], rho, sum_over="means"))
    if case.alternatives:
        assert_golden(
            case, lambda x: lower_bound_estimate(x["mu"], x["h"], rho), alternative="lbe_paper"
        )


@pytest.mark.parametrize(("dim", "rho"), [(512, 0.05), (2048, 0.0125)])
def test_rho_is_that_of_the_released_code_for_its_two_widths(dim: int, rho: float) -> None:
    mean, noisy = draw(0, 4, dim), draw(1, 4, dim)
    assert lower_bound_estimate(mean, noisy) == lower_bound_estimate(mean, noisy, rho)


@pytest.mark.parametrize("case", of("lbe_layers"))
def test_golden_lower_bound_estimate_of_several_stages(case: Case) -> None:
    weights = {"2": 0.25, "3": 0.5, "4": 1.0}

    def loss(x):
        stages = [
            weight * lower_bound_estimate(x[f"mu{n}"], x[f"h{n}"], 0.05, sum_over="means")
            for n, weight in weights.items()
        ]
        return sum(stages[1:], stages[0])

    assert_golden(case, loss)


@pytest.mark.parametrize("case", of("simclr_lbe"))
def test_golden_simclr_with_lower_bound_estimate(case: Case) -> None:
    p = case.params
    assert_golden(
        case,
        lambda x: (
            nt_xent(x["z_i"], x["z_j"], p["temperature"])
            - p["lambda"] * lower_bound_estimate(x["mu"], x["h"], p["rho"], sum_over="means")
        ),
    )


@pytest.mark.parametrize("case", of("rc"))
def test_golden_reconstruction(case: Case) -> None:
    def loss(x, **options):
        return reconstruction(x["recon_i"], x["x_i"], **options) + reconstruction(
            x["recon_j"], x["x_j"], **options
        )

    assert_golden(case, lambda x: loss(x, elements="mean"))
    if case.alternatives:
        assert_golden(case, loss, alternative="per_sample_squared_norm")


@pytest.mark.parametrize("case", of("ip/mib"))
def test_golden_inverse_predictive(case: Case) -> None:
    assert_golden(case, lambda x: inverse_predictive(x["h_i"], x["h_j"], elements="mean"))
    if case.alternatives:
        assert_golden(
            case,
            lambda x: inverse_predictive(x["h_i"], x["h_j"]),
            alternative="paper_squared_norm",
        )


def test_reconstruction_is_the_likelihood_up_to_constants() -> None:
    """Against torch's distributions: differences between two decoders, where constants cancel."""
    view, first, second = draw(0, 4, 3, 2), draw(1, 4, 3, 2), draw(2, 4, 3, 2)
    kinds = {
        "gaussian": (view, lambda mu: Normal(mu, 1 / math.sqrt(2))),
        "laplace": (view, lambda mu: Laplace(mu, 1.0)),
        "bernoulli": ((view > 0).double(), lambda mu: Bernoulli(logits=mu)),
    }
    for kind, (seen, distribution) in kinds.items():
        ours = reconstruction(first, seen, kind) - reconstruction(second, seen, kind)
        theirs = [-distribution(mu).log_prob(seen).sum() / 4 for mu in (first, second)]
        torch.testing.assert_close(ours, theirs[0] - theirs[1])


def information_estimate(mean: Tensor, noisy: Tensor, rho: float, sum_over: str) -> Tensor:
    """The whole InfoNCE bound on I(z, v) in nats, from the scores as it is defined:

    log N - 1/N sum_k [ rho || z_k - f(v_k) ||^2 + log sum_l exp( -rho || z_l - f(v_k) ||^2 ) ]
    """
    anchors, keys = (mean, noisy) if sum_over == "noisy" else (noisy, mean)
    scores = -rho * torch.cdist(anchors, keys, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    return math.log(len(mean)) + scores.log_softmax(dim=1).diagonal().mean()


def linear_gaussian(
    seed: int, samples: int, weight: Tensor, sigma: float
) -> tuple[Tensor, Tensor, float]:
    """f(v) = W v of standard normal v, z = f(v) + sigma e, and I(z, v) in closed form."""
    mean = draw(seed, samples, weight.shape[1]) @ weight.T
    noisy = add_noise(mean, sigma, torch.Generator().manual_seed(seed + 1000))
    covariance = torch.eye(len(weight), dtype=weight.dtype) + weight @ weight.T / sigma**2
    return mean, noisy, 0.5 * torch.logdet(covariance).item()


@pytest.mark.parametrize("sum_over", ["noisy", "means"])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_estimate_is_below_the_information_of_a_linear_gaussian_encoder(
    sum_over: str, sigma: float, scale: float
) -> None:
    weight, exact_rho = draw(99, 3, 4), 1 / (2 * sigma**2)
    estimates = []
    for seed in range(20):
        mean, noisy, truth = linear_gaussian(seed, 128, weight, sigma)
        estimate = information_estimate(mean, noisy, scale * exact_rho, sum_over)
        estimates.append(estimate.item())
        assert estimates[-1] <= math.log(128) + 1e-12
    average = sum(estimates) / len(estimates)
    error = torch.tensor(estimates).std().item() / math.sqrt(len(estimates))
    assert average <= truth + 3 * error
    # and close to it where the scores are log p(z | v) + c(z), far from the ceiling
    if scale == 1 and sum_over == "means" and truth < math.log(128) / 2:
        assert average >= truth - 3 * error - 0.1


@pytest.mark.parametrize("sum_over", ["noisy", "means"])
def test_estimate_is_the_lbe_and_what_does_not_depend_on_the_encoder(sum_over: str) -> None:
    mean, noisy, _ = linear_gaussian(0, 16, draw(99, 3, 4), 0.5)
    lbe = lower_bound_estimate(mean, noisy, 2.0, sum_over=sum_over)
    own = 2.0 * (noisy - mean).square().sum(dim=1).mean()
    estimate = information_estimate(mean, noisy, 2.0, sum_over)
    torch.testing.assert_close(estimate, math.log(16) + lbe - own)


def test_reconstruction_bounds_the_information_of_a_linear_gaussian_encoder() -> None:
    """H(v) - E[-log q(v|z)] <= I(z, v), with equality for the exact posterior."""
    weight, sigma, samples = draw(99, 3, 3), 0.5, 4000
    v = draw(0, samples, 3)
    z = add_noise(v @ weight.T, sigma, torch.Generator().manual_seed(1))
    information = 0.5 * torch.logdet(torch.eye(3) + weight @ weight.T / sigma**2).item()
    posterior = torch.linalg.inv(torch.eye(3) + weight.T @ weight / sigma**2)
    best = z @ (posterior @ weight.T / sigma**2).T
    entropy = 1.5 * math.log(2 * math.pi * math.e)

    def bound(decoded: Tensor) -> float:
        squared = reconstruction(decoded, v).item()  # q = N(mu, s^2), s^2 the best there is
        return entropy - 1.5 * math.log(2 * math.pi * squared / 3) - 1.5

    assert bound(0.8 * best) < bound(best) <= information + 0.05


def test_far_from_the_origin_distances_stay_exact() -> None:
    mean = draw(0, 8, 4).float() + 1000
    noisy = add_noise(mean, 0.1, torch.Generator().manual_seed(0))
    exact = lower_bound_estimate(mean.double(), noisy.double(), 5.0)
    assert lower_bound_estimate(mean, noisy, 5.0).item() == pytest.approx(exact.item(), abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_precision_and_gradients(dtype: torch.dtype) -> None:
    x, y = draw(0, 2, 3).to(dtype).requires_grad_(), draw(1, 2, 3).to(dtype).requires_grad_()
    losses = {
        "lbe": lambda a, b: lower_bound_estimate(a, b),
        "ip": inverse_predictive,
        "gaussian": reconstruction,
        "bernoulli": lambda a, b: reconstruction(a, b.sigmoid(), "bernoulli"),
    }
    for loss in losses.values():
        value = loss(x, y)
        wanted = torch.float32 if dtype == torch.bfloat16 else dtype
        assert (value.dtype, value.ndim) == (wanted, 0)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(loss(x, y), value)
        if dtype == torch.float64:
            torch.autograd.gradcheck(loss, (x, y))


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="decoded and view"):
        reconstruction(torch.zeros(2, 3), torch.zeros(3, 3))
    with pytest.raises(ValueError, match="mean and noisy"):
        lower_bound_estimate(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="first and second"):
        inverse_predictive(torch.zeros(2, 3), torch.zeros(2, 4))
