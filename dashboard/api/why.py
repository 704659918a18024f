"""Why a name is allowed or blocked, for programs: the same as ``manglanh explain --json``."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.insight.explanation import to_json
from dashboard.insight.why import Question, answer

router = APIRouter()


@router.get("/why")
async def why(
    name: Annotated[str, Query(min_length=1, max_length=300, description="The name of a site, or an address on the web.")],
    group: Annotated[str, Query(max_length=64, description="A group's id.")] = "",
    device: Annotated[str, Query(max_length=64, description="An address or a MAC address, where no group is given.")] = "",
    type: Annotated[str, Query(max_length=8, description="The query type: A, AAAA, HTTPS, CNAME, MX or TXT.")] = "A",  # noqa: A002
    call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ),
) -> dict[str, Any]:
    """The verdict on a name for a group or a device now, with the whole ladder and every list that has the name."""
    return to_json(answer(Question(name, group, device, type), call.view, call.site.box, call.now), call.person.language)
