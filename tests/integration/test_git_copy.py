# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration is pushed to git without secrets; a suspected secret stops the push, but not the copy."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import yaml
from lifeboat.cli import main as cli

pytestmark = pytest.mark.integration
DETECTOR = str(Path(sys.executable).parent / "detect-secrets")
# In pieces, so that nobody finds it here.
PLANTED = "AKIA" + "IOSFODNN7EXAMPL3"


def git(*words: str, **options: Any) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *words], check=True, capture_output=True, text=True, env=environment, **options
    ).stdout.strip()


class Host:
    """A host with configuration, a repository, and a remote shared by several hosts."""

    def __init__(self, root: Path, remote: Path, name: str = "db1", **more: Any) -> None:
        self.root, self.etc, self.remote = root, root / "etc", remote
        for directory in (self.etc, root / "store"):
            directory.mkdir(parents=True)
        (self.etc / "app.toml").write_text("workers = 4\n")
        (self.etc / "nginx.conf").write_text("server { listen 80; }\n")
        # What every server has, and no secret.
        (self.etc / "postgresql.conf").write_text("#password_encryption = scram-sha-256\t# scram-sha-256 or md5\n")
        self.data: Dict[str, Any] = {
            "cluster": "main",
            "repositories": [{"name": "disk", "type": "directory", "path": str(root / "store")}],
            "file_sets": [{"name": "app", "paths": [str(self.etc)], "allow_unsealed_secrets": True}],
            "git": {
                "remote": str(remote), "prefix": name, "state_dir": str(root / "state"), "detector": DETECTOR, **more,
            },
            "audit": {"file": "", "syslog": ""},
        }  # fmt: skip
        self.write()

    def write(self) -> None:
        (self.root / "main.yml").write_text(yaml.safe_dump(self.data))

    def lifeboat(self, *words: str) -> Tuple[int, Any, Any]:
        # Labels tell seconds: a copy has one of its own.
        before = int(time.time())
        while words[:2] == ("files", "backup") and int(time.time()) == before:
            time.sleep(0.05)
        out, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            status = cli.main(["--config", str(self.root / "main.yml"), "--json", *words])
        error = [line for line in said.getvalue().splitlines() if line.startswith('{"error"')]
        return status, json.loads(out.getvalue() or "null"), json.loads(error[0])["error"] if error else None

    def back_up(self) -> Dict[str, Any]:
        status, answer, error = self.lifeboat("files", "backup")
        assert status == 0, error
        return dict(answer["git"])

    @property
    def copies(self) -> int:
        return len(list((self.root / "store" / "main" / "files" / "app").glob("*/manifest.json")))

    def stored(self, path: Path, name: str = "db1") -> str:
        return git("-C", str(self.remote), "show", f"main:{name}/app{path}")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    path = tmp_path / "remote.git"
    git("init", "--quiet", "--bare", str(path))
    return path


@pytest.fixture
def host(tmp_path: Path, remote: Path) -> Host:
    return Host(tmp_path / "db1", remote)


def files_of(remote: Path) -> List[str]:
    return git("-C", str(remote), "ls-tree", "-r", "--name-only", "main").splitlines()


def test_changes_are_committed_below_the_name_of_the_host(host: Host, remote: Path) -> None:
    (host.etc / "link").symlink_to("app.toml")
    (host.etc / "run").write_text("#!/bin/sh\n")
    (host.etc / "run").chmod(0o755)
    first = host.back_up()
    assert sorted(first["changes"]["added"]) == [
        f"db1/app{host.etc}/{n}" for n in ("app.toml", "link", "nginx.conf", "postgresql.conf", "run")
    ]
    modes = {line.split()[0] for line in git("-C", str(remote), "ls-tree", "-r", "main").splitlines()}
    assert modes == {"100644", "100755", "120000"}
    assert host.back_up()["commit"] is None

    (host.etc / "app.toml").write_text("workers = 8\n")
    (host.etc / "nginx.conf").unlink()
    second = host.back_up()
    assert second["commit"] == git("-C", str(remote), "rev-parse", "main")
    told = git("-C", str(remote), "log", "-1", "--format=%an <%ae>%n%B", "main").splitlines()
    assert told[:2] == ["Lifeboat <lifeboat@localhost>", "db1: 1 changed, 1 removed"]
    assert f"changed: db1/app{host.etc}/app.toml" in told and f"removed: db1/app{host.etc}/nginx.conf" in told
    assert host.stored(host.etc / "app.toml") == "workers = 8"
    # Reading it back is not a part of recovery: it stands beside the copies.
    assert host.copies == 2
    events = host.lifeboat("audit", "list", "--what", "git-push")
    assert events[0] == 0


