"""Tables over the API: the same two steps as in the browser, a preview and its confirmation by digest."""

from pydantic import BaseModel, Field

from dashboard.api.body import Input
from dashboard.tables.csv_tables import MAX_BYTES
from dashboard.tables.importing import Plan, Status


class CsvIn(Input):
    """A table, and for carrying it out the digest of its preview."""

    csv: str = Field(max_length=MAX_BYTES)
    seen: str = Field("", max_length=64, description="the preview's digest; not needed for a preview")

    def data(self) -> bytes:
        return self.csv.encode("utf-8", "surrogatepass")


class RowOut(BaseModel):
    line: int
    status: Status
    title: str
    notes: list[str]


class Preview(BaseModel):
    digest: str
    counts: dict[Status, int]
    rows: list[RowOut]


def preview_of(plan: Plan) -> Preview:
    rows = [RowOut(line=row.line, status=row.status, title=row.title, notes=[str(note) for note in row.notes]) for row in plan.rows]
    return Preview(digest=plan.digest, counts=plan.counts, rows=rows)
