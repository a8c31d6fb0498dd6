"""What holds for every test, whoever starts the run and however."""

from __future__ import annotations

import signal

import pytest
from hypothesis import is_hypothesis_test, settings

from tests.examples import MANY, PROFILE


def pytest_configure(config: pytest.Config) -> None:
    """Have every property test tried as `tests/examples.py` says, and let Ctrl-C mean Ctrl-C."""
    settings.register_profile("notifier", PROFILE)
    settings.load_profile("notifier")
    config.pluginmanager.register(ShownAtOnce(config), "shown at once")
    # A shell that starts a run in the background has it ignore SIGINT (POSIX, Shell Command Language, 2.11), and so
    # does every process below it: a test that interrupts a command would see it go on to its end.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Every property test is one of the long run too, where it has many examples."""
    if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
        item.add_marker("long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """An ordinary run leaves out what waits for seconds to pass, unless it is asked for by name or by mark."""
    if MANY or config.option.markexpr or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


class ShownAtOnce:
    """Shows why a test failed when it fails: nobody should have to wait minutes for the end of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the traceback of a failure below the dots."""
        screen = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and screen is not None and self._config.option.tbstyle != "no":
            screen.ensure_newline()
            screen.section(report.nodeid, sep="_", red=True, bold=True)
            report.toterminal(screen._tw)
