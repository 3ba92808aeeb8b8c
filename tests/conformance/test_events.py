"""Events: what a component says of an object, as clients write and people read it."""

from __future__ import annotations

from tests.conformance.rig import TABLE, Api, Json, Namespace, bad_request, failure

COLUMNS = [
    ("Last Seen", "string", "", 0),
    ("Type", "string", "", 0),
    ("Reason", "string", "", 0),
    ("Object", "string", "", 0),
    ("Subobject", "string", "", 1),
    ("Source", "string", "", 1),
    ("Message", "string", "", 0),
    ("First Seen", "string", "", 1),
    ("Count", "string", "", 1),
    ("Name", "string", "name", 1),
]
AT = "2026-01-01T00:00:00Z"


def events(ns: Namespace) -> str:
    return f"/api/v1/namespaces/{ns.name}/events"


def event(ns: Namespace, name: str = "x.1", *, about: Json | None = None, **more: object) -> Json:
    about = {
        "kind": "Lease",
        "namespace": ns.name,
        "name": "x",
        "apiVersion": "coordination.k8s.io/v1",
        **(about or {}),
    }
    return {"kind": "Event", "apiVersion": "v1", "metadata": {"name": name}, "involvedObject": about, **more}


async def test_an_event_about_another_namespace_is_refused(api: Api, ns: Namespace) -> None:
    for elsewhere in ("default", ""):
        answer = await api.post(events(ns), event(ns, about={"namespace": elsewhere}))
        problem = f'involvedObject.namespace: Invalid value: "{elsewhere}": does not match event.namespace'
        cause = {
            "reason": "FieldValueInvalid",
            "message": problem.partition(": ")[2],
            "field": problem.partition(":")[0],
        }
        details = {"name": "x.1", "kind": "Event", "causes": [cause]}
        message = f'Event "x.1" is invalid: {problem}'
        assert (answer.status, answer.json) == (422, failure(422, message, reason="Invalid", details=details))


async def test_a_selector_by_an_unknown_field_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.get(events(ns), fieldSelector="message=x")
    assert (answer.status, answer.json) == (400, bad_request("field label not supported: message"))


async def test_what_is_not_given_is_written_out_as_empty(api: Api, ns: Namespace) -> None:
    answer = await api.post(events(ns), event(ns))
    assert answer.status == 201
    assert {key: value for key, value in answer.json.items() if key != "metadata"} == {
        "kind": "Event",
        "apiVersion": "v1",
        "involvedObject": event(ns)["involvedObject"],
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": None,
        "reportingComponent": "",
        "reportingInstance": "",
    }


async def test_an_event_is_found_by_what_it_is_about(api: Api, ns: Namespace) -> None:
    await api.post(events(ns), event(ns, "x.1", about={"uid": "u1"}, reason="LeaderElection", type="Normal"))
    await api.post(events(ns), event(ns, "y.1", about={"name": "y"}, reason="Other"))
    selector = (
        f"involvedObject.kind=Lease,involvedObject.name=x,involvedObject.namespace={ns.name},involvedObject.uid=u1"
    )
    for chosen in (selector, "reason=LeaderElection", "type=Normal"):
        found = await api.get(events(ns), fieldSelector=chosen)
        assert [item["metadata"]["name"] for item in found.json["items"]] == ["x.1"]


async def test_events_are_a_table_of_what_happened_to_what(api: Api, ns: Namespace) -> None:
    told: Json = {"reason": "LeaderElection", "message": " me became leader\n", "type": "Normal"}
    times: Json = {"firstTimestamp": AT, "lastTimestamp": AT, "count": 3, "source": {"component": "c", "host": "h"}}
    await api.post(events(ns), event(ns, **told, **times))
    answer = await api.get(events(ns), accept=TABLE)
    defined = answer.json["columnDefinitions"]
    assert [(c["name"], c["type"], c["format"], c["priority"]) for c in defined] == COLUMNS
    (row,) = answer.json["rows"]
    first, *cells = row["cells"]
    assert cells[:6] == ["Normal", "LeaderElection", "lease/x", "", "c, h", "me became leader"]
    assert cells[6:] == [first, 3, "x.1"]
    assert first.endswith(("d", "y", "h"))


async def test_an_event_of_the_newer_form_is_shown_by_its_event_time(api: Api, ns: Namespace) -> None:
    more: Json = {"eventTime": "2026-01-01T00:00:00.000000Z", "action": "Elect", "reportingComponent": "r"}
    more |= {"reportingInstance": "i", "reason": "LeaderElection", "type": "Normal"}
    answer = await api.post(events(ns), event(ns, **more))
    assert answer.status == 201, answer.text
    bare = event(ns, "y.1")
    del bare["involvedObject"]["name"]
    answer = await api.post(events(ns), bare)
    assert answer.status == 201, answer.text
    rows = [row["cells"] for row in (await api.get(events(ns), accept=TABLE)).json["rows"]]
    assert rows[0][0] == rows[0][7] != "<unknown>"
    assert rows[0][5] == "r, i"
    assert [rows[1][at] for at in (0, 1, 3, 7, 8)] == ["<unknown>", "", "lease", "<unknown>", 1]
