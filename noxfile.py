"""`nox` runs what must pass before a change lands; `nox -s sim`, `cluster`, `torture` and `bench` ask for more."""

import itertools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "tests", "build"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

SIMULATOR = "lease_aio.testing.simulator"
SOURCES = ("lease_aio", "tests", "benchmarks", "noxfile.py")


def _install(session: nox.Session, *groups: str) -> None:
    session.install("-e", ".[all,testing]", *nox.project.dependency_groups(PYPROJECT, *groups))


PYPROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types of the package and of its use, and who may import whom."""
    _install(session, "tests", "lint")
    session.run("ruff", "check", *SOURCES)
    session.run("ruff", "format", "--check", *SOURCES)
    session.run("mypy")
    session.run("mypy", "--strict", "tests/typing")
    session.run("pyright")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests that need no cluster, and 20,000 simulated seeds of elections, unless only some tests are asked for."""
    _install(session, "tests")
    session.run("pytest", *session.posargs)
    if not session.posargs:
        session.run("python", "-m", SIMULATOR, "--seeds", "20000")


@nox.session
def sim(session: nox.Session) -> None:
    """Elections under every fault, by seed: `nox -s sim -- --seeds 1000000`; `--help` tells of more."""
    _install(session, "tests")
    session.run("python", "-m", SIMULATOR, *session.posargs)


@nox.session
def cluster(session: nox.Session) -> None:
    """The conformance suite and more against a real etcd and kube-apiserver, built from Go modules if need be."""
    _install(session, "tests")
    session.run("pytest", "-m", "cluster", *session.posargs)


@nox.session
def torture(session: nox.Session) -> None:
    """Candidates of ours and of client-go under real faults: `nox -s torture -- --minutes 10 --seed 1`."""
    _install(session, "tests")
    session.run("python", "-m", "tests.torture", *session.posargs)


BENCHMARKS = tuple(sorted(script.stem for script in Path("benchmarks").glob("*.py")))


@nox.session
def bench(session: nox.Session) -> None:
    """Each prints ratios against a peer in the same run; one that fails does not keep the others from running.

    All of them with their defaults, or those named, with what follows: `nox -s bench -- scheduler --entries 10000`.
    `fleet_vs_kwok` and `handover` need Go, for their peers; all others need nothing. Together they take a quarter of an
    hour, and some minutes more the first time, when etcd, kube-apiserver and the peers are built.
    """
    named = list(itertools.takewhile(BENCHMARKS.__contains__, session.posargs))
    options = session.posargs[len(named) :]
    if not named and options and not options[0].startswith("-"):
        session.error(f"there is no benchmark {options[0]!r}, but {', '.join(BENCHMARKS)}")
    _install(session, "tests")
    failed = [name for name in named or BENCHMARKS if not _measured(session, name, options)]
    if failed:
        session.error(f"not measured: {', '.join(failed)}; what each lacks is said above")


def _measured(session: nox.Session, name: str, options: Sequence[str]) -> bool:
    try:
        session.run("python", f"benchmarks/{name}.py", *options)
    except nox.command.CommandFailed:
        return False
    return True


@nox.session
def build(session: nox.Session) -> None:
    """The wheel and the sdist, each installed alone into a clean environment and used."""
    session.install("build", "twine")
    out = Path(tempfile.mkdtemp(prefix="lease-aio-dist-"))
    try:
        session.run("python", "-m", "build", "--outdir", str(out), silent=True)
        session.run("twine", "check", "--strict", *(str(f) for f in out.iterdir()))
        for artefact in (*out.glob("*.whl"), *out.glob("*.tar.gz")):
            _try_alone(session, artefact)
    finally:
        shutil.rmtree(out)


def _try_alone(session: nox.Session, artefact: Path) -> None:
    """Without the extras, and outside the checkout, the first example must work."""
    home = Path(tempfile.mkdtemp(prefix="lease-aio-alone-"))
    try:
        session.run("python", "-m", "venv", str(home / "venv"))
        python = str(home / "venv/bin/python")
        session.run(python, "-m", "pip", "install", "-q", str(artefact), external=True)
        script = Path("tests/alone.py").resolve()
        with session.chdir(home):
            session.run(python, "-W", "error", str(script), external=True)
    finally:
        shutil.rmtree(home)
