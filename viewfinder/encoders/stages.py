"""What inner stages of an encoder give, taken while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from viewfinder.errors import UserError


def stage_names(encoder: nn.Module) -> list[str]:
    """The submodules to think of as stages: the encoder's children and theirs, but for bare
    convolutions and batch norms, whose outputs are not activations yet."""
    inner = (nn.Conv2d, nn.BatchNorm2d)
    return [
        name
        for name, module in encoder.named_modules()
        if name and name.count(".") < 2 and not isinstance(module, inner)
    ]


def check_stages(encoder: nn.Module, names: Sequence[str]) -> None:
    """Raise UserError where the encoder has no submodule of that name; lists likely ones."""
    known = stage_names(encoder)
    for name in names:
        if name not in dict(encoder.named_modules()):
            raise UserError(
                f"the encoder has no stage {name!r}. It has: {', '.join(known)}",
                fix=f"{{{known[-1]}: 1}}" if known else None,
            )


@contextmanager
def captured(encoder: nn.Module, names: Sequence[str]) -> Iterator[dict[str, list[Tensor]]]:
    """Inside, what each stage gives is kept, one (N, D) tensor a pass of the encoder.

    Maps (N, D, H, W) are averaged over their area; tokens (N, T, D) over the tokens.

    >>> with captured(encoder, ["layer3"]) as stages:  # doctest: +SKIP
    ...     encoder(images)
    >>> stages["layer3"][0].shape  # doctest: +SKIP
    torch.Size([256, 256])
    """
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Tensor) -> None:
            pooled = output
            if output.ndim == 4:
                pooled = output.mean(dim=(2, 3))
            elif output.ndim == 3:
                pooled = output.mean(dim=1)
            seen[name].append(pooled)

        return hook

    handles = [encoder.get_submodule(n).register_forward_hook(keep(n)) for n in names]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
