# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is notified of an incident, in which order, and how long it may take: the section ``incidents``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Dict, FrozenSet, Iterable, Optional, Tuple

from ..base.errors import ConfigError
from .notifications import NotificationsConfig, SmtpOptions
from .option import build, option, with_tuples

COMMANDER, OPERATIONS, COMMUNICATIONS, MANAGER, CTO = "commander", "operations", "communications", "manager", "cto"
ROLES = (COMMANDER, OPERATIONS, COMMUNICATIONS, MANAGER, CTO)
#: The roles that are notified at once if the recovery time objective is at risk, and that are asked for updates.
AT_RISK, UPDATERS = (MANAGER, CTO), (COMMANDER, COMMUNICATIONS)
_SPOOL = "/var/lib/lifeboat/incidents"
_PHONE = re.compile(r"\+?[0-9][0-9 ()/.-]{2,39}\Z", re.ASCII)
_ADDRESS = re.compile(r"[!-~]+@[!-~]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class ContactConfig:
    """A person to notify or call."""

    name: str = option("Name.")
    roles: Tuple[str, ...] = option(
        "The person's roles in an incident: V(commander), V(operations), V(communications), V(manager), V(cto).", ()
    )
    phone: Optional[str] = option("Phone number, as dialed: C(+49 69 1234567).", None)
    mail: Optional[str] = option("Mail address.", None)
    order: int = option("Position among contacts with the same role; the lowest comes first.", 100)


@dataclass(frozen=True)
class RungConfig:
    """A step of the escalation: who is notified if nobody has acknowledged the incident by then."""

    after: float = option("Seconds without an acknowledgement after which these roles are notified.")
    roles: Tuple[str, ...] = option("Roles of the contacts to notify then.")


LADDER = (
    RungConfig(0.0, (COMMANDER,)),
    RungConfig(900.0, (OPERATIONS,)),
    RungConfig(1800.0, (MANAGER,)),
    RungConfig(3600.0, (CTO,)),
)


@dataclass(frozen=True)
class IncidentsConfig:
    """Who is notified of an incident, and when. All times are seconds."""

    priority: str = option(
        "Default priority of incidents of this cluster.",
        "P1",
        choices=("P1", "P2", "P3", "P4"),
    )
    p1: float = option("Recovery time objective of priority P1, in seconds. C(objectives.rto) replaces it.", 3600.0)
    p2: float = option("Recovery time objective of priority P2, in seconds.", 4 * 3600.0)
    p3: float = option("Recovery time objective of priority P3, in seconds.", 24 * 3600.0)
    p4: float = option("Recovery time objective of priority P4, in seconds.", 72 * 3600.0)
    contacts: Tuple[ContactConfig, ...] = option("People to notify or call.", ())
    escalate: bool = option(
        "Let C(lifeboat incident-watch) notify contacts. Refused unless each role that it needs has a reachable "
        "contact.",
        False,
    )
    ladder: Tuple[RungConfig, ...] = option(
        "Who is notified while nobody acknowledges. Default: the commander at once, operations after 15 minutes, the "
        "manager after 30, the CTO after 60.",
        LADDER,
    )
    update_interval: float = option(
        "Seconds between requests for an update; without one for this long, an acknowledgement lapses.", 1800.0
    )
    spool_dir: Optional[str] = option(
        "Directory for events while no repository is reachable. Default: C(/var/lib/lifeboat/incidents).",
        None,
        path=True,
    )

    def directory(self) -> str:
        """The directory of events that are not stored yet, with a directory for each cluster, as in a repository."""
        return self.spool_dir or _SPOOL

    def objective(self, priority: str, rto: Optional[float]) -> timedelta:
        """How long an incident of this priority may take; ``rto`` is the objective of the cluster."""
        if priority == self.priority and rto is not None:
            return timedelta(seconds=rto)
        return timedelta(seconds={"P1": self.p1, "P2": self.p2, "P3": self.p3, "P4": self.p4}[priority])

    def having(self, roles: Iterable[str]) -> Tuple[ContactConfig, ...]:
        """The contacts with any of these roles, by their ``order``."""
        wanted = set(roles)
        return tuple(c for c in self.in_order if wanted & set(c.roles))

    @property
    def in_order(self) -> Tuple[ContactConfig, ...]:
        """All contacts, by their ``order``."""
        return tuple(sorted(self.contacts, key=lambda c: (c.order, c.name)))

    @property
    def needed(self) -> FrozenSet[str]:
        """The roles that must have a contact if ``escalate`` is set."""
        return frozenset(role for rung in self.ladder for role in rung.roles) | {*AT_RISK, COMMANDER}


def parse_incidents(data: Any, where: str) -> IncidentsConfig:
    """Check the section; ConfigError names the path of a wrong option."""
    values: Dict[str, Any] = dict(with_tuples(data, (), "incidents", where))
    for key, read in (("contacts", _contact), ("ladder", _rung)):
        given = values.get(key)
        if given is not None and not isinstance(given, (list, tuple)):
            raise ConfigError(f"{where}: incidents.{key} must be a list.", "Write it as a YAML list.")
        if given is not None:
            values[key] = tuple(read(item, f"incidents.{key}[{i}]", where) for i, item in enumerate(given))
    found: IncidentsConfig = build(IncidentsConfig, values, "incidents", where)
    names = [contact.name for contact in found.contacts]
    if len(set(names)) != len(names):
        raise ConfigError(f"{where}: two of incidents.contacts share a name.", "Give each contact its own name.")
    times = [rung.after for rung in found.ladder]
    if not times or times != sorted(set(times)) or times[0] < 0:
        raise ConfigError(
            f"{where}: the times of incidents.ladder do not increase.",
            "Begin with after: 0, and sort the rungs by time.",
        )
    for key in ("p1", "p2", "p3", "p4", "update_interval"):
        if not 1 <= getattr(found, key) <= 10**8:
            raise ConfigError(f"{where}: incidents.{key} is {getattr(found, key):g}.", "Use seconds, at least 1.")
    return found


def require_reachable(found: IncidentsConfig, notifications: NotificationsConfig, where: str) -> None:
    """ConfigError if people must be notified but cannot be: found when protection is set up, not in an incident."""
    if not found.escalate:
        return
    if not notifications.channels:
        raise ConfigError(
            f"{where}: incidents.escalate is set, but notifications has no channel.",
            "Add one to notifications.channels: docs/notifications.md.",
        )
    missing = sorted(role for role in found.needed if not found.having((role,)))
    if missing:
        raise ConfigError(
            f"{where}: incidents.escalate is set, but no contact has the role {', '.join(missing)}.",
            "Add people to incidents.contacts; a person may have several roles.",
        )
    if any(isinstance(channel.options, SmtpOptions) for channel in notifications.channels):
        unreachable = [c.name for c in found.having(found.needed) if not c.mail]
        if unreachable:
            raise ConfigError(
                f"{where}: incidents.contacts has no mail address of {', '.join(unreachable)}.",
                "Set mail for each of them.",
            )


def _contact(item: Any, path: str, where: str) -> ContactConfig:
    found: ContactConfig = build(ContactConfig, with_tuples(item, ("roles",), path, where), path, where)
    if not found.name.strip() or len(found.name) > 100 or _CONTROL.search(found.name):
        raise ConfigError(f"{where}: {path}.name is {found.name!r}.", "Use the name of a person.")
    _require_roles(found.roles, path, where)
    if found.mail is not None and not _ADDRESS.match(found.mail):
        raise ConfigError(f"{where}: {path}.mail is {found.mail!r}.", "Use an address such as dba@example.com.")
    if found.phone is not None and not _PHONE.match(found.phone):
        raise ConfigError(f"{where}: {path}.phone is {found.phone!r}.", "Write it in quotes, as dialed.")
    if not found.phone and not found.mail:
        raise ConfigError(f"{where}: {path} has neither phone nor mail.", "Add at least one of them.")
    return found


def _rung(item: Any, path: str, where: str) -> RungConfig:
    found: RungConfig = build(RungConfig, with_tuples(item, ("roles",), path, where), path, where)
    if not found.roles:
        raise ConfigError(f"{where}: {path}.roles is empty.", f"Choose from: {', '.join(ROLES)}.")
    _require_roles(found.roles, path, where)
    return found


def _require_roles(roles: Tuple[str, ...], path: str, where: str) -> None:
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise ConfigError(f"{where}: {path}.roles has {unknown[0]!r}.", f"Choose from: {', '.join(ROLES)}.")
