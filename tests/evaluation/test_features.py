from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.networks.frozen_features import cached_features, extract, fingerprint

Make = Callable[..., Any]


def view(images: Tensor) -> Tensor:
    return images.float() / 255


def flat(images: Tensor) -> Tensor:
    return view(images).flatten(1)


def network() -> nn.Sequential:
    """Batch-norm and dropout, with a part that is frozen in evaluation mode on purpose."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5)
    )
    net.train()
    net[1].eval()
    return net


def test_nothing_of_the_encoder_changes(random_images: Make) -> None:
    net = network()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    extract(net, random_images(20), view, batch_size=8)
    assert [module.training for module in net] == [True, False, True, True, True]
    assert net.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_the_flags_come_back_after_an_error(random_images: Make) -> None:
    net = network()

    def broken(images: Tensor) -> Tensor:
        raise RuntimeError("no view")

    with pytest.raises(RuntimeError, match="no view"):
        extract(net, random_images(4), broken)
    assert [module.training for module in net] == [True, False, True, True, True]


@pytest.mark.parametrize("batch_size", [1, 7, 20, 512])
def test_order_and_batches_do_not_matter(random_images: Make, batch_size: int) -> None:
    images = random_images(20)
    net = network().eval()
    features = extract(net, images, view, batch_size=batch_size)
    with torch.no_grad():
        wanted = net(view(images.images))
    torch.testing.assert_close(features, wanted)
    assert features.dtype == torch.float32
    assert sum(images.reads) == 20
    assert max(images.reads) <= batch_size


def test_features_can_be_trained_on(random_images: Make) -> None:
    net = network()
    features = extract(net, random_images(4), view)
    layer = nn.Linear(features.shape[1], 2)
    layer(features).sum().backward()
    net(view(random_images(4).images)).sum().backward()
    assert layer.weight.grad is not None


def test_bf16_gives_float32(random_images: Make) -> None:
    images = random_images(4)
    exact = extract(network(), images, view)
    rough = extract(network(), images, view, precision="bf16-mixed")
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.05)


def test_double_precision_encoders(random_images: Make) -> None:
    images = random_images(4)
    doubled = extract(network().double(), images, view, precision="64")
    torch.testing.assert_close(doubled, extract(network(), images, view))


def test_an_unknown_precision_is_named(random_images: Make) -> None:
    with pytest.raises(UserError, match="bf16-mixed"):
        extract(network(), random_images(4), view, precision="bf16-mixd")


def test_features_that_are_not_finite_are_counted_and_placed(random_images: Make) -> None:
    bad_rows = iter([[1], [1], [0]])  # of the batches 0..3, 4..7 and 8

    def sometimes_infinite(images: Tensor) -> Tensor:
        x = flat(images)
        x[next(bad_rows)] = torch.inf
        return x

    with pytest.raises(UserError, match=r"3 of 9 images are not finite \(positions 1, 5, 8\)"):
        extract(nn.Identity(), random_images(9), sometimes_infinite, batch_size=4)


@pytest.mark.parametrize("net", [nn.Identity(), nn.Flatten(0)])
def test_an_output_that_is_no_vector_is_refused(random_images: Make, net: nn.Module) -> None:
    with pytest.raises(UserError, match=r"one vector per image, \(4, D\)"):
        extract(net, random_images(4), view)


def test_the_cache_is_used_and_renewed(tmp_path: Path) -> None:
    path, calls = tmp_path / "features" / "train.safetensors", []

    def compute() -> Tensor:
        calls.append(1)
        return torch.arange(6.0).view(3, 2) + len(calls)

    first = cached_features(path, "a", compute)
    assert torch.equal(cached_features(path, "a", compute), first)
    assert len(calls) == 1
    second = cached_features(path, "b", compute)  # stale
    assert len(calls) == 2
    assert torch.equal(load_file(path)["features"], second)
    assert [p.name for p in path.parent.iterdir()] == ["train.safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "other", "header"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.safetensors"
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    cached_features(path, "key", lambda: features)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[:-10]
    elif damage == "empty":
        content = bytearray()
    elif damage == "flipped":
        content[-1] ^= 1
    elif damage == "other":
        content = bytearray(b"\x80\x04N.")
    else:
        content[:8] = b"\xff" * 8
    path.write_bytes(content)
    assert torch.equal(cached_features(path, "key", lambda: features + 1), features + 1)
    assert torch.equal(cached_features(path, "key", lambda: features), features + 1)


def test_a_cache_that_cannot_be_kept_costs_no_features(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="not kept"):
        x = cached_features(tmp_path / "file" / "x.safetensors", "key", lambda: torch.ones(2, 2))
    assert torch.equal(x, torch.ones(2, 2))


def test_an_error_while_computing_leaves_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    cached_features(path, "key", lambda: torch.ones(2, 2))
    before = path.read_bytes()

    def fail() -> Tensor:
        raise OSError("an image went away")

    with pytest.raises(OSError, match="went away"):
        cached_features(path, "other", fail)
    assert path.read_bytes() == before


def test_the_fingerprint_follows_weights_buffers_and_facts() -> None:
    key = fingerprint(network(), "cifar10", "crop")
    assert key == fingerprint(network(), "cifar10", "crop")
    keys = {key, fingerprint(network(), "cifar10", "other"), fingerprint(network(), "cifar10crop")}
    changed = network()
    with torch.no_grad():
        changed[0].weight[0, 0, 0, 0] += 1e-6
    keys.add(fingerprint(changed, "cifar10", "crop"))
    norm = network()
    norm[1].running_mean += 1e-6
    keys.add(fingerprint(norm, "cifar10", "crop"))
    assert len(keys) == 5


def test_no_warning_in_the_usual_case(tmp_path: Path, random_images: Make) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        cached_features(tmp_path / "x", "k", lambda: extract(network(), random_images(4), view))
    assert not seen


def test_images_are_read_by_position(random_images: Make) -> None:
    images = random_images(5)
    features = extract(nn.Identity(), images, flat, batch_size=2)
    np.testing.assert_allclose(features[3] * 255, images.images[3].flatten(), rtol=1e-6)
