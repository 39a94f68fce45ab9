"""Views of batches: lists of steps, splits that say which views come out, and named presets."""

from __future__ import annotations

from viewfinder.views.compose import compose, preset
from viewfinder.views.contract import Strength, Transform
from viewfinder.views.items import ViewSpec
from viewfinder.views.maker import ViewMaker
from viewfinder.views.pipeline import Pipeline
from viewfinder.views.render import render_views
from viewfinder.views.table import PRESETS, SPLITS, STEPS

__all__ = [
    "PRESETS",
    "SPLITS",
    "STEPS",
    "Pipeline",
    "Strength",
    "Transform",
    "ViewMaker",
    "ViewSpec",
    "compose",
    "preset",
    "render_views",
]


def __dir__() -> list[str]:
    return __all__
