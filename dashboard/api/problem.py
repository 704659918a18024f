"""How an operation documents what it refuses (RFC 9457), and how it says it."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

REFERENCE = {"$ref": "#/components/schemas/Problem"}
PHRASES = {
    400: "The body cannot be read",
    401: "No token, or one that is not valid (any more)",
    403: "Not this person's to do, or not within the token's scopes",
    404: "There is no such thing (any more)",
    409: "It cannot be done as things are; the detail says why",
    412: "The school's file is not the one of If-Match any more",
    413: "The body is larger than this takes",
    422: "Something in the request is wrong; the detail says what",
    500: "A mistake of the program; its log has the details",
    503: "The store or a file cannot be used now; nothing was changed",
}


class Problem(BaseModel):
    type: str
    status: int
    detail: str = Field(description="in words, in the language of Accept-Language (vi or en)")
    field: str = Field("", description="which field of the request is wrong, where one is")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For ``responses=`` of an operation: what it refuses besides ``EVERY``."""
    content = {"application/problem+json": {"schema": REFERENCE}}
    return {status: {"description": PHRASES.get(status, HTTPStatus(status).phrase), "content": content} for status in statuses}


EVERY = problems(400, 401, 403, 413, 422, 500, 503)
"""what every operation may answer"""
