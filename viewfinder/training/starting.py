"""Beginning with the weights of another run."""

from __future__ import annotations

from viewfinder.core.console import say
from viewfinder.runs.new_run import is_first_process
from viewfinder.runs.origin import differing, fitting, note, origin_of, starting_weights
from viewfinder.runs.run import Run
from viewfinder.training.module import Pretraining


def begin(module: Pretraining, run: Run) -> None:
    """Give the networks of a new module the weights that the run began with, if it did so with
    others' at all; the target begins as a copy of them, and all else as in any run.

    What did not fit is printed and noted in origin.json. Raises UserError as ``fitting`` does.
    """
    origin = origin_of(run)
    if origin is None:
        return
    own = module.networks.state_dict(prefix="networks.")
    fit, found = fitting(own, starting_weights(run), origin)
    module.load_state_dict(fit, strict=False)
    module.target.begin(module.online)
    if is_first_process():
        note(run, found)
        say(f"begun with the weights of {found.run} after epoch {found.epochs}")
        if found.new or found.unused:
            say(f"note: {differing(found)}")
