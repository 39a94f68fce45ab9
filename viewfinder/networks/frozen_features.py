"""Features of a frozen encoder: extracted once, in evaluation mode, and kept."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError, unknown
from viewfinder.core.files import replacing, writing
from viewfinder.data.source import Data, sides_of

View = Callable[..., Tensor | Mapping[str, Tensor]]
"""Makes of uint8 images (n, C, H, W) what the encoder takes; where they have ``sides``, it is given
them too."""
AUTOCAST = {"32": None, "64": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def batches(images: Data, batch_size: int) -> Iterator[tuple[range, Tensor, Tensor | None]]:
    """All images in order: their positions, uint8 (n, C, H, W), and their sides, see ``sides_of``.

    The next batch is read while the present one is used, so two are in memory at a time."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive, got {batch_size}")
    spans = [
        range(start, min(start + batch_size, len(images)))
        for start in range(0, len(images), batch_size)
    ]

    def read(span: range) -> Tensor:
        return images.read(np.arange(span.start, span.stop))

    with ThreadPoolExecutor(max_workers=1) as reader:
        pending = reader.submit(read, spans[0]) if spans else None
        for span, following in zip(spans, [*spans[1:], None], strict=True):
            assert pending is not None
            batch = pending.result()
            pending = reader.submit(read, following) if following is not None else None
            yield span, batch, sides_of(images, slice(span.start, span.stop))


@contextmanager
def evaluating(encoder: nn.Module) -> Iterator[None]:
    """Evaluation mode for the whole encoder; every submodule's own flag comes back afterwards."""
    flags = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag


def encode(
    encoder: nn.Module,
    images: Tensor,
    view: View,
    device: torch.device | str,
    precision: str | None,
    sides: Tensor | None = None,
) -> Tensor:
    """Features float32 (n, D) of uint8 images (n, C, H, W), on ``device``, without a graph.

    ``sides``: see ``sides_of``.

    Raises UserError where the encoder does not give one vector per image.
    """
    device = torch.device(device)
    if precision is not None and precision not in AUTOCAST:
        raise unknown("precision", precision, AUTOCAST)
    kind = AUTOCAST[precision or "32"]
    # not inference mode: what a view or an encoder keeps for later must stay usable in training
    with torch.no_grad(), torch.autocast(device.type, dtype=kind, enabled=kind is not None):
        shown = images.to(device)
        views = view(shown) if sides is None else view(shown, sides.to(device))
        features = features_of(encoder, views, torch.float64 if precision == "64" else None)
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != len(images):
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise UserError(
            f"the encoder gave {shape} for {len(images)} images; one vector per image, "
            f"({len(images)}, D), is expected",
            fix="global pooling at the end of the encoder",
        )
    return features.float()


def features_of(
    encoder: nn.Module, views: Tensor | Mapping[str, Tensor], dtype: torch.dtype | None = None
) -> Tensor:
    """What the encoder makes of a view; or, with a view for each network, theirs side by side."""
    if isinstance(views, Tensor):
        found: Tensor = encoder(views.to(dtype) if views.is_floating_point() else views)
        return found
    if not isinstance(encoder, nn.ModuleDict):
        (only,) = views.values()
        return features_of(encoder, only, dtype)
    return torch.cat([encoder[name](view.to(dtype)) for name, view in views.items()], 1)


def extract(
    encoder: nn.Module,
    images: Data,
    view: View,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
    precision: str | None = None,
) -> Tensor:
    """Features of all images in order, float32 (N, D) on the CPU.

    ``view`` makes of uint8 images (n, C, H, W) what the encoder takes; where the encoder is a
    ModuleDict, what each of its networks takes, by name: their features are joined. It is moved to
    ``device`` and runs in evaluation mode without gradients: batch-norm uses its running statistics
    and leaves them, no weight changes, and the training flag of every submodule is restored.
    ``precision``: None or "32", "bf16-mixed", "16-mixed", or "64" for an encoder in float64.

    Raises UserError where a feature is not finite, or where the encoder's output is no vector.

    >>> features = extract(encoder, split.data, view)  # doctest: +SKIP
    """
    encoder.to(device)
    features = torch.empty(0, 0)
    with evaluating(encoder):
        for span, batch, sides in batches(images, batch_size):
            block = encode(encoder, batch, view, device, precision, sides)
            if span.start == 0:
                features = torch.empty(len(images), block.shape[1])
            features[span.start : span.stop] = block
    check_finite(features)
    return features


def check_finite(features: Tensor, first: int = 0) -> None:
    """Raise UserError, with the number and the positions, where rows are not finite.

    ``first`` is the position of row 0 in the data.
    """
    bad = (~features.isfinite().all(1)).nonzero().squeeze(1)
    if len(bad):
        shown = ", ".join(str(first + int(i)) for i in bad[:5])
        more = ", …" if len(bad) > 5 else ""
        raise UserError(
            f"the features of {len(bad)} of {len(features)} images are not finite "
            f"(positions {shown}{more}): the weights may have diverged",
            fix="an earlier checkpoint, or precision=32",
        )


def fingerprint(encoder: nn.Module, *facts: str) -> str:
    """A key that changes with the weights, the buffers or any of the ``facts`` (data, view, ...).

    >>> key = fingerprint(encoder, "cifar10 train", "resize 32, centre crop")  # doctest: +SKIP
    """
    digest = hashlib.sha256()
    digest.update(repr(facts).encode())
    for name, value in encoder.state_dict().items():
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(_bytes(value))
    digest.update(type(encoder).__qualname__.encode())
    return digest.hexdigest()


def cached_features(path: Path, key: str, compute: Callable[[], Tensor]) -> Tensor:
    """What ``compute`` gives, read from the safetensors file ``path`` if it was kept under ``key``.

    A file with another key, a damaged one or none is replaced, whole, by a new one. Where it
    cannot be written a warning says so and the features are returned all the same.

    >>> x = cached_features(run / "features" / "train.safetensors", key,
    ...                     lambda: extract(encoder, images, view))  # doctest: +SKIP
    """
    from safetensors.torch import save_file

    kept = _kept(path, key)
    if kept is not None:
        return kept
    features = compute().detach().cpu().contiguous()
    try:
        with replacing(path) as temporary, writing(path):
            content = {"key": key, "sha256": _digest(features)}
            save_file({"features": features}, temporary, metadata=content)
    except UserError as error:
        warnings.warn(f"the features are not kept: {error}", stacklevel=2)
    return features


def _kept(path: Path, key: str) -> Tensor | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            content = file.metadata() or {}
            if content.get("key") != key:
                return None
            features: Tensor = file.get_tensor("features")
    except (OSError, SafetensorError):
        return None
    return features if content.get("sha256") == _digest(features) else None


def _digest(tensor: Tensor) -> str:
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
