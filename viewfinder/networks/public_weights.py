"""Public weights to start from: without a network that is known in seconds, not in a minute."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError

from viewfinder.core.errors import UserError, brief

WAIT = 5.0
"""Seconds after which a host that does not answer is taken for one that cannot be reached."""


@contextmanager
def public_weights(model: str) -> Iterator[None]:
    """Inside, timm loads the weights of a model: from the cache alone where their host cannot be
    reached, for the hub's own client would try again and again.

    Raises UserError where they are then not there.
    """
    from huggingface_hub import constants

    unreachable = None if constants.HF_HUB_OFFLINE else _why_unreachable(constants.ENDPOINT)
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or unreachable is not None
    try:
        yield
    except TypeError:  # another way to build the model is tried next
        raise
    except Exception as error:
        if not constants.HF_HUB_OFFLINE:
            raise
        why = unreachable or "HF_HUB_OFFLINE is set"
        raise UserError(
            f"the public weights of {model} are not on this machine, and {constants.ENDPOINT} "
            f"cannot be reached ({why})",
            fix="encoder.pretrained=false; or once with a network, which keeps them in "
            f"{constants.HF_HUB_CACHE}",
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def _why_unreachable(address: str) -> str | None:
    """Why nothing answers at an address, in words; None where something does."""
    request = urllib.request.Request(address, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=WAIT):
            return None
    except HTTPError:  # it answers, if only to refuse
        return None
    except (OSError, ValueError) as error:
        return brief(getattr(error, "reason", error))
