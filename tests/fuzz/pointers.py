"""A store that serves files of this machine by HTTP, and pointers of artifacts in it."""

from __future__ import annotations

import http.server
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path

RANGE = re.compile(r"bytes=(\d+)-(\d*)")
INLINE = (".json",)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files below a folder, also in parts; folders are not listed."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        size = path.stat().st_size
        found = RANGE.fullmatch(self.headers.get("Range", ""))
        start, stop = 0, size
        if found is not None:
            start, stop = int(found[1]), min(size, int(found[2] or size - 1) + 1)
            self.send_response(HTTPStatus.PARTIAL_CONTENT)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        else:
            self.send_response(HTTPStatus.OK)
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(max(0, stop - start))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(ConnectionError):  # the reader was ended
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder; yield its address."""
    handler = partial(Handler, directory=os.fspath(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def write_pointer(artifact: Path, address: str, target: Path) -> None:
    """Write the pointer of an artifact whose files lie at an address."""
    manifest = json.loads((artifact / "manifest.json").read_bytes())
    refs: dict[str, object] = {}
    for path in sorted(artifact.rglob("*")):
        if path.is_file():
            name = path.relative_to(artifact).as_posix()
            is_small = path.suffix in INLINE
            span = [f"{{{{u}}}}/{name}", 0, path.stat().st_size]
            refs[name] = path.read_text() if is_small else span
    own = {name: manifest[name] for name in ("kind", "key", "id")}
    document = {
        "version": 1,
        "templates": {"u": address},
        "refs": refs,
        "ectool": {"generation": "one", **own},
    }
    target.mkdir()
    (target / "index.json").write_text(json.dumps(document))
