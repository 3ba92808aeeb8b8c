"""Where log lines go."""

import logging
from collections.abc import Iterator

import pytest
import structlog

import lease_aio
from lease_aio.testing import VirtualClock

pytestmark = pytest.mark.virtual_time


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


async def _lead(clock: VirtualClock) -> None:
    async with lease_aio.connect("embedded", clock=clock) as leases, leases.lead("x"):
        pass


async def test_nothing_is_printed_by_an_application_that_set_no_logging_up(virtual_clock, capfd):
    await _lead(virtual_clock)
    assert capfd.readouterr() == ("", "")


async def test_the_standard_logger_gets_event_names_with_their_figures(virtual_clock, caplog):
    caplog.set_level(logging.INFO, logger="lease_aio")
    await _lead(virtual_clock)
    started = [record.getMessage() for record in caplog.records if "election.started" in record.getMessage()]
    assert len(started) == 1
    assert "lease='default/x'" in started[0]
    assert "token=" in started[0]


async def test_structlog_gets_the_events_even_if_it_is_configured_after_the_import(virtual_clock):
    with structlog.testing.capture_logs() as events:
        structlog.configure(processors=structlog.get_config()["processors"])
        await _lead(virtual_clock)
    assert [event["event"] for event in events] == ["election.started", "election.stopping", "election.ended"]
    assert events[0]["lease"] == "default/x"
    assert events[2]["released"] is True
