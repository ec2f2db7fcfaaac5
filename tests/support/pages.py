# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that computes ``ListObjectsV2``: more objects than a test could put into a store."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, List
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from lifeboat.store.protocol import ObjectInfo

#: The objects of a page, by its number.
Page = Callable[[int], List[ObjectInfo]]


class Pages:
    """``count`` pages below any bucket; ``asked`` are the paths of all requests."""

    def __init__(self, page: Page, count: int) -> None:
        self.asked: List[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked.append(self.path)
                number = int(parse_qs(urlsplit(self.path).query).get("continuation-token", ["0"])[0])
                body = _listing(page(number), number + 1 if number + 1 < count else 0).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Pages:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _listing(objects: List[ObjectInfo], following: int) -> str:
    contents = "".join(
        f"<Contents><Key>{escape(info.key)}</Key><Size>{info.size}</Size>"
        f"<LastModified>{info.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
        for info in objects
    )
    more = f"<NextContinuationToken>{following}</NextContinuationToken>" if following else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{'true' if following else 'false'}</IsTruncated>{more}{contents}</ListBucketResult>"
    )
