# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerting rules: checked and tested by promtool, each documented; and Alertmanager's example by amtool."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Dict, List, Set

import pytest
import yaml
from lifeboat.metrics.catalogue import METRICS
from support.monitoring import MONITORING, ROOT, Rule, metrics_in, program, rules, run

PAGE = ROOT / "docs/alerts.md"
PARTS = ["**Means.**", "**Look at.**", "**Do.**"]
RULES = rules()
NAMES = list(dict.fromkeys(rule.alert for rule in RULES))
TESTS = sorted((MONITORING / "tests").glob("*.yml"))
ALERTMANAGER = MONITORING / "alertmanager.yml"
#: What tells that a source is gone, each by itself.
MANDATORY = {"HostSilent", "BackupMissing", "ExporterDown", "Watchdog"}


def sections() -> Dict[str, str]:
    """The text of each alert's section, by its anchor."""
    parts = re.split(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {name.lower(): text for name, text in zip(parts[::2], parts[1::2])}


def test_promtool_accepts_every_rule() -> None:
    out = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *sorted((MONITORING / "rules").glob("*.yml")))
    assert sum(map(int, re.findall(r"(\d+) rules found", out))) == len(RULES)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_fire_and_are_quiet(path: Path) -> None:
    run("promtool", "test", "rules", path)


def test_a_test_of_rules_can_fail(tmp_path: Path) -> None:
    broken = tmp_path / "host.yml"
    text = (MONITORING / "tests/host.yml").read_text(encoding="utf-8").replace("../rules/", f"{MONITORING}/rules/")
    broken.write_text(text.replace("eval_time: 20m", "eval_time: 1m", 1))
    assert subprocess.run([program("promtool"), "test", "rules", broken], capture_output=True).returncode != 0


def fired(wanted: bool) -> Set[str]:
    """The alerts for which a test expects that they fire, or do not, with the severity of those that fire."""
    found: Set[str] = set()
    for path in TESTS:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for case in group["alert_rule_test"]:
                severities = {alert["exp_labels"]["severity"] for alert in case.get("exp_alerts", [])}
                if wanted:
                    found |= {f"{case['alertname']} {severity}" for severity in severities}
                elif not severities:
                    found.add(case["alertname"])
    return found


def test_every_rule_is_tested_firing_and_quiet() -> None:
    assert fired(True) == {f"{rule.alert} {rule.labels['severity']}" for rule in RULES}
    assert set(NAMES) - fired(False) == {"Watchdog"}


def vanished() -> Set[str]:
    """The alerts that are tested after their series have ended."""
    return {
        case["alertname"]
        for path in TESTS
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        if any(str(series["values"]).endswith(" stale") for series in group.get("input_series", []))
        for case in group["alert_rule_test"]
    }


def test_every_rule_is_tested_with_series_that_vanished() -> None:
    assert set(NAMES) - vanished() == {"Watchdog"}
    assert set(NAMES) >= MANDATORY


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.alert}-{rule.labels['severity']}")
def test_a_rule_has_what_a_person_needs(rule: Rule) -> None:
    assert metrics_in(rule.expr) <= {metric.full_name for metric in METRICS.values()}
    silent = rule.alert in ("Watchdog", "IncidentOpen")
    assert rule.labels["severity"] in (("none",) if silent else ("warning", "critical"))
    assert set(rule.annotations) == {"summary", "description", "runbook_url"}
    # What a template does not fill in is a sentence.
    assert rule.annotations["summary"].endswith(".")
    page, _mark, anchor = rule.annotations["runbook_url"].partition("#")
    documentation = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["repository"]
    assert page == f"{documentation}/blob/main/{PAGE.relative_to(ROOT)}"
    assert anchor == rule.alert.lower() and anchor in sections()


def test_every_alert_has_its_section_in_three_parts() -> None:
    found = sections()
    assert set(found) == {name.lower() for name in NAMES}
    for name, text in found.items():
        assert re.findall(r"^\*\*[^*]+\*\*", text, flags=re.MULTILINE) == PARTS, name


def test_links_of_the_page_lead_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    anchors = re.findall(r"\]\(#([^)]+)\)", text)
    assert anchors and set(anchors) <= set(sections())
    for target in re.findall(r"\]\(([\w.-]+\.md)\)", text):
        assert (PAGE.parent / target).is_file(), target


def test_promtool_accepts_the_configuration_of_the_page(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "prometheus.yml"
    path.write_text(example, encoding="utf-8")
    assert "SUCCESS" in run("promtool", "check", "config", "--syntax-only", path)


# --- Alertmanager -----------------------------------------------------------------------------------------------


def test_amtool_accepts_the_example() -> None:
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=Watchdog severity=none", "watchdog"),
        ("alertname=IncidentOpen severity=none cluster=shop", "nobody"),
        ("alertname=BackupMissing severity=critical cluster=shop", "pager"),
        ("alertname=JobFailed severity=warning cluster=shop", "mail"),
        ("alertname=Other", "mail"),
    ],
)
def test_alerts_reach_whom_they_should(labels: str, receiver: str) -> None:
    command = ("config", "routes", "test", f"--config.file={ALERTMANAGER}", f"--verify.receivers={receiver}")
    assert receiver in run("amtool", *command, *labels.split()).split()


def named() -> List[str]:
    """The alerts in the matchers of Alertmanager's example."""
    given = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    matchers = re.findall(r'alertname =~? \\?"?([\w|]+)', json.dumps(given))
    return [name for matcher in matchers for name in matcher.split("|")]


def test_what_is_routed_and_inhibited_exists() -> None:
    assert {"BackupOverdue", "RepositoryDown", "HostSilent", "ServerDown"} <= set(named())
    assert set(named()) <= set(NAMES)
