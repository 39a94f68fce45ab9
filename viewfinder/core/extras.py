"""What is installed with the extra ``app``, and what is said where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from viewfinder.core.errors import UserError

APP = frozenset(
    (
        *("torchvision", "timm", "lightning", "typer", "rich", "yaml", "PIL", "safetensors"),
        *("pyarrow", "sklearn", "scipy", "threadpoolctl", "faiss", "plotly", "matplotlib"),
        *("jinja2", "tensorboard", "filelock"),
    )
)
"""The modules that the extra ``app`` installs; the core is torch, numpy and pydantic."""


@contextmanager
def needing_app(what: str) -> Iterator[None]:
    """Inside, a module of the extra ``app`` that is missing is a UserError that says so.

    >>> with needing_app("viewfinder.embed"):
    ...     import pyarrow
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in APP:
            raise
        raise UserError(
            f"{what} needs {name}, which the library alone does not install",
            fix='pip install "viewfinder[app]"',
        ) from error
