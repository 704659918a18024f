"""Who calls the API, and whether they may: every operation states its rule and its scope, as every page states its rule.

A program shows a token (``Authorization: Bearer ...``, RFC 6750) that a person has made on the account page; it may what that person may, and only within
the token's scopes. Sessions are not accepted here, so no other site can make a browser call the API.
"""

import logging
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from dashboard.access import Access, Person, Scope, may
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.site import Site
from dashboard.store import people
from dashboard.store.engine import StoreTrouble
from filters.message import Message

log = logging.getLogger("manglanh.web")

_bearer = HTTPBearer(auto_error=False, description="A token that a person has made on the account page.")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API, after its rule was applied."""

    site: Site
    view: View
    person: Person
    now: float


class Allowed:
    """A dependency: ``call: Annotated[Call, Depends(Allowed(Access.OWN_CLASS, Scope.CLASSES_WRITE))]``, or shorter, ``allowed(...)``."""

    def __init__(self, access: Access, scope: Scope) -> None:
        assert access is not Access.ANYBODY
        self.access = access
        self.scope = scope

    async def __call__(self, request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None) -> Call:
        site: Site = request.app.state.site
        now = site.clock()
        if bearer is None:
            raise Refused(Message("A token is needed: Authorization: Bearer ..."), status=401)
        async with site.store.read() as connection:
            person = await people.by_token(connection, bearer.credentials, now)
        if person is None:
            raise Refused(Message("This token is not valid, or no longer."), status=401)
        if self.scope not in person.scopes:
            raise Refused(Message("This token lacks the scope {scope}.", scope=self.scope.value), status=403)
        if not may(self.access, person, request.path_params.get("group")):
            raise Refused(Message("This is not yours to do."), status=403)
        await _note_used(site, bearer.credentials, now)
        return Call(site, await site.school.now(), person, now)


async def _note_used(site: Site, token: str, now: float) -> None:
    """For whoever looks after their tokens. That this cannot be saved now is no reason to refuse the call."""
    key = people.fingerprint(token)
    if abs(now - site.used.get(key, 0.0)) < people.SEEN_EVERY:
        return
    site.used[key] = now
    try:
        async with site.store.write() as connection:
            await people.note_used(connection, token, now)
    except StoreTrouble as error:
        log.warning("token not noted as used: %s", error)


def allowed(access: Access, scope: Scope) -> Any:
    """The rule of an operation, as the default of its argument ``call``."""
    return Depends(Allowed(access, scope))
