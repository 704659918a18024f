"""Everything in one file, and back."""

from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from dashboard.access import Access
from dashboard.backups.backing_up import LONGEST, PASSPHRASE, checked_passphrase, give, put_back
from dashboard.backups.backup import MAX_FILE
from dashboard.refusal import Refused
from dashboard.web import Page, Visit
from filters.message import Message, said

FORM = 64 * 1024
"""octets of the form around the file"""


async def index(visit: Visit) -> Response:
    return _page(visit)


def _page(visit: Visit, status: int = 200, **errors: str) -> Response:
    return visit.page("backup/index.html", status, errors=errors, least=PASSPHRASE, largest=MAX_FILE // (1024 * 1024))


async def download(visit: Visit) -> Response:
    # Passphrases are taken as they are typed, blanks at their ends included.
    passphrase, again = (_typed(visit, name) for name in ("passphrase", "again"))
    try:
        checked_passphrase(passphrase)
    except Refused as refused:
        return _page(visit, 422, passphrase=said(refused.message, visit.translate))
    if passphrase != again:
        return _page(visit, 422, again=visit.translate("The two are not the same."))
    parts, name = await give(visit.site, visit.person, passphrase)
    return StreamingResponse(
        parts, media_type="application/octet-stream", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


async def upload(visit: Visit) -> Response:
    file = visit.form.get("file")
    if not isinstance(file, UploadFile) or not file.size:
        return _page(visit, 422, file=visit.translate("Please choose the file of a backup."))
    if visit.text("sure") != "1":
        return _page(visit, 422, sure=visit.translate("Please confirm that everything is to be replaced."))
    try:
        restored = await put_back(visit.site, visit.person, file.file, _typed(visit, "restore_passphrase"))
    except Refused as refused:
        if refused.field != "file":
            raise
        return _page(visit, refused.status, file=said(refused.message, visit.translate))
    visit.signed_in = None  # every session has ended
    return visit.page("backup/restored.html", restored=restored)


def _typed(visit: Visit, name: str) -> str:
    value = visit.form.get(name, "")
    if not isinstance(value, str) or len(value) > LONGEST:
        raise Refused(Message("This is too long: at most {limit} characters.", limit=LONGEST), status=422, field=name)
    return value


PAGES: tuple[Page, ...] = (
    Page("GET", "/backup", index, Access.ADMIN),
    Page("POST", "/backup", download, Access.ADMIN),
    Page("POST", "/backup/restore", upload, Access.ADMIN, body=MAX_FILE + FORM),
)