def test_secrets_stay_out_by_path_by_name_and_by_size(host: Host, remote: Path) -> None:
    for name in (
        ".env",
        "server.key",
        "DB_PASSWORD.txt",
        "id_ed25519",
        "keep/private/x.conf",
        "large.bin",
        "id_ed25519.pub",
    ):
        (host.etc / name).parent.mkdir(parents=True, exist_ok=True)
        (host.etc / name).write_text("words\n" if name != "large.bin" else "x" * (1024 * 1024 + 1))
    host.data["git"]["keep_out"] = [f"{host.etc}/*/private"]
    host.write()
    out = host.back_up()["kept_out"]
    assert {Path(path).name: why.split(",")[0] for path, why in out.items()} == {
        ".env": "its name", "server.key": "its name", "DB_PASSWORD.txt": "its name", "id_ed25519": "its name",
        "private": "its path", "x.conf": "its path", "large.bin": "its size",
    }  # fmt: skip
    there = [Path(path).name for path in files_of(remote)]
    assert there == ["app.toml", "id_ed25519.pub", "nginx.conf", "postgresql.conf"]


def test_a_planted_secret_stops_the_push_and_not_the_copy(host: Host, remote: Path) -> None:
    host.back_up()
    before = git("-C", str(remote), "rev-parse", "main")
    (host.etc / "app.toml").write_text(f"workers = 4\naccess = '{PLANTED}'\n")
    status, _answer, error = host.lifeboat("files", "backup")
    assert status == 1 and error["error_code"] == "secret_found" and host.copies == 2
    assert f"{host.etc}/app.toml line 2 (AWS Access Key)" in error["message"] and "git.allow" in error["hint"]
    assert PLANTED not in json.dumps(error)
    assert git("-C", str(remote), "rev-parse", "main") == before
    assert not [p for p in (host.root / "state").rglob("*") if p.is_file() and PLANTED in p.read_text(errors="replace")]
    # By its name it may go.
    host.data["git"]["allow"] = [f"{host.etc}/app.toml"]
    host.write()
    assert host.back_up()["commit"] and PLANTED in host.stored(host.etc / "app.toml")


def test_without_a_detector_nothing_is_pushed(host: Host, remote: Path) -> None:
    host.data["git"]["detector"] = "/nowhere/detect-secrets"
    host.write()
    status, _answer, error = host.lifeboat("files", "backup")
    assert status == 1 and error["error_code"] == "dependency_missing" and host.copies == 1
    assert git("-C", str(remote), "for-each-ref") == ""


def test_an_unreachable_remote_is_caught_up_later(host: Host, remote: Path) -> None:
    remote.rename(f"{remote}.away")
    status, _answer, error = host.lifeboat("files", "backup")
    assert status == 1 and error["error_code"] == "git_unavailable" and str(remote) in error["message"]
    assert host.copies == 1
    Path(f"{remote}.away").rename(remote)
    # No new copy is needed for that.
    assert host.back_up()["commit"] and host.copies == 1


