#!/usr/bin/env python3
# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small service with the parts of a real one: a database, a data directory, configuration, secrets and logs.

``GET /health`` queries the database; ``GET /items`` lists; ``POST /items`` with ``{"name": …}`` stores a row and
appends a line to the data directory: both or, according to the response, neither.
"""

from __future__ import annotations

import configparser
import json
import os
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Tuple

import psycopg2

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


class Service:
    """The responses, without HTTP."""

    def __init__(self, dsn: str, journal: Path) -> None:
        self._dsn, self._journal = dsn, journal

    def query(self, statement: str, *values: Any) -> list[Tuple[Any, ...]]:
        """Run one statement in a transaction of its own."""
        with closing(psycopg2.connect(self._dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    def health(self) -> dict[str, Any]:
        """Whether the database responds and the data directory is writable."""
        count = self.query("SELECT count(*) FROM items")[0][0]
        with self._journal.open("a", encoding="utf-8"):
            pass
        return {"status": "ok", "database": "ok", "items": count}

    def items(self) -> dict[str, Any]:
        """Every item, oldest first."""
        return {"items": [{"id": i, "name": n} for i, n in self.query("SELECT id, name FROM items ORDER BY id")]}

    def add(self, name: str) -> dict[str, Any]:
        """Store an item."""
        found = self.query("INSERT INTO items (name) VALUES (%s) RETURNING id", name)[0][0]
        with self._journal.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"id": found, "name": name}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        return {"id": found, "name": name}


class Handler(BaseHTTPRequestHandler):
    """The responses, over HTTP."""

    service: Service

    def do_GET(self) -> None:
        """Serve /health and /items."""
        routes = {"/health": self.service.health, "/items": self.service.items}
        self._answer(routes.get(self.path))

    def do_POST(self) -> None:
        """Serve /items."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer((lambda: self.service.add(str(json.loads(body)["name"]))) if self.path == "/items" else None)

    def _answer(self, act: Any) -> None:
        status, content = 404, {"error": "no such page"}
        if act is not None:
            try:
                status, content = 200, act()
            except (ValueError, KeyError, TypeError) as exc:
                status, content = 400, {"error": f"not an item: {exc}"}
            except (psycopg2.Error, OSError) as exc:
                status, content = 503, {"status": "failing", "error": str(exc).strip()}
        body = (json.dumps(content) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve for ever; standard error goes to the journal."""
    config = configparser.ConfigParser()
    with open(sys.argv[1], encoding="utf-8") as stream:
        config.read_file(stream)
    Handler.service = Service(os.environ["DATABASE_URL"], Path(config["data"]["directory"], "items.jsonl"))
    Handler.service.query(SCHEMA)
    ThreadingHTTPServer((config["http"]["address"], config["http"].getint("port")), Handler).serve_forever()


if __name__ == "__main__":
    main()
