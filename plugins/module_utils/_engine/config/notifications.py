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
_TIMEOUT = "Seconds to wait for an answer, or for a program to end."
_CA_BUNDLE = "Authorities that the server's certificate is checked against. Default: the system's."
_URL = "URL. C(webhook_url_file) is better where the URL itself is a secret."
_URL_FILE = "File with the URL, on the host."
_ALLOW_HTTP = "Allow plain HTTP to another machine. Anybody on the way can read and change notices."


@dataclass(frozen=True)
class SmtpOptions:
    """Mail. ``relays`` are tried in order; a server's certificate is always checked where there is TLS."""

    relays: Tuple[str, ...] = option(
        "Mail servers as C(HOST) or C(HOST:PORT), tried in this order. Default port: 587; 465 for V(tls), 25 for "
        "V(none)."
    )
    sender: str = option("Address in From.")
    to: Tuple[str, ...] = option("Addresses in To.")
    tls: str = option(
        "Encryption. V(none) is refused for another machine unless C(allow_clear_text=true).",
        "starttls",
        choices=tuple(_PORTS),
    )
    allow_clear_text: bool = option("Allow V(none) to another machine, without a login.", False)
    username: Optional[str] = option("User to log in as. Default: no login.", None)
    password: Optional[str] = option("Password. C(password_file) is better.", None, secret=True)
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
    """A POST of JSON, signed where there is a secret."""

    webhook_url: Optional[str] = option(_URL, None, secret=True)
    webhook_url_file: Optional[str] = option(_URL_FILE, None, path=True)
    secret: Optional[str] = option("Secret that signs. C(secret_file) is better.", None, secret=True)
    secret_file: Optional[str] = option("File with the secret that signs, on the host.", None, path=True)
    ca_bundle: Optional[str] = option(_CA_BUNDLE, None, path=True)
    allow_http: bool = option(_ALLOW_HTTP, False)
    timeout: float = option(_TIMEOUT, 20.0)


@dataclass(frozen=True)
class SlackOptions:
    """An incoming webhook of Slack, or of what takes the same (Mattermost, Rocket.Chat). Its URL is its secret."""

    webhook_url: Optional[str] = option(_URL, None, secret=True)
    webhook_url_file: Optional[str] = option(_URL_FILE, None, path=True)
    ca_bundle: Optional[str] = option(_CA_BUNDLE, None, path=True)
    allow_http: bool = option(_ALLOW_HTTP, False)
    timeout: float = option(_TIMEOUT, 20.0)


@dataclass(frozen=True)
class PagerDutyOptions:
    """Events API v2 of PagerDuty."""

    routing_key: Optional[str] = option("Integration key. C(routing_key_file) is better.", None, secret=True)
    routing_key_file: Optional[str] = option("File with the integration key, on the host.", None, path=True)
    endpoint: str = option(
        "Where events go. In the EU: C(https://events.eu.pagerduty.com/v2/enqueue).",
        "https://events.pagerduty.com/v2/enqueue",
    )
    ca_bundle: Optional[str] = option(_CA_BUNDLE, None, path=True)
    allow_http: bool = option(_ALLOW_HTTP, False)
    timeout: float = option(_TIMEOUT, 20.0)


@dataclass(frozen=True)
class AppriseOptions:
    """Any service that the program ``apprise`` knows, by URLs in a file of its own format."""

    config_file: str = option("File of URLs in a format of C(apprise), on the host.", path=True)
    tags: Tuple[str, ...] = option("Only URLs with one of these tags. Default: those without a tag.", ())
    program: str = option("Program C(apprise).", "apprise", path=True)
    timeout: float = option(_TIMEOUT, 20.0)


@dataclass(frozen=True)
class CommandOptions:
    """A program that gets the notice as JSON on standard input; status 0 means that it is delivered."""

    argv: Tuple[str, ...] = option("Program and arguments, without a shell. No secret: every user can see arguments.")
    timeout: float = option(_TIMEOUT, 20.0)


