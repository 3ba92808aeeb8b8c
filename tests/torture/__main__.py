"""Torture: candidates of this package and of client-go on one Lease of a real kube-apiserver, under real faults.

    python -m tests.torture [--minutes M] [--seed S] [--ours N] [--client-go M] [--json] [--keep FOLDER]

Every candidate is a process behind a TCP proxy of its own. A nemesis that the seed determines freezes, kills, ends and
restarts processes, has them step down, holds, slows, drops, resets and refuses their connections, loses answers after
the request was forwarded, and kills and restarts the API server. The work of ours is a row in a SQLite file that takes
none with a token lower than one it has seen; client-go's candidates have no token, and write beside it.

Which overlap is whose fault: see `tests.torture.analysis`. The exit code is 1 if one is ours without a freeze, if a
stale write was accepted, if one of ours emptied another's Lease, if a token did not rise, or if nobody led in the end.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
from pathlib import Path

import anyio

from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import AssetsError, assets
from tests.torture.build import BuildError, clientgo
from tests.torture.driver import STOP_TIMEOUT_S, torture
from tests.torture.history import Audit
from tests.torture.report import report, text


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Real faults on a real kube-apiserver.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ours", type=int, default=3, help="candidates of this package")
    parser.add_argument("--client-go", type=int, default=2, help="candidates of client-go")
    parser.add_argument("--json", action="store_true", help="numbers as one JSON object")
    parser.add_argument("--keep", type=Path, help="leave the fenced file, the audit log and standard errors there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lease-aio-torture-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            if given.client_go:
                clientgo()
            audit = Audit(folder)
            with ControlPlane(assets(), apiserver_flags=audit.flags, stop_timeout_s=STOP_TIMEOUT_S) as plane:
                run = anyio.run(
                    functools.partial(
                        torture,
                        plane,
                        audit,
                        folder,
                        seed=given.seed,
                        seconds=given.minutes * 60,
                        ours=given.ours,
                        client_go=given.client_go,
                    )
                )
        except BuildError as error:
            sys.exit(f"{error} Or leave client-go out of the fleet: --client-go 0.")
        except AssetsError as error:
            sys.exit(str(error))
    numbers = report(run)
    sys.stdout.write((json.dumps(numbers, indent=1) if given.json else text(numbers)) + "\n")
    return 1 if numbers["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
