import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "renewal_cpu.py"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARK), *options], capture_output=True, text=True, check=False, timeout=250
    )


@pytest.mark.parametrize(
    "options", [("--leases", "10", "--in-flight", "3"), ("--renewals", "1"), ("--rounds", "0"), ("--in-flight", "0")]
)
def test_a_load_that_makes_no_sense_is_refused(options: tuple[str, ...]) -> None:
    done = run(*options)
    assert done.returncode == 2
    assert "must be" in done.stderr


@pytest.mark.slow
def test_the_benchmark_runs_and_its_ratio_is_that_of_its_figures() -> None:
    done = run("--renewals", "64", "--leases", "8", "--in-flight", "4", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ratio"] == pytest.approx(found["cpu_us"]["kubernetes_asyncio"] / found["cpu_us"]["lease_aio"])
    assert found["renewals_per_s"]["lease_aio"] > 0
