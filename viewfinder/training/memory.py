"""What a run needs of memory, estimated before anything of it is made.

The network is built on torch's meta device, where tensors have shapes and no bytes. What is counted
is what there must be at once, so that the estimate is a lower bound: weights with their gradients
and what the optimiser keeps of them, copies, memories of keys, the views of a step with what the
encoder keeps of them for the gradient, and what the workers read ahead.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.core.optimizers import OPTIMIZERS
from viewfinder.recipes.recipe import Recipe
from viewfinder.training.parts import Parts

READ_AHEAD = 2
"""Batches that a worker of torch's loader keeps."""


def check_memory(
    recipe: Recipe, clusters: np.ndarray | None, tags: np.ndarray | None, n: int, console: Console
) -> None:
    """Raise UserError, with the key that counts most, where a run cannot fit into memory; a note
    where it takes more than half. The arguments are those of ``Parts``."""
    there = available(recipe)
    needed = needs(recipe, clusters, tags, n)
    total = sum(needed.values())
    if there is None or total <= there / 2:
        return
    key, most = max(needed.items(), key=lambda item: item[1])
    told = f"{in_units(total)} of memory are needed at least, of which {key} takes {in_units(most)}"
    if total > there:
        raise UserError(f"{told}; there are {in_units(there)}", fix=f"a smaller {key}")
    say(f"note: {told}; there are {in_units(there)}", console)


def needs(
    recipe: Recipe, clusters: np.ndarray | None, tags: np.ndarray | None, n: int
) -> Mapping[str, int]:
    """Bytes by the key of the recipe that they are for; empty where the network cannot be built
    without bytes."""
    row = recipe.negatives.row
    drawn = 8 * _share(recipe) * row.drawn(recipe.negatives.options())
    found: Counter[str] = Counter({"workers": _ahead(recipe), f"negatives.{row.bare}": drawn})
    try:
        with torch.device("meta"):
            parts = Parts(_without_weights(recipe), clusters, tags, n)
            found["batch_size"] = _step(recipe, parts)
    except UserError:
        raise
    except Exception:  # an encoder of one's own may need values; then nothing is known beforehand
        return {}
    kept = OPTIMIZERS.find(recipe.optimizer.name).states(recipe.optimizer.momentum)
    for name, tensor in {**dict(parts.named_parameters()), **dict(parts.named_buffers())}.items():
        trained = isinstance(tensor, nn.Parameter) and tensor.requires_grad
        found[_key(name, recipe)] += _bytes(tensor) * (2 + kept if trained else 1)
    return found


def available(recipe: Recipe) -> int | None:
    """Bytes of the device that the recipe trains on; None where that is not known."""
    if recipe.accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    if recipe.accelerator == "gpu" or not hasattr(os, "sysconf"):
        return None
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container
    if limit.is_file() and (text := limit.read_text().strip()).isdecimal():
        found.append(int(text))
    return min(found) // recipe.devices  # the processes of a machine share it


def in_units(size: float) -> str:
    """
    >>> in_units(512e9), in_units(3e6)
    ('512 GB', '0.003 GB')
    """
    return f"{size / 1e9:,.0f} GB" if size >= 1e10 else f"{size / 1e9:.2g} GB"


def _key(name: str, recipe: Recipe) -> str:
    """The key that says how large a tensor of the module is."""
    part, _, rest = name.partition(".")
    if part == "networks":
        return _sized("encoder", recipe) if ".encoder." in f".{rest}" else "head.projector"
    owner = {"target": _sized("encoder", recipe), "negatives": _sized("negatives", recipe)}
    if recipe.negatives.row.stable_index:  # a row of each datum
        owner["negatives"] = "data.limit"
    owner |= {"states": _sized("objective", recipe), "regularization": "regularizers"}
    return owner.get(part, "data.limit")


def _sized(part: str, recipe: Recipe) -> str:
    """The option of a part that sets a size, or the part."""
    options: Any = recipe.choices()[part].options()
    names = ("size", "widths", "model", "prototypes", "queue")
    given = [name for name in names if getattr(options, name, None)]
    return f"{part}.{given[0]}" if given else part


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _share(recipe: Recipe) -> int:
    """The images of a step on one device."""
    return math.ceil(recipe.batch_size / recipe.processes)


def _ahead(recipe: Recipe) -> int:
    """Bytes of the images, 8 bits a value, that the workers have read."""
    return recipe.workers * READ_AHEAD * _share(recipe) * math.prod(recipe.domain.shape)


def _without_weights(recipe: Recipe) -> Recipe:
    """The recipe with an encoder for which nothing is loaded."""
    if not getattr(recipe.encoder.options(), "pretrained", False):
        return recipe
    return recipe.model_copy(
        update={"encoder": recipe.encoder.model_copy(update={"pretrained": False})}
    )


def _step(recipe: Recipe, parts: Parts) -> int:
    """Bytes of all views of a step, and of the outputs of the encoder's layers for those that pass
    with a gradient."""
    views = sum(4 * math.prod(domain.shape) for domain in parts.maker.domains)
    kept = 0
    for view in parts.passing:
        domain = parts.maker.domains[view]
        kept += _activations(parts.network_of(view).encoder, domain.shape)
    return (views + kept) * _share(recipe)


def _activations(encoder: nn.Module, shape: Iterable[int]) -> int:
    """Bytes of the outputs of an encoder's convolutions and linear layers for one view."""
    total = 0

    def add(module: nn.Module, given: Any, made: Any) -> None:
        nonlocal total
        total += _bytes(made) if isinstance(made, Tensor) else 0

    layers = [one for one in encoder.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        with torch.no_grad():
            encoder(torch.zeros(2, *shape))
    finally:
        for hook in hooks:
            hook.remove()
    return total // 2
