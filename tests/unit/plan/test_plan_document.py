# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says follows from the facts, its commands exist, and text of others stays text."""

from __future__ import annotations

import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Iterator, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError
from lifeboat.cli.main import build_parser
from lifeboat.plan.blocks import Commands, Section, markdown, page
from lifeboat.plan.company import Company, company
from lifeboat.plan.content import document
from lifeboat.plan.lacking import ALWAYS, lacking
from lifeboat.plan.runbook import runbook, script_of
from support.choice import examples
from support.companies import a_company, a_drill, a_host, a_repository, some_facts

ROOT = Path(__file__).resolve().parents[3]


def commands(section: Section) -> Iterator[str]:
    for block in section.blocks:
        if isinstance(block, Commands):
            yield from block.lines
    for part in section.parts:
        yield from commands(part)


def two_sites(**more: Any) -> Company:
    hosts = [a_host("db-east", site="east"), a_host("db-west", site="west", address="203.0.113.20")]
    return a_company(some_facts(**more), hosts=hosts)


def test_every_command_of_the_plan_exists() -> None:
    bare = a_company(some_facts(repositories=[a_repository(versions=False, dumps={})]))
    lines = [
        line
        for told in (a_company(), two_sites(leader="west"), bare)
        for s in document(told).sections
        for line in commands(s)
    ]
    known = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    docs = "".join(path.read_text() for folder in ("playbooks", "docs") for path in (ROOT / folder).iterdir())
    played = set()
    for line in lines:
        words = shlex.split(line)
        if words[0] == "ansible-playbook":
            (name,) = (word.split(".")[-1] for word in words if word.startswith("lifeboat.postgres."))
            played.add(name)
            assert name in known and words[1:3] == ["-i", "inventory.yml"], line
            for variable in (words[n + 1].split("=")[0] for n, word in enumerate(words) if word == "-e"):
                assert re.search(rf"\b{variable}\b", docs), line
        elif "lifeboat" in words:
            build_parser().parse_args(words[words.index("lifeboat") + 1 :])
        else:
            assert "pg_amcheck" in words, line
    assert played == {"dr", "dr_restore", "dr_rebuild", "dr_failover", "dr_dump"}


def test_the_site_that_leads_has_the_primary() -> None:
    told = "\n".join(line for section in document(two_sites(leader="west")).sections for line in commands(section))
    assert "dr_failover -e lifeboat_hosts=db-east -e dr_old_host=203.0.113.20" in told
    told = "\n".join(line for section in document(a_company()).sections for line in commands(section))
    assert "dr_failover" not in told


def test_the_same_facts_make_the_same_plan_and_another_fact_shows() -> None:
    assert markdown(document(a_company())) == markdown(document(a_company()))
    text = markdown(document(a_company()))
    assert "| time to recover (RTO) | 1 h | ✗ 1 h 30 min | 2026-11-01 10:00 UTC, drill region |" in text
    assert "Cluster shop: rehearsed 2026-11-01 10:00 UTC, FAILED, 1 h 30 min to recover." in text
    assert "| shop | revoke DROP | Bob | 2026-12-24 |" in text and "No incident is open." in text
    gone = a_repository("dublin", error="no route", newest=None)
    text = markdown(document(a_company(some_facts(repositories=[a_repository(drills=[]), gone]))))
    assert "| ✗ no route |" in text and "| data lost (RPO) | 1 min | ✗ never measured |" in text
    assert "Next drill of cluster shop: ransomware, due 2027-01-31." in text
    assert "Nothing is ever removed" in markdown(document(a_company(some_facts(removes=False))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repositories": [a_repository(newest=None)]}, "all of it. No repository has a backup"),
        ({"repositories": [a_repository()]}, "against the loss of its only repository."),
        ({"repositories": [a_repository(), a_repository("b")]}, "against the loss of a region"),
        ({"repositories": [a_repository(lock="")]}, "no repository locks its objects"),
        ({"repositories": [a_repository(restorable=False)]}, "WAL is missing behind its newest backup"),
        ({"repositories": [a_repository(), a_repository("b", error="no route")]}, "repository b could not be read"),
        ({"repositories": [a_repository(restore_test=None)]}, "no backup of it was ever restored for a test."),
        ({"repositories": [a_repository(verified_at=None)]}, "what is stored was never verified."),
        ({"repositories": [a_repository(drills=[a_drill("region")])]}, "rehearsed: server, deletion, ransomware"),
        ({"signed": False}, "against forged records"),
        ({"objectives": dict.fromkeys(("rto", "rpo", "window", "max_backup_age"))}, "no objective for RTO and RPO"),
        ({"contacts": []}, "nobody is named who could be called"),
        ({"escalate": False}, "nobody is told of an incident by itself"),
    ],
)  # fmt: skip
def test_what_is_not_protected_is_said(change: Any, words: str) -> None:
    assert words not in "\n".join(lacking(two_sites()))
    assert words in "\n".join(lacking(two_sites(**change)))


