"""Backup and restore, for programs: a backup every night to another machine, for example."""

import base64
import tempfile
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.problem import problems
from dashboard.backups.backing_up import LONGEST, PASSPHRASE, checked_passphrase, give, put_back, source_of
from dashboard.backups.backup import MAX_FILE
from dashboard.refusal import Refused
from filters.message import Message

router = APIRouter()
_FILE = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


class BackupIn(Input):
    passphrase: str = Field("", max_length=LONGEST, description=f"At least {PASSPHRASE} characters; empty: the file is not sealed")


class RestoredOut(BaseModel):
    school: str
    made_at: float = Field(description="Unix seconds")
    program: str = Field(description="The version of the program that made the backup")
    rows: int
    kept: str = Field(description="Where on the box's disk lies what was there before; empty: there was nothing")


@router.post(
    "/backup",
    response_class=StreamingResponse,
    responses={200: {"description": "The backup", **_FILE}, **problems(409)},
)
async def make_backup(wanted: BackupIn, call: Call = allowed(Access.ADMIN, Scope.BACKUP)) -> StreamingResponse:
    """Everything in one file."""
    parts, name = await give(call.site, call.person, checked_passphrase(wanted.passphrase))
    return StreamingResponse(
        parts, media_type="application/octet-stream", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@router.post(
    "/backup/restore",
    responses=problems(409),
    max_body_size=MAX_FILE + 1,  # here it is cut off by what reads it
    openapi_extra={"requestBody": {"required": True, **_FILE}},
)
async def restore_backup(
    request: Request,
    passphrase: Annotated[
        str,
        Header(
            alias="Manglanh-Passphrase",
            max_length=4 * LONGEST,
            description="The passphrase as UTF-8 in Base64; empty: the file is not sealed",
        ),
    ] = "",
    call: Call = allowed(Access.ADMIN, Scope.BACKUP),
) -> RestoredOut:
    """Replace everything by what is in the file (the request's body). All sessions end; tokens are those of the backup."""
    with tempfile.TemporaryFile(dir=source_of(call.site).folder) as file:
        await _receive(request, file)
        restored = await put_back(call.site, call.person, file, _decoded(passphrase))
    manifest = restored.manifest
    return RestoredOut(
        school=manifest.school, made_at=manifest.made_at, program=manifest.program, rows=restored.rows, kept=str(restored.kept or "")
    )


async def _receive(request: Request, file: BinaryIO) -> None:
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_FILE:
            raise Refused(Message("This is too large: at most {limit} bytes.", limit=MAX_FILE), status=413)
        file.write(part)


def _decoded(passphrase: str) -> str:
    try:
        return base64.b64decode(passphrase, validate=True).decode()
    except ValueError:
        raise Refused(Message("The passphrase is not UTF-8 in Base64."), status=422, field="Manglanh-Passphrase") from None
