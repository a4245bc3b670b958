"""A pytest plugin: tests carry the fault row that they prove, and `--fault-table` prints the rows with their figures.

A row without a test, or with one that did not pass, makes such a session fail.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import pytest

from tests.faults.rows import ROWS

_ROW: Final = "fault_row"
_SHOWN: Final = ("n", "seed", "figures")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", action="store_true", help="print the fault table, and fail for rows not proved")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(*rows): rows of the fault table that the test proves, see tests/faults")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("fault"):
            for row in mark.args:
                assert row in ROWS, f"{item.nodeid}: there is no fault row {row}"
                item.user_properties.append((_ROW, row))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--fault-table"):
        return
    reports = _reports(terminalreporter)
    terminalreporter.section(f"fault table, {time.strftime('%Y-%m-%d %H:%M')}")
    for row, (fault, expected) in ROWS.items():
        terminalreporter.line(f"{row:>3}  {fault}: {expected}")
        for report in reports[row]:
            told = [f"{key} {value}" for key, value in report.user_properties if key in _SHOWN]
            name = report.nodeid.rpartition("::")[2]
            terminalreporter.line(f"       {report.outcome:<7} {name}  {'; '.join(told)}")
        if not reports[row]:
            terminalreporter.line("       NO TEST")
    proved = sum(_is_proved(reports[row]) for row in ROWS)
    terminalreporter.line(f"{proved} of {len(ROWS)} rows proved, by {len(set(_names(reports)))} tests")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or not session.config.getoption("--fault-table"):
        return
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    assert isinstance(terminal, pytest.TerminalReporter)
    reports = _reports(terminal)
    if session.exitstatus == pytest.ExitCode.OK and not all(_is_proved(reports[row]) for row in ROWS):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _reports(terminal: pytest.TerminalReporter) -> dict[int, list[pytest.TestReport]]:
    found: dict[int, list[pytest.TestReport]] = defaultdict(list)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminal.stats.get(outcome, []):
            rows = {value for key, value in getattr(report, "user_properties", ()) if key == _ROW}
            for row in sorted(rows):
                found[row].append(report)
    return found


def _is_proved(reports: Sequence[pytest.TestReport]) -> bool:
    return bool(reports) and all(report.outcome == "passed" for report in reports)


def _names(reports: dict[int, list[pytest.TestReport]]) -> list[str]:
    return [report.nodeid for each in reports.values() for report in each]
