"""The losses under the name of ``vf.losses``: ``from viewfinder.losses import NTXent``.

They are those of ``viewfinder.objectives``, the layer of the house in which they live.
"""

from __future__ import annotations

from viewfinder.objectives import *  # noqa: F403
from viewfinder.objectives import __all__ as __all__


def __dir__() -> list[str]:
    return __all__
