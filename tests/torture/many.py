"""Many elections in one process, on one event loop, through one client: contended for ever, each with a token of work.

    python -m tests.torture.many --kubeconfig FILE --prefix NAME --count N --identity ME

Prints one JSON object a line: `ready`, then `started` and `stopped` with the Lease's `name`. SIGTERM: release all, and
end.
"""

from __future__ import annotations

import argparse
import signal

import anyio

import lease_aio
from tests.torture.candidate import tell


async def contend(client: lease_aio.LeaseClient, name: str) -> None:
    """One election, term after term."""
    async for term in client.terms(name):
        async with term:
            tell("started", name=name, token=term.token)
            try:
                await anyio.sleep_forever()
            finally:
                tell("stopped", name=name)


async def run(*, kubeconfig: str, prefix: str, count: int, identity: str) -> None:
    """Contend for all of them until SIGTERM."""
    async with lease_aio.connect(kubeconfig=kubeconfig, identity=identity) as client:
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async with anyio.create_task_group() as tasks:
                for number in range(count):
                    tasks.start_soon(contend, client, f"{prefix}-{number}")
                tell("ready")
                async for _ in signals:
                    tasks.cancel_scope.cancel()
                    break


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(description="Many elections in one process.")
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--identity", required=True)
    given = parser.parse_args()
    anyio.run(lambda: run(kubeconfig=given.kubeconfig, prefix=given.prefix, count=given.count, identity=given.identity))


if __name__ == "__main__":
    main()
