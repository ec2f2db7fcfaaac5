# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seal a byte stream to recipients, and open it again: the command ``age`` (https://age-encryption.org/v1).

Recipients are public and are arguments. An identity is secret: ``age`` gets it through an inherited pipe, which it
reads as ``/dev/fd/N``; it is never in a temporary file, an argument or a message. ``age`` releases only what it has
authenticated, 64 KiB at a time, and a truncated object is an error.
"""

from __future__ import annotations

import os
import tempfile
import threading
from typing import Callable, Iterable, Iterator, List, Optional

from ..base.errors import (
    DependencyMissing,
    IdentityMissing,
    IdentityRefused,
    LifeboatError,
    ObjectCorrupt,
    ProcessFailed,
    RecipientInvalid,
)
from ..base.filter import Filter, through
from ..base.process import run
from ..config.sections import SealConfig

_AGE = "age"
# The capacity of a pipe without a reader; an identity has a few hundred bytes, one of ssh up to 4 KiB.
_LARGEST = 60 * 1024
_COMMAND_TIMEOUT = 60.0


class Seal:
    """Seals to the configured recipients, and opens with the configured identity. Thread-safe."""

    def __init__(self, config: Optional[SealConfig] = None) -> None:
        self._config = config or SealConfig()
        self._identity: Optional[bytes] = None
        self._lock = threading.Lock()

    @property
    def seals(self) -> bool:
        """Whether stored objects are sealed."""
        return bool(self._config.recipients)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Public keys that objects are encrypted to."""
        return self._config.recipients

    @property
    def has_identity(self) -> bool:
        """Whether an identity is configured for this host."""
        return self._config.has_identity

    def require(self) -> None:
        """Seal a test string: RecipientInvalid or DependencyMissing before anything is read or stored."""
        if self.seals:
            self.close(b"")

    def stream(self, consume: Callable[[bytes], object]) -> Sealer:
        """A push stream: whatever is written to it is sealed and passed to ``consume`` in another thread."""
        return Sealer(self._config.recipients, consume)

    def close(self, data: bytes) -> bytes:
        """``data``, sealed. Memory: twice its size."""
        out: List[bytes] = []
        sealer = self.stream(out.append)
        try:
            sealer.write(data)
            sealer.finish()
        finally:
            sealer.kill()
        return b"".join(out)

    def open(self, chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
        """The content of the sealed object ``name``, as it arrives, in pieces of at most 1 MiB.

        IdentityMissing, IdentityRefused, ObjectCorrupt if it is damaged or truncated, DependencyMissing.
        """
        identity = self._get_identity(name)
        with tempfile.TemporaryFile() as words:
            descriptor = _pipe_with(identity)
            argv = [_AGE, "--decrypt", "--identity", f"/dev/fd/{descriptor}"]
            pieces = through(argv, chunks, words, [descriptor])
            try:
                yield from pieces
            except ProcessFailed as exc:
                raise _not_opened(name, str(exc.details["output"])) from None
            except DependencyMissing as exc:
                raise _no_age() from exc
            finally:
                os.close(descriptor)

    def open_bytes(self, data: bytes, name: str) -> bytes:
        """:meth:`open` for a small object."""
        return b"".join(self.open([data], name))

    def _get_identity(self, name: str) -> bytes:
        """Read it once, when it is first needed, and keep it in memory."""
        with self._lock:
            if self._identity is None:
                self._identity = _read_identity(self._config, name)
            return self._identity


class Sealer:
    """A push stream through ``age``: ``write``, then ``finish``, or ``kill`` instead of it or after it."""

    def __init__(self, recipients: Iterable[str], consume: Callable[[bytes], object]) -> None:
        self._recipients = list(recipients)
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the program
        argv = [_AGE, "--encrypt"]
        for recipient in self._recipients:
            argv += ["--recipient", recipient]
        try:
            self._filter: Optional[Filter] = Filter(argv, consume, self._words)
        except DependencyMissing as exc:
            self._words.close()
            raise _no_age() from exc

    def write(self, data: bytes) -> None:
        """Take the next bytes of the content."""
        try:
            if self._filter:
                self._filter.write(data)
        except ProcessFailed as exc:
            raise self._refused(exc) from exc

    def finish(self) -> None:
        """End the content; wait until the whole sealed object has been passed on."""
        try:
            if self._filter:
                self._filter.finish()
        except ProcessFailed as exc:
            raise self._refused(exc) from exc
        finally:
            self._filter = None
            self._words.close()

    def kill(self) -> None:
        """Give up."""
        if self._filter:
            self._filter.kill()
            self._filter = None
            self._words.close()

    def _refused(self, exc: ProcessFailed) -> LifeboatError:
        self._filter = None
        said = _first_line(str(exc.details["output"]))
        if "recipient" not in said:
            return exc
        return RecipientInvalid(
            f"age rejects a recipient in seal.recipients: {said}",
            "Use public keys as age-keygen -y prints them, or ssh-ed25519 keys. Nothing was stored.",
            recipients=self._recipients,
        )


def _read_identity(config: SealConfig, name: str) -> bytes:
    if config.identity_file:
        try:
            with open(config.identity_file, "rb") as stream:
                return _checked(stream.read(_LARGEST + 1), f"seal.identity_file {config.identity_file}")
        except OSError as exc:
            raise IdentityMissing(
                f"{name} is sealed, but seal.identity_file {config.identity_file} cannot be read: {exc.strerror}.",
                "Copy the identity to this host, readable by this user, or set seal.identity_command.",
                key=name,
            ) from exc
    if config.identity_command:
        return _from_command(config.identity_command, name)
    raise IdentityMissing(
        f"{name} is sealed, but this host has no identity.",
        "Get the identity of a recipient from its owner, and name it in seal.identity_file or seal.identity_command"
        " (in the roles: lifeboat_identity).",
        key=name,
    )


def _from_command(words: tuple[str, ...], name: str) -> bytes:
    """The output of the command. Neither its arguments nor its output are ever shown: they may contain secrets."""
    hint = "Run it manually as the same user to see its output."
    try:
        done = run(list(words), check=False, timeout=_COMMAND_TIMEOUT)
    except (LifeboatError, OSError):
        raise IdentityMissing(
            f"{name} is sealed, but seal.identity_command ({words[0]} ...) could not be run to its end.", hint, key=name
        ) from None
    if done.status:
        raise IdentityMissing(
            f"{name} is sealed, but seal.identity_command ({words[0]} ...) ended with status {done.status}.",
            hint,
            key=name,
        )
    return _checked(done.stdout.encode(), f"the output of seal.identity_command ({words[0]} ...)")


def _checked(identity: bytes, source: str) -> bytes:
    if not identity.strip() or len(identity) > _LARGEST:
        raise IdentityRefused(
            f"{source} is not an identity: it is {'empty' if not identity.strip() else 'too long'}.",
            "Use a file created by age-keygen, or a private SSH key.",
        )
    return identity


def _pipe_with(content: bytes) -> int:
    """The reading end of a pipe that contains ``content``."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        if os.write(writing, content) != len(content):
            raise BlockingIOError
    except BlockingIOError:
        os.close(reading)
        raise IdentityRefused(
            f"The identity has {len(content)} bytes, more than a pipe on this host can hold.",
            "Remove identities that are not needed.",
        ) from None
    finally:
        os.close(writing)
    return reading


def _not_opened(name: str, words: str) -> LifeboatError:
    """The error for age's message, which is not quoted if it is about the identity."""
    if "no identity matched" in words:
        return IdentityRefused(
            f"{name} is sealed to other recipients: this host's identity cannot open it.",
            "Use the identity of a recipient listed in the backup's manifest.json.",
            key=name,
        )
    if "/dev/fd/" in words or "identity" in words.lower() or "secret key" in words:
        return IdentityRefused(
            f"{name} is sealed, but age cannot use this host's identity.",
            "Use a file created by age-keygen, or a private SSH key without a passphrase.",
            key=name,
        )
    return ObjectCorrupt(
        f"{name} cannot be opened: {_first_line(words)}",
        "The stored object is damaged: heal it from another repository (lifeboat verify --repair), or use another"
        " backup.",
        key=name,
    )


def _first_line(words: str) -> str:
    return (words.splitlines() or ["no output"])[0].replace("age: error: ", "")


def _no_age() -> DependencyMissing:
    return DependencyMissing(
        "Program age not found; sealed repositories need it.", "Install the package age.", program=_AGE
    )
