# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private Ceph RADOS Gateway on this machine: a monitor, one OSD and radosgw from a Debian root file system.

Root only. As a program it runs a command while the store lives; LIFEBOAT_TEST_S3 names the state file then::

    python tools/ceph.py check               # prints the reason and exits with 1 if it cannot run
    python tools/ceph.py run COMMAND…        # builds the root file system first, unless it exists

The state file (mode 0600) is a JSON object: endpoint_url, access_key_id, secret_access_key, port.
All processes run in their own PID and mount namespace: they and the mounts end with its first process.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import List, Optional

STATE = Path(__file__).resolve().parents[1] / ".build" / "ceph"
ROOT = STATE / "root"
SUITE = "forky"
PACKAGES = ("radosgw", "ceph-mon", "ceph-osd", "ceph-mgr", "ceph-common")

CONF = """\
[global]
fsid = {fsid}
mon_host = 127.0.0.1:{mon}
monmap = /ceph/monmap
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 5000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
log_file = /ceph/log/$name.log
run_dir = /ceph/run
admin_socket = /ceph/run/$name.asok
pid_file = /ceph/run/$name.pid
mon_data = /ceph/mon
mgr_data = /ceph/mgr
osd_data = /ceph/osd
osd_objectstore = bluestore
bluestore_block_size = 21474836480
osd_memory_target = 939524096
osd_class_load_list = *
osd_class_default_list = *
[client]
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_dns_name = 127.0.0.1
rgw_crypt_require_ssl = false
rgw_lc_debug_interval = {day}
rgw_enable_apis = s3, admin, sts, iam
rgw_thread_pool_size = 64
rgw_enable_ops_log = false
"""

# radosgw-admin generates the keys, so that no secret is an argument. The root user of an account may use IAM.
SCRIPT = """\
set -eu
root=$1 fsid=$2 mon=$3 osd=$4
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
cr() { chroot "$root" "$@"; }
cr monmaptool --create --clobber --fsid "$fsid" --addv a "[v1:127.0.0.1:$mon]" /ceph/monmap
cr ceph-mon --mkfs -i a --monmap /ceph/monmap
cr ceph-mon -i a
cr ceph osd new "$osd"
cr ceph-osd -i 0 --mkfs --osd-uuid "$osd"
for attempt in 1 2 3 4 5; do if cr ceph-osd -i 0; then break; fi; sleep 1; done
until cr ceph osd stat | grep -q '1 up'; do sleep 0.2; done
cr radosgw -n client.rgw
cr radosgw-admin account create --account-name lifeboat --account-id RGW11111111111111111
cr radosgw-admin user create --uid root --display-name root --account-id RGW11111111111111111 --account-root \\
  >"$root/ceph/user.new"
mv "$root/ceph/user.new" "$root/ceph/user.json"
exec sleep infinity
"""


class CephError(RuntimeError):
    """The store could not be built, started or reached."""


def obstacle() -> str:
    """Why Ceph cannot run here; empty if it can."""
    if os.geteuid() != 0:
        return "Ceph in a root file system of its own needs root"
    missing = [name for name in ("mmdebstrap", "unshare", "apt-config") if not shutil.which(name)]
    return f"missing: {' '.join(missing)}" if missing else ""


