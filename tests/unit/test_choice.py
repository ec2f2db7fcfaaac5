# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``make test`` omits compared with ``make test-all``: only marked cases, and never all cases of a test."""

from __future__ import annotations

import pytest
from support.choice import examples

pytest_plugins = "pytester"

_CONFTEST = """
import pytest
from support.choice import choose

@pytest.fixture(params=["old", "new"])
def postgres(request):
    return request.param

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    items[:], left = choose(items, 2)
    config.hook.pytest_deselected(items=left)
"""
_MARKERS = "[pytest]\naddopts = -p no:cacheprovider\nmarkers =\n    only_all\n    represented\n    every_postgres\n"


def run(pytester: pytest.Pytester, tests: str) -> pytest.RunResult:
    pytester.makeconftest(_CONFTEST)
    pytester.makeini(_MARKERS)
    pytester.makepyfile(f"import pytest\nfrom support.choice import every_postgres, only_all, represented\n{tests}")
    return pytester.runpytest_inprocess("-v")


def test_unmarked_tests_run_and_a_marked_one_runs_with_what_represents_it(pytester: pytest.Pytester) -> None:
    ran = run(
        pytester,
        """
def test_plain(): pass

@only_all
def test_left(): assert False

@represented(store="s3", size=[1, 2])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("store", ["s3", "gcs"])
def test_some(store, size): assert store == "s3" and size < 3
""",
    )
    ran.assert_outcomes(passed=3, deselected=5)


def test_tests_take_turns_on_the_servers_and_none_is_left_out(pytester: pytest.Pytester) -> None:
    turns = "\n".join(f"def test_{number}(postgres): print('on ' + postgres)" for number in range(20))
    ran = run(pytester, f"{turns}\n\n@every_postgres\ndef test_core(postgres): pass\n")
    ran.assert_outcomes(passed=22, deselected=20)
    told = ran.stdout.str()
    assert told.count("[old]") > 2 and told.count("[new]") > 2
    assert all(f"test_{number}[" in told for number in range(20))


def test_a_marker_that_names_no_case_is_an_error(pytester: pytest.Pytester) -> None:
    ran = run(
        pytester,
        "@represented(store='s4')\n@pytest.mark.parametrize('store', ['s3', 'gcs'])\ndef test_none(store): pass\n",
    )
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    ran.stderr.fnmatch_lines(["*test_none*names none of the values*"])


@pytest.mark.parametrize(("count", "some"), [(10, 10), (25, 25), (100, 25), (400, 100)])
def test_examples_are_fewer_and_never_few(count: int, some: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.choice.ALL", False)
    assert examples(count) == some
    monkeypatch.setattr("support.choice.ALL", True)
    assert examples(count) == count