ChannelOptions = Union[
    SmtpOptions, WebhookOptions, SlackOptions, PagerDutyOptions, AppriseOptions, CommandOptions
]  # fmt: skip
#: The kinds of channels, by what a configuration calls them.
CHANNEL_TYPES: Mapping[str, Any] = {
    "smtp": SmtpOptions,
    "webhook": WebhookOptions,
    "slack": SlackOptions,
    "pagerduty": PagerDutyOptions,
    "apprise": AppriseOptions,
    "command": CommandOptions,
}
_LISTS = {"smtp": ("relays", "to"), "apprise": ("tags",), "command": ("argv",)}
#: What may be given itself or by a file; of those that are needed, one must be.
_SECRETS = {
    "smtp": (("password", False),),
    "webhook": (("webhook_url", True), ("secret", False)),
    "slack": (("webhook_url", True),),
    "pagerduty": (("routing_key", True),),
}


@dataclass(frozen=True)
class ChannelConfig:
    """One way to reach somebody."""

    name: str = option("Name for messages and options: letters, digits, C(.), C(_), C(-).")
    options: ChannelOptions = option("Kind of channel, and the options of that kind.")
    severities: Tuple[str, ...] = option(
        "Severities that it gets: V(info), V(warning), V(critical). An empty list makes it a reserve, which is tried "
        "only where another channel fails. Default: all.",
        SEVERITIES,
    )


@dataclass(frozen=True)
class PingConfig:
    """A dead man's switch: a service that tells somebody when the pings of a job stop, or one says that it failed."""

    job: str = option("Job of the schedule.", choices=JOBS)
    ping_url: Optional[str] = option(
        "URL; C(/start) and C(/fail) are added to it. C(ping_url_file) is better: whoever knows it can ping.",
        None,
        secret=True,
    )
    ping_url_file: Optional[str] = option(_URL_FILE, None, path=True)
    ca_bundle: Optional[str] = option(_CA_BUNDLE, None, path=True)
    allow_http: bool = option("Allow plain HTTP to another machine.", False)
    timeout: float = option("Seconds to wait for an answer.", 10.0)


@dataclass(frozen=True)
class NotificationsConfig:
    """Who is notified; nobody without channels. ``repeat`` and ``patience`` are seconds."""

    channels: Tuple[ChannelConfig, ...] = option("Channels, in the order in which they are tried.", ())
    repeat: float = option("Seconds after which a problem that is still there is told again.", 86400.0)
    patience: float = option("Seconds that are spent at most on a channel that does not answer.", 60.0)
    on_success: Tuple[str, ...] = option(
        "Jobs of which each success is told too, with severity V(info): C(full), C(incremental).", ()
    )
    pings: Tuple[PingConfig, ...] = option("Dead man's switches, each of a job, as healthchecks.io has them.", ())
    state_dir: Optional[str] = option(
        "Where it is noted what was told. Default: C(/var/lib/lifeboat/notifications/CLUSTER).", None, path=True
    )

    def directory(self, cluster: str) -> str:
        """Where the state is."""
        return self.state_dir or f"{_STATE}/{cluster}"


def parse_notifications(data: Any, where: str) -> NotificationsConfig:
    """Check the section; ConfigError names the path of what is wrong, never a secret."""
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
            f"{where}: two channels of notifications share a name ({', '.join(names)}).", "Give each its own."
        )
    if channels and not any("critical" in channel.severities for channel in channels):
        raise ConfigError(
            f"{where}: no channel of notifications takes critical notices: nobody would be told of a failed job.",
            "Add critical to the severities of one.",
        )
    for job in found.on_success:
        if job not in JOBS:
            raise ConfigError(f"{where}: notifications.on_success has {job!r}.", f"Choose from: {', '.join(JOBS)}.")
    for key, least in (("repeat", 60.0), ("patience", 1.0)):
        if getattr(found, key) < least:
            raise ConfigError(
                f"{where}: notifications.{key} is {getattr(found, key):g}.", f"It is seconds, at least {least:g}."
            )
    return found


