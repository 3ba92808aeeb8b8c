import json
from pathlib import Path

import pytest

from tests.torture.history import Audit, Recorder, Write, complete


def logged(verb: str, version: int, holder: str | None, stage: str = "ResponseComplete") -> str:
    stored = {"kind": "Lease", "metadata": {"name": "x", "resourceVersion": str(version)}}
    stored["spec"] = {"holderIdentity": holder, "leaseDurationSeconds": 5}
    event = {
        "verb": verb,
        "stage": stage,
        "requestURI": "/apis/coordination.k8s.io/v1/namespaces/default/leases/x",
        "sourceIPs": ["127.0.1.1"],
        "responseObject": stored,
        "requestReceivedTimestamp": "2026-01-02T03:04:05.100000Z",
        "stageTimestamp": "2026-01-02T03:04:05.200000Z",
    }
    return json.dumps(event) + "\n"


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path)


def test_a_line_that_the_api_server_died_in_is_passed_over(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text(logged("update", 7, "a") + logged("update", 8, "b")[:-5])
    assert [request.version for request in audit.requests()] == [7]


def test_what_was_read_counts_as_no_write_and_a_watch_counts_once(audit: Audit, tmp_path: Path) -> None:
    lines = [logged("get", 7, "a"), logged("watch", 7, "a", "ResponseStarted"), logged("watch", 7, "a")]
    (tmp_path / "audit.log").write_text("".join(lines))
    assert [(request.verb, request.version) for request in audit.requests()] == [("get", 0), ("watch", 0)]


def test_what_the_watch_missed_is_filled_in_from_the_audit_log(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text(
        "".join(logged("update", number, holder) for number, holder in ((7, "a"), (8, None)))
    )
    seen = [Write(lease="x", version=version, holder="a", duration_s=5, seen=1.0) for version in (7, 9)]
    history = complete(seen, list(audit.requests()), lease="x")
    assert [(write.version, write.holder) for write in history] == [(7, "a"), (8, ""), (9, "a")]
    assert history[0].seen == 1.0, "what was seen stays as it was seen"


def test_a_state_that_a_resumed_watch_tells_again_counts_once_and_as_first_seen() -> None:
    recorder = Recorder(plane=None)
    event = {"type": "ADDED", "object": json.loads(logged("update", 7, "a"))["responseObject"]}
    assert [recorder.saw(event, 0), recorder.saw({**event, "type": "MODIFIED"}, 0)] == [7, 7]
    assert [write.version for write in recorder.writes] == [7]
