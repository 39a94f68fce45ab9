"""The tables of steps, splits and presets. To add a step: write it in a file of ``steps``, and its
row here; ``tests/views/test_steps.py`` then holds it to what all steps keep."""

from __future__ import annotations

from viewfinder.core.table import Table
from viewfinder.views.contract import Step
from viewfinder.views.maker import Split
from viewfinder.views.presets import ROWS, Preset
from viewfinder.views.splits.channels import CHANNELS
from viewfinder.views.splits.draws import DRAWS
from viewfinder.views.splits.frames import FRAME, FRAMES
from viewfinder.views.splits.frequency import FREQUENCY
from viewfinder.views.splits.grid import GRID
from viewfinder.views.splits.jigsaw import JIGSAW
from viewfinder.views.splits.masked import MASKED
from viewfinder.views.splits.patches import PATCHES
from viewfinder.views.steps.blur import BLUR
from viewfinder.views.steps.colours import COLOURS
from viewfinder.views.steps.crop import CROP
from viewfinder.views.steps.flip import FLIP
from viewfinder.views.steps.grey import GREY
from viewfinder.views.steps.jitter import JITTER
from viewfinder.views.steps.learned import LEARNED
from viewfinder.views.steps.mask import MASK
from viewfinder.views.steps.noise import NOISE
from viewfinder.views.steps.normalise import NORMALISE
from viewfinder.views.steps.randaugment import RANDAUGMENT
from viewfinder.views.steps.solarize import SOLARIZE

STEPS: Table[Step] = Table(
    "step",
    (
        *(CROP, FLIP, JITTER, GREY, BLUR, RANDAUGMENT, SOLARIZE),
        *(*COLOURS, LEARNED, NORMALISE, NOISE, MASK),
    ),
)
SPLITS: Table[Split] = Table(
    "split", (DRAWS, CHANNELS, FREQUENCY, PATCHES, JIGSAW, GRID, FRAMES, FRAME, MASKED)
)
PRESETS: Table[Preset] = Table("preset of views", ROWS)