def mirror() -> str:
    """The Debian mirror of this machine, from its apt sources."""
    # Not the archive of security updates, which is not a complete suite.
    pattern = re.compile(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(\S+/debian/?)(?:\s|$)", re.MULTILINE)
    for file in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        found = pattern.search(file.read_text(encoding="utf-8")) if file.is_file() else None
        if found:
            return found.group(1)
    raise CephError("No Debian mirror found in the apt sources of this machine.")


def apt_options() -> List[str]:
    """Options that this machine's apt needs for its mirror, for mmdebstrap's apt."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    pattern = r"^Acquire::(?:Check-Valid-Until|Check-Date|https?::Proxy) .*$"
    return [f"--aptopt={line}" for line in re.findall(pattern, dump, re.MULTILINE)]


def build() -> None:
    """Create the root file system if it does not exist: about 90 seconds and 700 MB."""
    if ROOT.exists():
        return
    fresh = STATE / "root.new"
    shutil.rmtree(fresh, ignore_errors=True)
    STATE.mkdir(parents=True, exist_ok=True)
    argv = ["mmdebstrap", "--variant=minbase", "--skip=check/qemu", f"--include={','.join(PACKAGES)}"]
    argv += apt_options()
    with open(STATE / "build.log", "wb") as log:
        if subprocess.run([*argv, SUITE, str(fresh), mirror()], stdout=log, stderr=log, check=False).returncode:
            raise CephError(f"mmdebstrap failed; see {STATE / 'build.log'}")
    fresh.rename(ROOT)


def _free_ports(count: int) -> List[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Ceph:
    """One running store, initially empty.

    :param day: length of a day of a lifecycle rule in seconds; -1 for real days
    """

    def __init__(self, day: int = -1) -> None:
        self.day = day
        self.port = 0
        self.access_key_id = ""
        self.secret_access_key = ""
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, timeout: float = 180.0) -> Ceph:
        """Start from scratch, and wait until the keys exist and the gateway listens."""
        data = ROOT / "ceph"
        shutil.rmtree(data, ignore_errors=True)
        for name in ("mon", "osd", "mgr", "log", "run"):
            (data / name).mkdir(parents=True)
        mon, self.port = _free_ports(2)
        fsid = str(uuid.uuid4())
        (ROOT / "etc" / "ceph").mkdir(parents=True, exist_ok=True)
        (ROOT / "etc" / "ceph" / "ceph.conf").write_text(
            CONF.format(fsid=fsid, mon=mon, port=self.port, day=self.day), encoding="utf-8"
        )
        namespace = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=SIGKILL"]
        argv = [*namespace, "sh", "-c", SCRIPT, "ceph", str(ROOT), fsid, str(mon), str(uuid.uuid4())]
        with open(STATE / "start.log", "wb") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait_ready(time.monotonic() + timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_ready(self, deadline: float) -> None:
        user = ROOT / "ceph" / "user.json"
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                key = json.loads(user.read_text(encoding="utf-8"))["keys"][0]
                self.access_key_id, self.secret_access_key = key["access_key"], key["secret_key"]
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.2)
        tail = (STATE / "start.log").read_text(errors="replace").splitlines()[-15:]
        raise CephError("\n".join([f"Ceph did not start; see the end of {STATE / 'start.log'}:", *tail]))

    def stop(self) -> None:
        """Kill the namespace's first process, and thereby all others: radosgw ends only by SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> Ceph:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def run(command: List[str]) -> int:
    """Run a command while the store is running; returns its exit status."""
    STATE.mkdir(parents=True, exist_ok=True)
    with open(STATE / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise CephError(f"Another Ceph is running in {STATE}: stop it first.") from exc
        build()
        return _run(command)


def _run(command: List[str]) -> int:
    with Ceph(day=int(os.environ.get("LIFEBOAT_CEPH_DAY", "-1"))) as server:
        state = STATE / "state.json"
        state.unlink(missing_ok=True)
        with open(os.open(state, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            names = ("endpoint_url", "access_key_id", "secret_access_key", "port")
            json.dump({name: getattr(server, name) for name in names}, stream)
        try:
            return subprocess.run(command, env={**os.environ, "LIFEBOAT_TEST_S3": str(state)}, check=False).returncode
        finally:
            state.unlink(missing_ok=True)


def main(argv: List[str]) -> int:
    if argv[:1] not in (["check"], ["run"]):
        print("usage: tools/ceph.py check | run COMMAND…", file=sys.stderr)
        return 2
    # So that a terminated run stops its store.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reason = obstacle()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    try:
        return run(argv[1:]) if argv[0] == "run" else 0
    except CephError as exc:
        print(exc, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
