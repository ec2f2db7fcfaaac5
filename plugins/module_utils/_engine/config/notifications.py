# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is notified, by which channels: the section ``notifications``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple, Union
from urllib.parse import urlsplit

from ..base.errors import ConfigError
from .option import build, option, with_tuples
from .transit import is_this_machine

SEVERITIES = ("info", "warning", "critical")
#: The jobs of lifeboat-job.
JOBS = (
    "full", "incremental", "dump", "files", "check", "verify", "restore_test", "sync", "retention", "drill_reminder",
)  # fmt: skip
_STATE = "/var/lib/lifeboat/notifications"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z", re.ASCII)
_ADDRESS = re.compile(r"[!-~]+@[!-~]+\Z")
_RELAY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?\Z", re.ASCII)
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_TIMEOUT = "Seconds to wait for a response, or for a program to end."
_CA_BUNDLE = "PEM file with the CA that signed the server's certificate. Default: the system's CAs."
_URL = "URL. Prefer C(webhook_url_file) if the URL itself is a secret."
_URL_FILE = "File with the URL, on the host."
_ALLOW_HTTP = "Allow plain HTTP to another machine. Anybody on the network path can read and change notices."


@dataclass(frozen=True)
class SmtpOptions:
    """Mail. ``relays`` are tried in order; with TLS, the server's certificate is always checked."""

    relays: Tuple[str, ...] = option(
        "Mail servers as C(HOST) or C(HOST:PORT), tried in this order. Default port: 587; 465 for V(tls), 25 for "
        "V(none)."
    )
    sender: str = option("Address of the sender.")
    to: Tuple[str, ...] = option("Addresses of the recipients.")
    tls: str = option(
        "Encryption. V(none) to another machine is refused unless C(allow_clear_text=true).",
        "starttls",
        choices=tuple(_PORTS),
    )
    allow_clear_text: bool = option("Allow V(none) to another machine, without a login.", False)
    username: Optional[str] = option("User to log in as. Default: no login.", None)
    password: Optional[str] = option("Password. Prefer C(password_file).", None, secret=True)
    password_file: Optional[str] = option("File with the password, on the host.", None, path=True)
    ca_bundle: Optional[str] = option(_CA_BUNDLE, None, path=True)
    timeout: float = option(_TIMEOUT, 20.0)

    @property
    def places(self) -> Tuple[Tuple[str, int], ...]:
        """Host and port of each relay."""
        found = [_RELAY.match(relay) for relay in self.relays]
        return tuple((m["host"].strip("[]"), int(m["port"] or _PORTS[self.tls])) for m in found if m)


@dataclass(frozen=True)
class WebhookOptions:
    """A POST of JSON, signed if there is a secret."""

    webhook_url: Optional[str] = option(_URL, None, secret=True)
    webhook_url_file: Optional[str] = option(_URL_FILE, None, path=True)
    secret: Optional[str] = option("Secret for the signature. Prefer C(secret_file).", None, secret=True)
    secret_file: Optional[str] = option("File with the secret for the signature, on the host.", None, path=True)
    ca_bundle: Optional[str] = option(_CA_BUNDLE, None, path=True)
    allow_http: bool = option(_ALLOW_HTTP, False)
    timeout: float = option(_TIMEOUT, 20.0)


@dataclass(frozen=True)
class SlackOptions:
    """An incoming webhook of Slack or a compatible service (Mattermost, Rocket.Chat). Its URL is the secret."""

    webhook_url: Optional[str] = option(_URL, None, secret=True)
    webhook_url_file: Optional[str] = option(_URL_FILE, None, path=True)
    ca_bundle: Optional[str] = option(_CA_BUNDLE, None, path=True)
    allow_http: bool = option(_ALLOW_HTTP, False)
    timeout: float = option(_TIMEOUT, 20.0)


