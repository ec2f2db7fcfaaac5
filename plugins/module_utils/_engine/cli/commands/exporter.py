# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat exporter``."""

from __future__ import annotations

import argparse
from typing import Any, Optional

from ...base.errors import ConfigError
from ...exporter import Fleet, Manager, Options, serve
from ...metrics.exposition import client
from ..terminal import Answer, Terminal
from .described import add_command
from .resident import listen, tell_service_manager


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(
        subparsers, "exporter", "exporter --config-dir /etc/lifeboat", "exporter --listen 0.0.0.0:9851 --tls-cert FILE"
    )
    parser.add_argument(
        "--config-dir", metavar="DIR", default="/etc/lifeboat", help="directory with a configuration for each cluster"
    )
    parser.add_argument("--listen", metavar="ADDRESS:PORT", default="127.0.0.1:9851", help="where to listen")
    parser.add_argument("--interval", metavar="SECONDS", type=float, default=300.0, help="time between two readings")
    parser.add_argument("--page", metavar="FILE", help="also write the status page to this file")
    parser.add_argument("--tls-cert", metavar="FILE", help="serve HTTPS with this certificate")
    parser.add_argument("--tls-key", metavar="FILE", help="its private key, if it is not in the same file")
    parser.add_argument("--tls-client-ca", metavar="FILE", help="only accept clients with a certificate of this CA")
    parser.add_argument("--alertmanager", metavar="URL", help="show the open alerts of this Alertmanager on the page")
    parser.add_argument(
        "--alertmanager-match",
        metavar="MATCHER",
        help="show the alerts of this matcher, instead of those of Lifeboat's rules",
    )
    parser.add_argument("--alertmanager-auth", metavar="FILE", help="file with user:password for Alertmanager")
    parser.add_argument("--alertmanager-ca", metavar="FILE", help="file with the CA of Alertmanager's certificate")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Serve metrics and the status page of all clusters, from their repositories alone, until stopped."""
    told = listen()
    client()
    address, port = _address(args.listen)
    options = Options(
        address, port, args.interval, args.page, args.tls_cert, args.tls_key, args.tls_client_ca, _manager(args)
    )
    serve(Fleet(args.config_dir), options, told, terminal.note, tell_service_manager)
    return Answer({"signal": told[0]}, "")


def _manager(args: argparse.Namespace) -> Optional[Manager]:
    if args.alertmanager is None:
        if args.alertmanager_match or args.alertmanager_auth or args.alertmanager_ca:
            raise ConfigError("Options for Alertmanager need its URL.", "Add --alertmanager URL.")
        return None
    manager = Manager(args.alertmanager, args.alertmanager_match, args.alertmanager_auth, args.alertmanager_ca)
    manager.require_sound()
    return manager


def _address(text: str) -> tuple[str, int]:
    address, _sep, port = text.rpartition(":")
    if not address or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"--listen is {text!r}.", "Use an address and a port: --listen 127.0.0.1:9851.")
    return address.strip("[]"), int(port)
