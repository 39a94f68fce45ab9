"""What copies in train do to the score of the test images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.classification import evaluate_features
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.evaluation.run_images import RunImages


@dataclass(frozen=True)
class Effect:
    """The top-1 accuracy, 0..1, of a probe that is fitted on train: on all test images, on those
    that have no copy in train, and on those that have one."""

    protocol: str
    images: int
    copied: int
    top1: float
    without: float
    of_copied: float

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def in_words(self) -> str:
        """One sentence of it."""
        return (
            f"{self.protocol}: {100 * self.top1:.1f} % on all {self.images:,} test images, "
            f"{100 * self.without:.1f} % without the {self.copied:,} that have a copy in train "
            f"({100 * self.of_copied:.1f} % on those)"
        )


def effect_of_copies(images: RunImages, group: np.ndarray) -> list[Effect]:
    """An effect for each protocol of the run's recipe; none where no test image with a label has a
    copy in train, or where all have.

    group  int64 (N,), the same number for copies of each other, -1 for an image without
    """
    known, evaluation = images.embeddings, images.recipe.evaluation
    if known.labels is None:
        return []
    split, labelled = np.array(known.split), known.labels >= 0
    train, test = ((split == name) & labelled for name in ("train", "test"))
    copied = test & np.isin(group, group[(split == "train") & (group >= 0)])
    if not copied.any() or not (test & ~copied).any() or not train.any():
        return []
    settings = {"k": min(evaluation.k, int(train.sum())), "temperature": evaluation.temperature}
    found: list[Effect] = []
    for protocol in evaluation.protocols:
        taken = PROBES[protocol].options.model_fields
        own = {key: value for key, value in settings.items() if key in taken}

        def top1(which: np.ndarray, protocol: str = protocol, own: Any = own) -> float:
            x, y = known.vectors, known.labels
            assert y is not None
            return evaluate_features(
                *(x[train], y[train], x[which], y[which], protocol),
                options=own,
                seed=images.recipe.seed,
            ).top1

        try:
            whole, rest = top1(test), top1(test & ~copied)
        except UserError as error:  # labels that no probe can be fitted to
            say(f"note: what the copies do to the score was not measured: {error}")
            return found
        n, m = int(test.sum()), int(copied.sum())
        of_copied = (n * whole - (n - m) * rest) / m
        found.append(Effect(protocol, n, m, whole, rest, float(np.clip(of_copied, 0, 1))))
    return found