@dataclass(frozen=True)
class PagerDutyOptions:
    """Events API v2 of PagerDuty."""

    routing_key: Optional[str] = option("Integration key. Prefer C(routing_key_file).", None, secret=True)
    routing_key_file: Optional[str] = option("File with the integration key, on the host.", None, path=True)
    endpoint: str = option(
        "URL of the Events API. In the EU: C(https://events.eu.pagerduty.com/v2/enqueue).",
        "https://events.pagerduty.com/v2/enqueue",
    )
    ca_bundle: Optional[str] = option(_CA_BUNDLE, None, path=True)
    allow_http: bool = option(_ALLOW_HTTP, False)
    timeout: float = option(_TIMEOUT, 20.0)


@dataclass(frozen=True)
class AppriseOptions:
    """Any service that the program ``apprise`` supports; its URLs are in a file of apprise's format."""

    config_file: str = option("Configuration file of C(apprise) with the URLs, on the host.", path=True)
    tags: Tuple[str, ...] = option("Use only URLs with one of these tags. Default: those without a tag.", ())
    program: str = option("Program C(apprise).", "apprise", path=True)
    timeout: float = option(_TIMEOUT, 20.0)


@dataclass(frozen=True)
class CommandOptions:
    """A program that reads the notice as JSON on standard input; exit status 0 means that it is delivered."""

    argv: Tuple[str, ...] = option(
        "Program and arguments, run without a shell. Never a secret: every user can see arguments."
    )
    timeout: float = option(_TIMEOUT, 20.0)


ChannelOptions = Union[
    SmtpOptions, WebhookOptions, SlackOptions, PagerDutyOptions, AppriseOptions, CommandOptions
]  # fmt: skip
#: The kinds of channels, by their ``type`` in the configuration.
CHANNEL_TYPES: Mapping[str, Any] = {
    "smtp": SmtpOptions,
    "webhook": WebhookOptions,
    "slack": SlackOptions,
    "pagerduty": PagerDutyOptions,
    "apprise": AppriseOptions,
    "command": CommandOptions,
}
_LISTS = {"smtp": ("relays", "to"), "apprise": ("tags",), "command": ("argv",)}
#: Options that have a twin ending in ``_file``; whether one of the two is mandatory.
_SECRETS = {
    "smtp": (("password", False),),
    "webhook": (("webhook_url", True), ("secret", False)),
    "slack": (("webhook_url", True),),
    "pagerduty": (("routing_key", True),),
}


@dataclass(frozen=True)
class ChannelConfig:
    """One way to deliver notices."""

    name: str = option("Name for messages and options: letters, digits, C(.), C(_), C(-).")
    options: ChannelOptions = option("Kind of channel, and the options of that kind.")
    severities: Tuple[str, ...] = option(
        "Severities to send: V(info), V(warning), V(critical). An empty list makes it a reserve, which is only tried "
        "if another channel fails. Default: all.",
        SEVERITIES,
    )


@dataclass(frozen=True)
class PingConfig:
    """A dead man's switch: a service that alerts if the pings of a job stop, or if one reports a failure."""

    job: str = option("Job of the schedule.", choices=JOBS)
    ping_url: Optional[str] = option(
        "URL; C(/start) and C(/fail) are added to it. Prefer C(ping_url_file): anybody who knows the URL can ping.",
        None,
        secret=True,
    )
    ping_url_file: Optional[str] = option(_URL_FILE, None, path=True)
    ca_bundle: Optional[str] = option(_CA_BUNDLE, None, path=True)
    allow_http: bool = option("Allow plain HTTP to another machine.", False)
    timeout: float = option("Seconds to wait for a response.", 10.0)


