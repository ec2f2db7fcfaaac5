# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on this machine, and a configuration with channels to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
import yaml
from lifeboat.config.load import Config, load
from support.sinks import Certificate, MailSink, WebSink


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of localhost."""
    return Certificate.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def web() -> Iterator[WebSink]:
    """A plain HTTP server."""
    with WebSink() as sink:
        yield sink


@pytest.fixture
def mail(certificate: Certificate) -> Iterator[MailSink]:
    """A mail server that requires STARTTLS."""
    with MailSink(certificate) as sink:
        yield sink


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Config]:
    """Writes and reads a configuration of channels; its state and audit file are in the test's directory."""

    def made(*channels: Dict[str, Any], **more: Any) -> Config:
        listed: List[Dict[str, Any]] = list(channels)
        config = {
            "cluster": "main",
            "repositories": [{"type": "directory", "path": str(tmp_path)}],
            "audit": {"file": str(tmp_path / "audit.jsonl"), "syslog": ""},
            "notifications": {"channels": listed, "state_dir": str(tmp_path / "state"), "patience": 5, **more},
        }
        path = tmp_path / "main.yml"
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return load(str(path))

    return made
