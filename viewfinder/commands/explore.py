"""``viewfinder explore``: an interactive map of all images, served to this machine's browser."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.core.outputs import check_folder, check_out
from viewfinder.evaluation.atlas import write_atlas
from viewfinder.evaluation.run_images import run_images
from viewfinder.runs.run import Run

POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""The explorer may ask this server alone; it compiles queries and WebAssembly."""
INSTALL = 'pip install "viewfinder[explore]"'


def explorer() -> Path:
    """The folder of the explorer's page. Raises UserError where it is not installed."""
    found = find_spec("embedding_atlas")  # not imported: the page alone is needed
    for place in (found.submodule_search_locations or []) if found else []:
        if (Path(place) / "static" / "index.html").is_file():
            return Path(place) / "static"
    raise UserError("the explorer, embedding-atlas, is not installed", fix=INSTALL)


def write(
    runs: Sequence[Run],
    out: Path,
    data: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> str:
    """Write the folder of the map of runs; returns how the places were found."""
    check_folder(out / "data")
    for name in ("dataset.parquet", "metadata.json"):
        check_out(out / "data" / name, (b'"viewfinder"',), of=out / "data" / "metadata.json")
    return write_atlas([run_images(run, data, overrides) for run in runs], out)


def server(page: Path, folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of the page and of the folder's data for this machine alone.

    Raises UserError where the port is in use.
    """
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, page, folder))
    except (OSError, OverflowError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        raise UserError(
            f"port {port} {'is in use' if taken else f'cannot be used: {error}'}",
            fix="--port 0, which takes a free one",
        ) from error


class _Handler(SimpleHTTPRequestHandler):
    """Files below data/ are of the run, all others of the explorer; nothing is written."""

    extensions_map = {  # noqa: RUF012
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, page: Path, folder: Path, *args: Any) -> None:
        self.page, self.folder = page, folder
        super().__init__(*args)

    def send_head(self) -> Any:
        if self.headers.get("Host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
            self.send_error(403)  # another site's name that leads here
            return None
        return super().send_head()

    def translate_path(self, path: str) -> str:
        name = unquote(urlsplit(path).path).lstrip("/") or "index.html"
        root = (self.folder if name.startswith("data/") else self.page).resolve()
        file = (root / name).resolve()
        inside = file.is_relative_to(root) and file.is_file()
        return str(file if inside else root / "there is no such file")

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed for a request."""


def explore(
    runs: Sequence[Run],
    data: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    port: int = 5055,
    out: Path,
    serve: bool = True,
) -> None:
    """Write the map and serve it until Ctrl-C. What can be refused is refused before the work."""
    if not serve:
        say(f"{out}: {write(runs, out, data, overrides)}")
        return
    with server(explorer(), out, port) as running:
        how = write(runs, out, data, overrides)
        say(f"map: http://127.0.0.1:{running.server_port} ({how}); Ctrl-C ends it")
        running.serve_forever()
