"""One candidate of the demo: contends for ever, can crash, come back, and resign."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import anyio

from lease_aio.cli.demo.severed import SeverableApi
from lease_aio.cli.demo.story import Cause, Standing
from lease_aio.client import LeaseClient
from lease_aio.election import Candidate, EndReason, Term, Terms
from lease_aio.timing import Timing


class Listener(Protocol):
    """Hears what becomes of a candidate, named by its identity."""

    def started(self, term: Term) -> None:
        """It leads."""

    def leaves(self, name: str, cause: Cause) -> None:
        """It leads no more, or not for long."""

    def ended(self, name: str, standing: Standing) -> None:
        """Its work has stopped."""

    def stands(self, name: str, standing: Standing) -> None:
        """It does something else."""


class Contender:
    """Run `run`; the other methods are called from beside it.

    A crash is what it looks like to all others: from one moment on nothing of this candidate reaches the API server,
    neither a renewal nor a release. It shares the client's scheduler with everybody else.
    """

    def __init__(
        self, leases: LeaseClient, listener: Listener, *, name: str, lease: str, timing: Timing, rest_s: float
    ) -> None:
        self.name = name
        self.term: Term | None = None
        self._leases, self._listener = leases, listener
        self._lease, self._timing, self._rest_s = lease, timing, rest_s
        self._api = SeverableApi(leases.api)
        self._life = anyio.CancelScope()
        self._reborn = anyio.Event()

    @property
    def valid_for_s(self) -> float:
        """Of its term; zero without one."""
        return self.term.valid_for() if self.term is not None else 0.0

    async def run(self) -> None:
        """Contend, until cancelled; over crashes."""
        while True:
            self._listener.stands(self.name, Standing.WAITING)
            with anyio.CancelScope() as self._life:
                await self._contend()
            await self._reborn.wait()

    def crash(self) -> None:
        """Stop on the spot."""
        self._listener.leaves(self.name, Cause.CRASH)
        self._listener.ended(self.name, Standing.CRASHED)
        self.term = None
        self._api.sever()
        self._reborn = anyio.Event()
        self._life.cancel()

    def come_back(self) -> None:
        """A new process of the same name."""
        self._api = SeverableApi(self._leases.api)
        self._reborn.set()

    def resign(self) -> None:
        """Step down in order."""
        if self.term is not None:
            self._listener.leaves(self.name, Cause.RESIGNATION)
            self.term.resign()

    async def _contend(self) -> None:
        engine = dataclasses.replace(self._leases.engine, api=self._api)
        candidate = Candidate(
            engine, name=self._lease, namespace=self._leases.namespace, identity=self.name, timing=self._timing
        )
        async for term in Terms(candidate):
            try:
                async with term:
                    self.term = term
                    self._listener.started(term)
                    await anyio.sleep_forever()
            finally:
                self._over(term)
            if term.reason is EndReason.RESIGNED:
                await anyio.sleep(self._rest_s)
                self._listener.stands(self.name, Standing.WAITING)

    def _over(self, term: Term) -> None:
        if self.term is None:  # it crashed: there is nobody to tell
            return
        self.term = None
        resigned = term.reason is EndReason.RESIGNED
        if not resigned:
            self._listener.leaves(self.name, Cause.LOSS)
        self._listener.ended(self.name, Standing.RESTING if resigned else Standing.WAITING)