@dataclass(frozen=True)
class NotificationsConfig:
    """Who is notified: nobody if there are no channels. ``repeat`` and ``patience`` are seconds."""

    channels: Tuple[ChannelConfig, ...] = option("Channels, tried in this order.", ())
    repeat: float = option("Seconds after which a problem that persists is reported again.", 86400.0)
    patience: float = option("Most seconds to spend on a channel that does not respond.", 60.0)
    on_success: Tuple[str, ...] = option(
        "Jobs whose successes are reported too, with severity V(info): C(full), C(incremental).", ()
    )
    pings: Tuple[PingConfig, ...] = option("Dead man's switches for jobs, as of healthchecks.io.", ())
    state_dir: Optional[str] = option(
        "Directory for the state of notices. Default: C(/var/lib/lifeboat/notifications/CLUSTER).", None, path=True
    )

    def directory(self, cluster: str) -> str:
        """The directory of the state."""
        return self.state_dir or f"{_STATE}/{cluster}"


def parse_notifications(data: Any, where: str) -> NotificationsConfig:
    """Check the section; ConfigError names the path of a wrong option, never a secret."""
    values: Dict[str, Any] = dict(with_tuples(data, ("on_success",), "notifications", where))
    for key in ("channels", "pings"):
        given = values.get(key) or ()
        if not isinstance(given, (list, tuple)):
            raise ConfigError(f"{where}: notifications.{key} must be a list.", "Write it as a YAML list.")
        read = _channel if key == "channels" else _ping
        values[key] = tuple(read(item, f"notifications.{key}[{i}]", where) for i, item in enumerate(given))
    found: NotificationsConfig = build(NotificationsConfig, values, "notifications", where)
    channels = found.channels
    names = [channel.name for channel in channels]
    if len(set(names)) != len(names):
        raise ConfigError(
            f"{where}: two channels of notifications share a name ({', '.join(names)}).",
            "Give each channel its own name.",
        )
    if channels and not any("critical" in channel.severities for channel in channels):
        raise ConfigError(
            f"{where}: no channel of notifications has severity critical, so nobody would hear of a failed job.",
            "Add critical to the severities of a channel.",
        )
    for job in found.on_success:
        if job not in JOBS:
            raise ConfigError(f"{where}: notifications.on_success has {job!r}.", f"Choose from: {', '.join(JOBS)}.")
    for key, least in (("repeat", 60.0), ("patience", 1.0)):
        if getattr(found, key) < least:
            raise ConfigError(
                f"{where}: notifications.{key} is {getattr(found, key):g}.", f"Use seconds, at least {least:g}."
            )
    return found


def _channel(item: Any, path: str, where: str) -> ChannelConfig:
    values: Dict[str, Any] = {k: v for k, v in with_tuples(item, ("severities",), path, where).items() if v is not None}
    kind = values.pop("type", None)
    if not isinstance(kind, str) or kind not in CHANNEL_TYPES:
        raise ConfigError(f"{where}: {path}.type is {kind!r}.", f"Choose one of: {', '.join(CHANNEL_TYPES)}.")
    name = values.pop("name", None)
    if not isinstance(name, str) or not _NAME.match(name):
        raise ConfigError(f"{where}: {path}.name is {name!r}.", "Use at most 63 letters, digits, '.', '_' and '-'.")
    severities = values.pop("severities", SEVERITIES)
    unknown = [s for s in severities if s not in SEVERITIES]
    if unknown:
        raise ConfigError(f"{where}: {path}.severities has {unknown[0]!r}.", f"Choose from: {', '.join(SEVERITIES)}.")
    lists = _LISTS.get(kind, ())
    options: ChannelOptions = build(CHANNEL_TYPES[kind], with_tuples(values, lists, path, where), path, where)
    for key, needed in _SECRETS.get(kind, ()):
        _require_one(options, key, needed, path, where)
    if not 1 <= options.timeout <= 300:
        raise ConfigError(f"{where}: {path}.timeout is {options.timeout:g}.", "Use seconds, from 1 to 300.")
    if isinstance(options, SmtpOptions):
        _require_mail(options, path, where)
    elif isinstance(options, CommandOptions) and not options.argv:
        raise ConfigError(f"{where}: {path}.argv is empty.", "Name a program and its arguments.")
    elif isinstance(options, PagerDutyOptions):
        require_sendable(options.endpoint, options.allow_http, f"{where}: {path}.endpoint")
    elif isinstance(options, (WebhookOptions, SlackOptions)) and options.webhook_url:
        require_sendable(options.webhook_url, options.allow_http, f"{where}: {path}.webhook_url")
    return ChannelConfig(name, options, tuple(severities))


