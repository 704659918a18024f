"""The API against its own document, by schemathesis: nothing breaks, everything answers as documented, what is wrong is refused.

Each call is the beginning of the next one's world, as with a real school: what was made is there, what was removed is gone. ``MANGLANH_SCHEMA_EXAMPLES``
says how many examples each operation gets (make test: few, always the same); cases at the edges of every parameter are tried besides.
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, settings
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import positive_data_acceptance

from dashboard.access import Scope
from dashboard.api.problem import EVERY
from dashboard.app import build
from dashboard.store import people
from dashboard.store.engine import StoreTrouble
from dashboard.store.tables import tokens
from tests.dashboard.conftest import NOW, opened, with_people, write_school

EXAMPLES = int(os.environ.get("MANGLANH_SCHEMA_EXAMPLES", "2"))
DETERMINED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
REFUSALS = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "428", "429"]


class Forwarding:
    """Schemathesis wants an application when it reads the document; this one is whatever school the test has."""

    web = None

    async def __call__(self, scope, receive, send):
        await self.web.client.app(scope, receive, send)


APPLICATION = Forwarding()


def schema_of(*, edges):
    schema = schemathesis.openapi.from_dict(build(None).openapi())
    schema.app = APPLICATION
    schema.config.checks.negative_data_rejection.expected_statuses = REFUSALS
    schema.config.phases.coverage.enabled = edges
    return schema


WHOLE, EXAMPLES_ONLY = schema_of(edges=True), schema_of(edges=False)


@pytest.fixture(scope="module")
def school(tmp_path_factory, starter):
    with opened(write_school(tmp_path_factory.mktemp("school")), starter) as web, pytest.MonkeyPatch.context() as patch:
        patch.setattr(asgi, "_PORTAL", web.client.portal)  # the store's connections belong to this loop
        patch.setattr(asgi, "_start_lifespan", lambda app: None)  # it has begun
        patch.setattr(APPLICATION, "web", with_people(web))
        yield web


def call(case, school, login):
    # Unknown parameters of the query are ignored, as everywhere on the web; schemathesis would call that accepting what is wrong.
    assume(set(case.query or ()) <= {parameter.name for parameter in case.operation.query})
    # What a school's rules refuse (a name that is none, a second group of one id) no schema can say: positive data may be refused, as documented.
    headers = school.token(login) if login else {}
    answer = case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])
    assert answer.headers["cache-control"] == ["no-store"]
    assert answer.headers["x-content-type-options"] == ["nosniff"]
    return answer


@WHOLE.parametrize()
@DETERMINED
def test_an_administrators_programs(case, school):
    call(case, school, "quan-tri")


@EXAMPLES_ONLY.parametrize()
@DETERMINED
def test_a_teachers_programs(case, school):
    call(case, school, "co-lan")


@EXAMPLES_ONLY.parametrize()
@DETERMINED
def test_programs_without_a_token(case, school):
    assert call(case, school, "").status_code in (400, 401, 413, 422)


DOCUMENT = build(None).openapi()
OPERATIONS = [
    (f"{method.upper()} {path}", operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]


def test_the_document_is_openapi_3_1_and_schemathesis_reads_all_of_it():
    assert DOCUMENT["openapi"].startswith("3.1.")
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.validate()
    assert sum(1 for found in schema.get_all_operations() if found.ok()) == len(OPERATIONS) > 80


def test_every_operation_says_what_it_does_under_a_name_of_its_own():
    assert [name for name, operation in OPERATIONS if not (operation["summary"] and operation.get("description"))] == []
    names = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(set(names)) == len(names)


def test_every_refusal_is_documented_as_a_problem_and_every_operation_asks_for_a_token():
    for name, operation in OPERATIONS:
        refusals = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
        assert set(map(str, EVERY)) <= set(refusals), name
        assert {tuple(answer["content"]) for answer in refusals.values()} == {("application/problem+json",)}, name
        assert operation["security"] == [{"HTTPBearer": []}], name


def test_the_document_says_once_how_long_lists_are_read_and_what_is_too_large():
    told = DOCUMENT["info"]["description"]
    for name, operation in OPERATIONS:
        asked = {parameter["name"] for parameter in operation.get("parameters", ())}
        if asked & {"offset", "page", "before"}:
            assert f"`{name.split()[1].removeprefix('/api/v1')}`" in told, name
    assert "8 MB" in told


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v1/", "/api/v1", "/api/", "/api/v2/classes", "/api/v1/classes/", "/api/v1/classes/6a1/x"]
)
def test_an_address_that_the_api_has_not_is_a_problem(web, path):
    answer = web.client.get(path, headers=web.token("quan-tri"))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"type": "about:blank", "status": 404, "detail": "There is nothing at this address."}
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/classes", "GET"),
        ("PATCH", "/api/v1/classes/6a1/mode", "DELETE, POST"),
        ("PUT", "/api/v1/rules/export", "GET"),
        ("DELETE", "/api/v1/people/import", "POST"),
        ("POST", "/api/v1/people/1", "DELETE, GET, PATCH"),
        ("HEAD", "/api/v1/classes", "GET"),
    ],
)
def test_a_method_that_an_address_does_not_take_is_a_problem_that_says_which_it_takes(web, method, path, allowed):
    answer = web.client.request(method, path, headers=web.token("quan-tri") | {"Accept-Language": "vi"})
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["content-type"] == "application/problem+json"
    if method != "HEAD":
        assert answer.json()["detail"] == "Địa chỉ này không nhận cách gửi này."


def test_a_body_is_bounded_before_anybody_knows_who_calls(web):
    def parts():
        for _ in range(9):
            yield b"x" * 1024 * 1024

    for body in (b"x" * (8 * 1024 * 1024 + 1), parts()):
        answer = web.client.post("/api/v1/reports", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert answer.json()["detail"] == "This is too large."
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_mistake_of_ours_is_a_problem_too_and_tells_nothing(web, monkeypatch):
    async def broken(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr("dashboard.api.classes._classes", broken)
    web.client._transport.raise_server_exceptions = False
    answer = web.client.get("/api/v1/classes", headers=web.token("quan-tri"))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert "secret" not in answer.text


def used_at(web):
    return web.rows(tokens.select())[0].used_at


def test_the_last_use_of_a_token_is_noted_now_and_then(web):
    headers = web.token("co-lan", Scope.CLASSES_READ)
    assert used_at(web) is None
    web.client.get("/api/v1/requests", headers=headers)
    assert used_at(web) is None, "a call that was refused is no use of it"
    web.client.get("/api/v1/classes", headers=headers)
    assert used_at(web) == NOW
    web.clock.now += people.SEEN_EVERY - 1
    web.client.get("/api/v1/classes", headers=headers)
    assert used_at(web) == NOW
    web.clock.now += 1
    web.client.get("/api/v1/classes", headers=headers)
    assert used_at(web) == NOW + people.SEEN_EVERY
    web.clock.now -= 3600
    web.client.get("/api/v1/classes", headers=headers)
    assert used_at(web) == NOW + people.SEEN_EVERY - 3600


def test_that_a_use_cannot_be_noted_refuses_no_call(web, monkeypatch, caplog):
    async def locked(*_):
        raise StoreTrouble("busy")

    headers = web.token("co-lan")
    monkeypatch.setattr(people, "note_used", locked)
    assert web.client.get("/api/v1/classes", headers=headers).status_code == 200
    assert "token not noted as used" in caplog.text
    assert "token-of" not in caplog.text
