"""What inner stages of an encoder give, taken while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError, nearest


def stage_names(encoder: nn.Module) -> list[str]:
    """The submodules to think of as stages: the encoder's children and theirs, except single
    convolutions, batch norms and ReLUs."""
    inner = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)
    return [
        name
        for name, module in encoder.named_modules()
        if name and name.count(".") < 2 and not isinstance(module, inner)
    ]


def check_stages(
    encoder: nn.Module, names: Sequence[str], shape: Sequence[int], key: str
) -> set[str]:
    """Those of the stages whose output is the encoder's own, as the last map of a ResNet is.

    shape  of one input
    key    of the recipe that names the stages, for the messages

    Raises UserError where a stage cannot be used: the encoder has no submodule of that name (likely
    ones are listed), or it is not called once in a pass, or gives no (N, D), (N, T, D) or
    (N, D, H, W). Nothing about the encoder changes.
    """
    known = stage_names(encoder)
    for name in names:
        if name not in dict(encoder.named_modules()):
            guess = nearest(name, known) or (known[-1] if known else None)
            raise UserError(
                f"the encoder has no stage {name!r}. It has: {', '.join(known)}",
                fix=f"{key}={{{guess}: 1}}" if guess else None,
            )
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    training = encoder.training
    try:
        with torch.no_grad(), captured(encoder.eval(), names) as seen:
            output = encoder(x)
    finally:
        encoder.train(training)
    for name, outputs in seen.items():
        if len(outputs) != 1:
            raise UserError(
                f"stage {name!r} of the encoder is called {len(outputs)} times for each view; "
                "what a stage is must be called once",
                fix=f"another of {', '.join(known)} in {key}",
            )
    return {
        name
        for name, (pooled,) in seen.items()
        if pooled.shape == output.shape and torch.allclose(pooled, output, rtol=1e-4)
    }


def channels_last(output: Tensor) -> bool:
    """Whether maps are (N, H, W, D), as some transformers have them: the sides of views are
    equal."""
    _, first, second, third = output.shape
    return first == second != third


def _pooled(name: str, output: Any) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim not in (2, 3, 4):
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise UserError(
            f"stage {name!r} of the encoder gives {got}; (N, D), (N, T, D) or (N, D, H, W) is "
            "expected"
        )
    if output.ndim == 4:
        return output.mean(dim=(1, 2) if channels_last(output) else (2, 3))
    return output.mean(dim=1) if output.ndim == 3 else output


@contextmanager
def captured(encoder: nn.Module, names: Sequence[str]) -> Iterator[dict[str, list[Tensor]]]:
    """Inside, what each stage gives is kept, one (N, D) tensor per pass of the encoder.

    Square maps (N, D, H, W), or (N, H, W, D) as some transformers have them, are averaged over
    their area; tokens (N, T, D) over the tokens. Raises UserError for other outputs.

    >>> with captured(encoder, ["layer3"]) as stages:  # doctest: +SKIP
    ...     encoder(images)
    >>> stages["layer3"][0].shape  # doctest: +SKIP
    torch.Size([256, 256])
    """
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            seen[name].append(_pooled(name, output))

        return hook

    handles = [encoder.get_submodule(n).register_forward_hook(keep(n)) for n in names]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
