# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checklist of a drill: an auditor's questions, answered by the report or by the participants. Pure.

``checklist.json``, ``format`` 1: ``items``, each with ``id``, ``question``, ``answer`` and ``by``: ``report``,
``people``, or null without an answer. An answer is text, true or false, or a list of texts.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple, Union

from ..base.errors import ConfigError
from ..report.markup import seconds

FORMAT = 1
Answer = Union[str, bool, List[str]]
#: In the order of the checklist. The report answers some of them; people's answers to those are added.
QUESTIONS: Tuple[Tuple[str, str], ...] = (
    ("participants", "Who took part?"),
    ("scenario", "Which scenario was simulated?"),
    ("procedure", "Which procedure was followed?"),
    ("time_taken", "How long did it take?"),
    ("data_intact", "Was the data intact?"),
    ("problems", "Which problems were noted?"),
    ("procedures_updated", "Which procedures were updated afterwards?"),
    ("team_trained", "Was the team trained in it?"),
)
_MOST, _MOST_ANSWERS = 4000, 200
_HINT = f"Answer {', '.join(name for name, _question in QUESTIONS)} with text, true or false, or a list of texts."


def read_answers(data: Any, where: str) -> Dict[str, Answer]:
    """The answers of people, by question; ConfigError for invalid answers."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where} is not a mapping of questions to answers.", _HINT)
    unknown = sorted(str(name) for name in data if name not in dict(QUESTIONS))
    if unknown:
        raise ConfigError(f"{where} has unknown questions: {', '.join(unknown)}.", _HINT)
    return {name: _answer(value, f"{where}: {name}") for name, value in data.items() if value is not None}


def _answer(value: Any, where: str) -> Answer:
    if isinstance(value, list) and len(value) <= _MOST_ANSWERS:
        return [_text(entry, where) for entry in value]
    return value if isinstance(value, bool) else _text(value, where)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > _MOST:
        raise ConfigError(f"{where} is not an answer of at most {_MOST} characters.", _HINT)
    return value


def fill(report: Mapping[str, Any], scenario: str, given: Mapping[str, Answer]) -> Dict[str, Any]:
    """The checklist of this report. People's answers never replace measured ones, only supplement them."""
    measured = _measured(report, scenario)
    items: List[Dict[str, Any]] = []
    for name, question in QUESTIONS:
        for by, answers in (("report", measured), ("people", given)):
            if name in answers:
                items.append({"id": name, "question": question, "answer": answers[name], "by": by})
        if name not in measured and name not in given:
            items.append({"id": name, "question": question, "answer": None, "by": None})
    return {"format": FORMAT, "items": items}


def _measured(report: Mapping[str, Any], scenario: str) -> Dict[str, Answer]:
    checks, rto = report["checks"], report.get("rto")
    found: Dict[str, Answer] = {"scenario": scenario, "procedure": [str(step) for step in report.get("repeat") or []]}
    if report.get("seconds") is not None:
        recovered = f", {seconds(rto['seconds'])} to recover" if rto else ""
        found["time_taken"] = f"{seconds(report['seconds'])} for the whole drill{recovered}"
    failed = checks["all"] - checks["passed"]
    good = report["result"] == "passed"
    found["data_intact"] = f"{'yes' if good else 'no'}: {checks['passed']} of {checks['all']} checks passed"
    if failed or report.get("failure"):
        failure = report.get("failure") or {}
        found["problems"] = [
            *([f"stopped at {failure.get('step', 'an unknown step')}"] if failure else []),
            *([f"{failed} checks failed"] if failed else []),
        ]
    return found
