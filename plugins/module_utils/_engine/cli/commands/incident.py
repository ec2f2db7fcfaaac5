# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat incident``: open, show, update and close incidents."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any, Dict, List, Mapping, Tuple

from ...base.errors import LifeboatError
from ...config.load import Config, load
from ...incident import actions
from ...incident.document import REVIEW
from ...incident.places import Added, opened
from ...incident.record import ACTION, CLAIMED, PHASE, PRIORITIES, SENT, Event
from ...incident.timeline import Incident
from ...incident.written import write_document
from ...records.fields import printable
from ..terminal import Answer, Terminal, bullets, duration, table
from .described import Actions, add_command


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(
        subparsers, "incident", "incident open 'The database is wrong'", "incident show", "incident ack --as 'Ann'"
    )
    acts = Actions(parser)
    start = acts.add(
        "open",
        run_open,
        "open an incident",
        "incident open 'The database is wrong'",
        "incident open --priority P2 'Reports are slow'",
    )
    start.add_argument("title", metavar="TITLE", help="what is wrong, in a few words")
    start.add_argument("--priority", choices=PRIORITIES, default="", help="priority (default: incidents.priority)")
    show = _add(
        acts,
        "show",
        run_show,
        "show the only open incident, or the newest one",
        "incident show",
        "incident show --json",
    )
    _add_report(show)
    acts.add("list", run_list, "list all incidents", "incident list", "incident list --json")
    ack = _add(
        acts, "ack", run_ack, "acknowledge that you are working on it, which stops the escalation", "incident ack",
        "incident ack --as 'Ann Example'",
    )  # fmt: skip
    ack.add_argument("--as", dest="contact", default="", metavar="NAME", help="your name, as in incidents.contacts")
    for name, handler, words in (
        ("note", run_note, "record an observation or an action"),
        ("update", run_update, "report the current state, which renews the acknowledgement"),
    ):
        plain = f"incident {name} 'The standby is intact'"
        named = f"incident {name} --incident 20261122T140159Z-1a2b3c4d 'The standby is intact'"
        more = _add(acts, name, handler, words, plain, named)
        more.add_argument("text", metavar="TEXT")
        if name == "note":
            more.add_argument(
                "--review", choices=tuple(REVIEW), default="", help="section of the post-incident document"
            )
    _add_action(acts)
    _add_close(acts)


def _add(acts: Actions, name: str, handler: Any, words: str, *examples: str) -> argparse.ArgumentParser:
    parser = acts.add(name, handler, words, *examples)
    parser.add_argument("--incident", metavar="ID", default="", help="the incident (default: the only open one)")
    return parser


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", metavar="DIR", help="write the post-incident document there: HTML, Markdown, JSON")


def _add_action(acts: Actions) -> None:
    parser = _add(
        acts, "action", run_action, "add a follow-up action, or mark one as done",
        "incident action --owner Ann --due 2026-12-24 'Mend the runbook'", "incident action --done 0a1b2c3d",
    )  # fmt: skip
    parser.add_argument("text", nargs="?", default="", metavar="TEXT")
    parser.add_argument("--owner", default="", metavar="NAME", help="person responsible")
    parser.add_argument("--due", default="", metavar="DATE", help="due date: 2026-12-24")
    parser.add_argument("--done", default="", metavar="ACTION", help="mark this action as done")


def _add_close(acts: Actions) -> None:
    parser = _add(
        acts, "close", run_close, "close an incident", "incident close 'Restored to 14:01, all data is there'",
        "incident close --went-well 'The drill helped' 'Restored to 14:01'",
    )  # fmt: skip
    parser.add_argument("text", metavar="TEXT", help="what was done, in a few words")
    parser.add_argument("--went-well", default="", metavar="TEXT", help="what went well")
    parser.add_argument("--went-badly", default="", metavar="TEXT", help="what went badly")
    parser.add_argument("--lucky", default="", metavar="TEXT", help="where luck helped")
    parser.add_argument("--lost-seconds", default="", metavar="N", help="seconds of commits that were lost")
    parser.add_argument("--lost-transactions", default="", metavar="N", help="transactions that were lost")
    _add_report(parser)