def test_hosts_without_protection_are_named() -> None:
    hosts = [
        a_host("db1"),
        {**a_host("web2"), "clusters": [], "jobs": {}},
        {**a_host("web1"), "clusters": [], "jobs": {}},
    ]
    told = lacking(a_company(some_facts(), hosts=hosts))
    assert told[0].startswith("Hosts without lifeboat_clusters or lifeboat_repositories: web1, web2.")
    assert told[-len(ALWAYS) :] == ALWAYS
    assert "1 cluster of PostgreSQL on 1 host." in document(a_company(some_facts(), hosts=hosts)).lead
    told = lacking(a_company(some_facts(), hosts=[a_host("db1", file_sets=[], stream=False)]))
    assert told[0].startswith("Host db1: its files.") and any("it is not streamed" in words for words in told)


class Reader(HTMLParser):
    """The text and the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: List[str] = []
        self.texts: List[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def tags_of(told: Company) -> List[str]:
    reader = Reader()
    reader.feed(page(document(told)))
    return reader.tags


NASTY = st.text(st.sampled_from("<>&|`*_[]#!\\~\n\r\x1b\x00\u202e ax;$'\""), min_size=1, max_size=12)


@settings(max_examples=examples(100))
@given(NASTY)
def test_text_of_others_is_never_markup(words: str) -> None:
    facts = some_facts()
    plain, nasty = a_company(facts), some_facts()
    nasty["contacts"][0]["name"] = nasty["incidents"][0]["actions"][0]["text"] = words
    told = a_company(nasty)
    assert tags_of(told) == tags_of(plain)
    for line in markdown(document(told)).splitlines():
        cells = re.sub(r"\\.", "", line)
        if line.startswith("| "):
            assert not re.search(r"[<>`*\[\]~]", cells), line
        assert "\x1b" not in line and "\x00" not in line
    assert len(markdown(document(told)).splitlines()) == len(markdown(document(plain)).splitlines())


def test_a_record_adds_no_line_to_the_text_for_a_person() -> None:
    facts = some_facts()
    needs = facts["repositories"][0]["newest"]["requirements"]
    needs["os"], needs["extensions"], needs["settings"] = "Debian\nrm -rf /\x1b[2J", ["postgis"], "on"
    told = a_company(facts)
    text = runbook(told, told.clusters[0])
    assert "  System: Debian rm -rf /\\x1b[2J\n" in text and "\nrm -rf" not in text
    assert script_of(text, "dublin") == 'set -eu\nfetch() { aws s3 cp "$1" -; }\n'
    assert "age, awscli, tar, zstd" in text and "+49 69 1234567" in text
    bare = a_company(some_facts(repositories=[a_repository(newest=None, by_hand=None)]))
    assert "No repository has a backup that can be restored." in runbook(bare, bare.clusters[0])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="There are no facts of cluster crm"):
        company("", [], [a_host("db1", "crm")], [some_facts()])
    with pytest.raises(ConfigError, match="is no name of a cluster"):
        company("", [], [a_host("db1", "../crm")], [some_facts("../crm")])
    hosts, elsewhere = [a_host("db1"), a_host("db2")], some_facts(repositories=[a_repository("paris")])
    with pytest.raises(ConfigError, match="Two clusters are called shop"):
        company("", [], hosts, [some_facts(), elsewhere])
    # One site has lost a repository.
    assert company("", [], hosts, [some_facts(), some_facts(repositories=[a_repository("dublin")])]).clusters