def test_the_message_of_a_rejecting_remote_is_shown(host: Host, remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'this branch is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    status, _answer, error = host.lifeboat("files", "backup")
    assert status == 1 and error["error_code"] == "git_rejected" and "this branch is protected" in error["message"]
    hook.unlink()
    assert host.back_up()["commit"]


def test_hosts_share_a_branch_and_do_not_wait_for_each_other(tmp_path: Path, host: Host, remote: Path) -> None:
    other = Host(tmp_path / "db2", remote, "db2")
    host.back_up()
    # One that pushes between the other's look and its push.
    hook = remote / "hooks" / "pre-receive"
    once = tmp_path / "once"
    hook.write_text(
        f"#!/bin/sh\n[ -e {once} ] && exit 0\ntouch {once}\nunset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY"
        f' GIT_ALTERNATE_OBJECT_DIRECTORIES\nT=$(git commit-tree -p main -m raced "main^{{tree}}")'
        f" && git update-ref refs/heads/main $T\nexit 0\n"
    )
    hook.chmod(0o755)
    (remote / "config").write_text((remote / "config").read_text() + "[user]\n\tname = x\n\temail = x@y\n")
    assert other.back_up()["commit"]
    assert once.exists() and "raced" in git("-C", str(remote), "log", "--format=%s", "main")
    assert {path.split("/")[0] for path in files_of(remote)} == {"db1", "db2"}


def test_a_password_is_in_no_url_and_asked_of_a_file(tmp_path: Path, host: Host) -> None:
    host.data["git"]["remote"] = "https://me:hunter2@example.invalid/x.git"
    host.write()
    status, _answer, error = host.lifeboat("files", "push")
    assert status == 1 and error["error_code"] == "config_invalid" and "hunter2" not in json.dumps(error)

    seen: List[str] = []

    class Asks(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Asks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        (tmp_path / "credentials").write_text(f"http://me:hunter2@127.0.0.1:{server.server_port}\n")
        host.data["git"].update(
            remote=f"http://127.0.0.1:{server.server_port}/x.git", credentials=str(tmp_path / "credentials")
        )
        host.write()
        status, _answer, error = host.lifeboat("files", "push")
    finally:
        server.shutdown()
        server.server_close()
    # It is used, and nobody is asked on a terminal.
    assert status == 1 and error["error_code"] == "git_unavailable" and "hunter2" not in json.dumps(error)
    assert any(word.startswith("Basic ") for word in seen)


def test_files_named_like_secrets_are_sealed_or_refused(host: Host) -> None:
    (host.etc / ".env").write_text("x=1\n")
    host.data["file_sets"][0]["allow_unsealed_secrets"] = False
    del host.data["git"]
    host.write()
    status, _answer, error = host.lifeboat("files", "backup")
    assert status == 1 and error["error_code"] == "secrets_unsealed" and host.copies == 0
    assert f"{host.etc}/.env" in error["message"] and "allow_unsealed_secrets" in error["hint"]
    host.data["file_sets"][0]["excludes"] = [f"{host.etc}/.env"]
    host.write()
    assert host.lifeboat("files", "backup")[0] == 0 and host.copies == 1
    assert host.lifeboat("files", "push")[2]["error_code"] == "config_invalid"


def test_a_restore_shows_what_it_would_change_and_takes_a_part(host: Host) -> None:
    (host.etc / "db.env").write_text("password=hunter2\n")
    (host.etc / "sub").mkdir()
    (host.etc / "sub" / "x.conf").write_text("x\n")
    # What the restore reads needs a repository that knows its cluster.
    systems = host.root / "store" / "main" / "systems"
    systems.mkdir(parents=True)
    (systems / "7000000000000000001.json").write_text("{}")
    host.back_up()
    (host.etc / "app.toml").write_text("workers = 5\n")
    (host.etc / "db.env").write_text("password=other\n")
    (host.etc / "sub" / "x.conf").unlink()
    status, answer, _error = host.lifeboat("files", "restore", "app", "--plan", "--diff")
    assert status == 0 and answer["changed"] and (host.etc / "app.toml").read_text() == "workers = 5\n"
    assert "-workers = 5" in answer["diff"] and "+workers = 4" in answer["diff"] and "+x" in answer["diff"]
    assert f"{host.etc}/db.env: differs (content not shown)" in answer["diff"]
    assert "hunter2" not in json.dumps(answer) and "nginx" not in json.dumps(answer)
    assert host.lifeboat("files", "restore", "app", "--only", "/nowhere")[2]["error_code"] == "config_invalid"
    assert host.lifeboat("files", "restore", "app", "--only", str(host.etc / "sub"))[0] == 0
    assert (host.etc / "sub" / "x.conf").read_text() == "x\n"
    # A target is made; where it cannot be, that is told.
    look = host.root / "look" / "at it"
    assert host.lifeboat("files", "restore", "app", "--target", str(look), "--plan")[0] == 0 and not look.exists()
    assert host.lifeboat("files", "restore", "app", "--target", str(look))[0] == 0
    assert (look / str(host.etc)[1:] / "app.toml").read_text() == "workers = 4\n"
    refused = host.lifeboat("files", "restore", "app", "--target", str(host.etc / "app.toml" / "x"))[2]
    assert refused["error_code"] == "config_invalid" and "app.toml/x" in refused["message"]
    assert (host.etc / "app.toml").read_text() == "workers = 5\n"