def run_open(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Open an incident; exit status 0 even if only this host has the record."""
    config = load(args.config)
    added = actions.open_incident(config, args.title, args.priority)
    return _answer(config, added, f"opened {added.incident.priority} incident {added.incident.id}")


def run_show(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print the incident, with the newest event last."""
    config = load(args.config)
    incident, look = actions.show(config, args.incident)
    files = write_document(config, incident, args.report, look.now) if args.report else ()
    unread = {name: error.as_dict() for name, error in look.unread.items()}
    data = {**incident.as_dict(look.now), **_people(config), "unread": unread, "files": list(files)}
    return Answer(data, "\n".join([*page(config, incident, look.now, look.unread), *files]))


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each incident, oldest first."""
    with opened(load(args.config)) as places:
        look = places.look().require_known()
    every = [incident.as_dict(look.now) for incident in look.incidents.values()]
    rows = [
        [i["incident"], i["state"], i["priority"], i["began_at"] or "-", str(sum(not a["done"] for a in i["actions"])),
         printable(i["title"])]
        for i in every
    ]  # fmt: skip
    head = ["incident", "state", "priority", "began at", "open actions", "title"]
    return Answer({"incidents": every}, table(head, rows) if rows else "no incidents")


def run_ack(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Acknowledge the incident, which stops the escalation."""
    config = load(args.config)
    added = actions.acknowledge(config, args.incident, args.contact)
    return _answer(config, added, f"{added.incident.id} is acknowledged by {added.event.by}")


def run_note(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Also once the incident is closed."""
    config = load(args.config)
    added = actions.note(config, args.text, args.incident, args.review)
    return _answer(config, added, f"recorded as event {added.event.number} of {added.incident.id}")


def run_update(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Report the state; the next update is requested after the configured interval."""
    config = load(args.config)
    added = actions.update(config, args.text, args.incident)
    after = duration(config.incidents.update_interval)
    return _answer(
        config, added, f"recorded as event {added.event.number} of {added.incident.id}; next update due in {after}"
    )


def run_action(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Also once the incident is closed."""
    config = load(args.config)
    if args.done:
        added = actions.finish_action(config, args.done, args.incident, args.text)
        return _answer(config, added, f"action {args.done} is done")
    added = actions.add_action(config, args.text, args.owner, args.due, args.incident)
    return _answer(config, added, f"action {added.event.details['action']} is {args.owner}'s until {args.due}")


def run_close(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Close the incident, which ends all notifications."""
    config = load(args.config)
    review = {
        key: getattr(args, key) for key in ("went_well", "went_badly", "lucky", "lost_seconds", "lost_transactions")
    }
    added = actions.close(config, args.text, args.incident, **review)
    files = write_document(config, added.incident, args.report, added.event.at) if args.report else ()
    answer = _answer(config, added, "\n".join([f"closed {added.incident.id}", *files]))
    return Answer({**answer.data, "files": list(files)}, answer.text)


def _answer(config: Config, added: Added, words: str) -> Answer:
    data = {**added.event.shown(), "places": list(added.places), "spooled": added.spooled}
    if added.spooled:
        words += f"\nno repository responds: only stored on this host, in {config.incidents.directory()}"
    return Answer(data, words)


def _people(config: Config) -> Dict[str, Any]:
    return {
        "contacts": [
            {"name": c.name, "roles": list(c.roles), "phone": c.phone, "mail": c.mail}
            for c in config.incidents.in_order
        ]
    }


def page(config: Config, incident: Incident, now: datetime, unread: Mapping[str, LifeboatError]) -> List[str]:
    """The incident as text: its state, the time left, the contacts, and the events. Pure."""
    data = incident.as_dict(now)
    left = data["remaining_seconds"]
    clock = "" if left is None else f"{duration(abs(left))} {'left' if left >= 0 else 'OVER the objective'}"
    lines = [
        f"{incident.id}  {incident.priority}  {data['state']}  {clock}".rstrip(),
        printable(data["title"]),
        f"acknowledged by {data['acknowledged_by']}" if data["acknowledged_by"] else "NOT ACKNOWLEDGED",
    ]
    people = _people(config)["contacts"]
    if people:
        lines += ["", "contacts", *bullets([_person(p) for p in people])]
    lines += ["", "events", *bullets([_line(event) for event in incident.events])]
    open_ones = [a for a in incident.actions if not a.done]
    if open_ones:
        lines += ["", "to be done", *bullets([printable(f"{a.id}  {a.due}  {a.owner}: {a.text}") for a in open_ones])]
    lines += [f"SET APART event {a.number} in {a.repository}: {printable(a.why)}" for a in incident.aside]
    lines += [f"NOT READ {name}: {error.message}" for name, error in unread.items()]
    return lines


def _person(person: Mapping[str, Any]) -> str:
    parts: Tuple[str, ...] = (person["name"], ", ".join(person["roles"]), person["phone"] or "", person["mail"] or "")
    return "  ".join(filter(None, parts))


def _line(event: Event) -> str:
    """One event as a single line that is safe to print."""
    told = event.details
    more = {
        PHASE: f"{told.get('phase')} {told.get('state')}",
        CLAIMED: told.get("key", ""),
        SENT: f"{told.get('key')} to {told.get('to', '?')}",
        ACTION: f"{told.get('action')} {told.get('state')}",
    }.get(event.what, "")
    words = ": ".join(filter(None, (f"{event.what} {more}".rstrip(), event.text.replace("\n", " "))))
    return printable(f"{event.number:>4}  {event.when:%Y-%m-%d %H:%M:%S}Z  {words}  ({event.by})")