def _channel(item: Any, path: str, where: str) -> ChannelConfig:
    values: Dict[str, Any] = {k: v for k, v in with_tuples(item, ("severities",), path, where).items() if v is not None}
    kind = values.pop("type", None)
    if not isinstance(kind, str) or kind not in CHANNEL_TYPES:
        raise ConfigError(f"{where}: {path}.type is {kind!r}.", f"Choose one of: {', '.join(CHANNEL_TYPES)}.")
    name = values.pop("name", None)
    if not isinstance(name, str) or not _NAME.match(name):
        raise ConfigError(f"{where}: {path}.name is {name!r}.", "Use letters, digits, '.', '_' and '-', at most 63.")
    severities = values.pop("severities", SEVERITIES)
    unknown = [s for s in severities if s not in SEVERITIES]
    if unknown:
        raise ConfigError(f"{where}: {path}.severities has {unknown[0]!r}.", f"Choose from: {', '.join(SEVERITIES)}.")
    lists = _LISTS.get(kind, ())
    options: ChannelOptions = build(CHANNEL_TYPES[kind], with_tuples(values, lists, path, where), path, where)
    for key, needed in _SECRETS.get(kind, ()):
        _require_one(options, key, needed, path, where)
    if not 1 <= options.timeout <= 300:
        raise ConfigError(f"{where}: {path}.timeout is {options.timeout:g}.", "It is seconds, from 1 to 300.")
    if isinstance(options, SmtpOptions):
        _require_mail(options, path, where)
    elif isinstance(options, CommandOptions) and not options.argv:
        raise ConfigError(f"{where}: {path}.argv is empty.", "Name a program.")
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
        raise ConfigError(f"{where}: {path}.timeout is {found.timeout:g}.", "It is seconds, from 1 to 60.")
    if found.ping_url:
        require_sendable(found.ping_url, found.allow_http, f"{where}: {path}.ping_url")
    return found


def _require_one(options: Union[ChannelOptions, PingConfig], key: str, needed: bool, path: str, where: str) -> None:
    given = [name for name in (key, f"{key}_file") if getattr(options, name)]
    if len(given) == 2:
        raise ConfigError(f"{where}: {path} has both {key} and {key}_file.", "Set only one of them.")
    if needed and not given:
        raise ConfigError(f"{where}: {path} has neither {key} nor {key}_file.", f"Set one of them, better {key}_file.")


def _require_mail(options: SmtpOptions, path: str, where: str) -> None:
    for key in ("relays", "to"):
        if not getattr(options, key):
            raise ConfigError(f"{where}: {path}.{key} is empty.", "Name at least one.")
    for relay in options.relays:
        found = _RELAY.match(relay)
        if not found or not 0 < int(found["port"] or 1) < 65536:
            raise ConfigError(f"{where}: {path}.relays has {relay!r}.", "Write HOST or HOST:PORT.")
    for address in (options.sender, *options.to):
        # A line break would end the header and begin another one.
        if not _ADDRESS.match(address):
            raise ConfigError(f"{where}: {path} has the address {address!r}.", "Write an address: dba@example.com.")
    if bool(options.username) != bool(options.password or options.password_file):
        raise ConfigError(
            f"{where}: {path} has only one of username and password.", "Set both, the password by password_file."
        )
    away = [host for host, _port in options.places if not is_this_machine(f"//{_bracketed(host)}")]
    if options.tls == "none" and away and (options.username or not options.allow_clear_text):
        raise ConfigError(
            f"{where}: {path} would send mail to {away[0]} without encryption.",
            "Set tls: starttls (ca_bundle names an authority of your own)"
            + ("; a password is never sent in clear." if options.username else ", or allow_clear_text: true."),
        )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def require_sendable(url: str, allow_http: bool, where: str) -> None:
    """ConfigError for a URL that notices may not go to. The URL, which may be a secret, is not quoted."""
    try:
        parts = urlsplit(url)
        plain, host = parts.scheme == "http", parts.hostname
        # Asked for its sake: a port that is no number is an error only now.
        parts.port  # noqa: B018
    except ValueError:
        host, plain = None, False
    if not host or not (plain or url.lower().startswith("https://")) or not re.fullmatch(r"[!-~]+", url):
        raise ConfigError(f"{where} is not a URL of HTTPS.", "Write https://host/path.")
    if parts.username or parts.password:
        raise ConfigError(f"{where} has a user or password in it.", "Leave it out; a webhook is signed by secret_file.")
    if plain and not allow_http and not is_this_machine(url):
        raise ConfigError(
            f"{where} is plain HTTP to another machine: anybody on the way can read and change notices.",
            "Use https (ca_bundle names an authority of your own), or set allow_http: true for this channel.",
        )
