"""The suites that `docs/testing.md` shows pass as pasted, under anyio's pytest plugin and under pytest-asyncio."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2].joinpath("docs", "testing.md").read_text()
SUITES = [
    block for block in re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE) if "pytest" in block
]


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES, ids=["anyio", "pytest-asyncio"])
def test_a_suite_passes_as_pasted_with_warnings_as_errors(suite: str, tmp_path: Path):
    tmp_path.joinpath("test_pasted.py").write_text(suite)
    options = ["-W", "error", "-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "test_pasted.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