def _ping(item: Any, path: str, where: str) -> PingConfig:
    found: PingConfig = build(PingConfig, with_tuples(item, (), path, where), path, where)
    if found.job not in JOBS:
        raise ConfigError(f"{where}: {path}.job is {found.job!r}.", f"Choose one of: {', '.join(JOBS)}.")
    _require_one(found, "ping_url", True, path, where)
    if not 1 <= found.timeout <= 60:
        raise ConfigError(f"{where}: {path}.timeout is {found.timeout:g}.", "Use seconds, from 1 to 60.")
    if found.ping_url:
        require_sendable(found.ping_url, found.allow_http, f"{where}: {path}.ping_url")
    return found


def _require_one(options: Union[ChannelOptions, PingConfig], key: str, needed: bool, path: str, where: str) -> None:
    given = [name for name in (key, f"{key}_file") if getattr(options, name)]
    if len(given) == 2:
        raise ConfigError(f"{where}: {path} has both {key} and {key}_file.", "Set only one of them.")
    if needed and not given:
        raise ConfigError(
            f"{where}: {path} has neither {key} nor {key}_file.", f"Set one of them, preferably {key}_file."
        )


def _require_mail(options: SmtpOptions, path: str, where: str) -> None:
    for key in ("relays", "to"):
        if not getattr(options, key):
            raise ConfigError(f"{where}: {path}.{key} is empty.", "List at least one entry.")
    for relay in options.relays:
        found = _RELAY.match(relay)
        if not found or not 0 < int(found["port"] or 1) < 65536:
            raise ConfigError(f"{where}: {path}.relays has {relay!r}.", "Write HOST or HOST:PORT.")
    for address in (options.sender, *options.to):
        # A line break would inject another header.
        if not _ADDRESS.match(address):
            raise ConfigError(
                f"{where}: {path} has the address {address!r}.", "Use an address such as dba@example.com."
            )
    if bool(options.username) != bool(options.password or options.password_file):
        raise ConfigError(
            f"{where}: {path} has only one of username and password.", "Set both; use password_file for the password."
        )
    away = [host for host, _port in options.places if not is_this_machine(f"//{_bracketed(host)}")]
    if options.tls == "none" and away and (options.username or not options.allow_clear_text):
        raise ConfigError(
            f"{where}: {path} would send mail to {away[0]} without encryption.",
            "Set tls: starttls (and ca_bundle for your own CA)"
            + ("; a password is never sent in clear text." if options.username else ", or allow_clear_text: true."),
        )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def require_sendable(url: str, allow_http: bool, where: str) -> None:
    """ConfigError for a URL that notices must not be sent to. It may be a secret, so it is not quoted."""
    try:
        parts = urlsplit(url)
        plain, host = parts.scheme == "http", parts.hostname
        # Only reading the port raises the error for one that is not a number.
        parts.port  # noqa: B018
    except ValueError:
        host, plain = None, False
    if not host or not (plain or url.lower().startswith("https://")) or not re.fullmatch(r"[!-~]+", url):
        raise ConfigError(f"{where} is not an HTTPS URL.", "Write https://host/path.")
    if parts.username or parts.password:
        raise ConfigError(
            f"{where} contains a user or password.", "Remove it; to authenticate a webhook, sign it with secret_file."
        )
    if plain and not allow_http and not is_this_machine(url):
        raise ConfigError(
            f"{where} is plain HTTP to another machine: anybody on the network path can read and change notices.",
            "Use https (and ca_bundle for your own CA), or set allow_http: true for this channel.",
        )
