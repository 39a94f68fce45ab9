"""Viewfinder: learn image representations without labels, and see what made them good.

    import viewfinder as vf

    run = vf.pretrain("simclr", data="folder:photos", epochs=20)
    z = vf.load(run).encode(["a.jpg", "b.png"])

Each name is imported when it is first used, so ``import viewfinder`` alone is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viewfinder import losses, negatives, probes, register, regularizers, views
    from viewfinder.api import (
        compare,
        embed,
        evaluate,
        learn_views,
        load,
        open_data,
        pretrain,
        recipe,
        resume,
        search,
        sweep,
    )
    from viewfinder.core.table import Options
    from viewfinder.information.estimator import mutual_information
    from viewfinder.negatives.contract import Contrast, Negatives
    from viewfinder.recipes.methods import METHODS as methods  # noqa: N811

__version__ = "0.2.0"
__all__ = [
    "Contrast",
    "Negatives",
    "Options",
    "compare",
    "embed",
    "evaluate",
    "learn_views",
    "load",
    "losses",
    "methods",
    "mutual_information",
    "negatives",
    "open_data",
    "pretrain",
    "probes",
    "recipe",
    "register",
    "regularizers",
    "resume",
    "search",
    "sweep",
    "views",
]

_MODULES = ("losses", "negatives", "probes", "register", "regularizers", "views")
_OBJECTS = {
    "Contrast": ("viewfinder.negatives.contract", "Contrast"),
    "Negatives": ("viewfinder.negatives.contract", "Negatives"),
    "Options": ("viewfinder.core.table", "Options"),
    "methods": ("viewfinder.recipes.methods", "METHODS"),
    "mutual_information": ("viewfinder.information.estimator", "mutual_information"),
    **{
        name: ("viewfinder.api", name)
        for name in (
            *("compare", "embed", "evaluate", "learn_views", "load", "open_data"),
            *("pretrain", "recipe", "resume", "search", "sweep"),
        )
    },
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found: Any = import_module(f"viewfinder.{name}")
    elif name in _OBJECTS:
        module, attribute = _OBJECTS[name]
        found = getattr(import_module(module), attribute)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
