# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clone for commits, by the program git with only our configuration and without prompts."""

from __future__ import annotations

import os
import shlex
from typing import Dict, List, Sequence

from ..base.errors import GitRejected, GitUnavailable, ProcessFailed
from ..base.files import make_directory, replace_file
from ..base.process import Finished, run
from ..config.git import GitConfig

_TIMEOUT = 300.0
# git's messages for a branch that has moved; any other rejection is due to the remote's own rules.
_MOVED = ("non-fast-forward", "fetch first", "cannot lock ref", "incorrect old value")


class Moved(Exception):
    """The remote branch has changed."""


class Worktree:
    """A clone of one branch below ``directory``, created if necessary."""

    def __init__(self, config: GitConfig, directory: str) -> None:
        self._config, self.path = config, os.path.join(directory, "clone")
        make_directory(self.path)
        if not os.path.isdir(os.path.join(self.path, ".git")):
            self._git("init", "--quiet")
        # Store files unchanged, without filters and line-end conversion, whatever a .gitattributes in the set says.
        info = os.path.join(self.path, ".git", "info")
        make_directory(info)
        replace_file(os.path.join(info, "attributes"), b"* -text -filter -ident -working-tree-encoding\n")

    def update(self) -> None:
        """Check out the branch, or an empty tree if the remote has no such branch yet. GitUnavailable."""
        branch, remote = self._config.branch, self._config.remote
        there = bool(self._remotely("ls-remote", "--heads", "--", remote, f"refs/heads/{branch}").stdout.strip())
        if there:
            self._remotely("fetch", "--quiet", "--depth=1", "--no-tags", "--", remote, f"refs/heads/{branch}")
            self._git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        else:
            # An empty branch for its first commit, whatever earlier attempts left.
            self._git("symbolic-ref", "HEAD", "refs/heads/first")
            self._git("update-ref", "-d", "refs/heads/first")
            self._git("read-tree", "--empty")
        self._git("clean", "-ffdxq")

    def changes(self, prefix: str) -> Dict[str, List[str]]:
        """Stage everything below ``prefix``; returns the paths by ``added``, ``changed`` and ``removed``."""
        self._git("add", "--all", "--force", "--", prefix)
        told = self._git("diff", "--cached", "--name-status", "--no-renames", "-z").stdout.split("\0")
        found: Dict[str, List[str]] = {"added": [], "changed": [], "removed": []}
        for status, path in zip(told[::2], told[1::2]):
            found[{"A": "added", "D": "removed"}.get(status, "changed")].append(path)
        return found

    def commit(self, message: str) -> str:
        """Commit the staged changes; returns the commit's ID."""
        name, address = self._config.author.rstrip(">").split(" <")
        who = ["-c", f"user.name={name}", "-c", f"user.email={address}"]
        self._git(*who, "commit", "--quiet", "--no-gpg-sign", "--cleanup=verbatim", f"--message={message}")
        return self._git("rev-parse", "HEAD").stdout.strip()

    def push(self) -> None:
        """Push. Moved if somebody else pushed meanwhile; GitRejected if the remote refuses it."""
        branch, remote = self._config.branch, self._config.remote
        done = self._git("push", "--porcelain", "--", remote, f"HEAD:refs/heads/{branch}", check=False)
        if done.status == 0:
            return
        told = f"{done.stdout}\n{done.stderr}"
        if any(words in told for words in _MOVED):
            raise Moved
        if "[remote rejected]" in told or "[rejected]" in told:
            reasons = [line for line in told.splitlines() if line.startswith(("remote:", "!"))]
            raise GitRejected(
                f"The remote {remote} rejected a push to {branch}: {' '.join(reasons)[:500]}",
                "Check the rules of the remote; the copies in the repositories were made anyway.",
                remote=remote,
                branch=branch,
            )
        raise self._unavailable(told)

    def _remotely(self, *words: str) -> Finished:
        done = self._git(*words, check=False)
        if done.status:
            raise self._unavailable(done.stderr)
        return done

    def _unavailable(self, told: str) -> GitUnavailable:
        return GitUnavailable(
            f"Cannot use the remote {self._config.remote}: {' '.join(told.split())[-500:] or 'no output from git'}",
            "Check git.remote, its credentials (git.ssh_key, git.known_hosts, git.credentials) and the network. The"
            " next run pushes the missing changes; the copies in the repositories were made anyway.",
            remote=self._config.remote,
        )

    def _git(self, *words: str, check: bool = True) -> Finished:
        options = ["-c", "core.hooksPath=/dev/null", "-c", "gc.autoDetach=false"]
        if self._config.credentials:
            options += ["-c", f"credential.helper=store --file={shlex.quote(self._config.credentials)}"]
        argv = ["git", "-C", self.path, *options, *words]
        try:
            return run(argv, check=check, timeout=_TIMEOUT, env=self._environment())
        except ProcessFailed as exc:
            raise GitUnavailable(
                f"git failed: {exc.message}", f"Remove {self.path}; the next run creates it again.", path=self.path
            ) from exc

    def _environment(self) -> Dict[str, str]:
        ssh: Sequence[str] = [
            "ssh", "-F", "/dev/null", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oConnectTimeout=20",
            *([f"-oUserKnownHostsFile={self._config.known_hosts}"] if self._config.known_hosts else []),
            *([f"-i{self._config.ssh_key}", "-oIdentitiesOnly=yes"] if self._config.ssh_key else []),
        ]  # fmt: skip
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": self.path,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": shlex.join(ssh),
        }
