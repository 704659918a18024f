"""The school's own rules over the API. A rule with warnings is answered with 409 and their digest; sent again with it in ``sure`` it is carried out."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.imports import CsvIn, Preview, preview_of
from dashboard.api.problem import Problem, problems
from dashboard.catalogue import translator
from dashboard.settings import rules
from dashboard.settings.rules import Findings, Unsure
from dashboard.tables.importing import Status
from policies.model import LocalRule

router = APIRouter()
RuleId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


class RuleOut(BaseModel):
    id: str = Field(description="changes with action, name and groups; empty: the rule stands in the school's file and is changed there")
    action: Literal["block", "allow"]
    name: str = Field(description="the name and everything below it")
    groups: list[str] = Field(description="empty: every group")
    by: str
    reason: str
    until: float | None = Field(description="Unix seconds; null: no end")


class RulesOut(BaseModel):
    rules: list[RuleOut]
    total: int


class RuleIn(Input):
    action: Literal["block", "allow"]
    name: str = Field(max_length=2000, description="as people write it: an address, capitals and Vietnamese letters are read as a name")
    groups: list[str] = Field(default=[], max_length=500)
    reason: str = Field(max_length=rules.REASON)
    until: str = Field("", max_length=10, description="the last day, 2027-01-15; empty: no end")
    sure: str = Field("", max_length=16, description="the digest of the warnings, once somebody has read them")


class RuleMade(BaseModel):
    rule: RuleOut
    generation: int = Field(description="of the live state that has it")
    notes: list[str]


class Warned(Problem):
    """There are warnings; nothing was changed."""

    warnings: list[str]
    sure: str = Field(description="to be sent along if it is meant so")


class ImportOut(BaseModel):
    new: int
    changed: int
    generation: int


class Done(BaseModel):
    generation: int


_WARNED: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "Conflict, or warnings to be read",
        "content": {"application/problem+json": {"schema": Warned.model_json_schema()}},
    }
}


@router.get("/rules", summary="The school's own rules")
async def list_rules(
    q: Annotated[str, Query(max_length=253, description="part of a name, a reason or an owner")] = "",
    offset: Annotated[int, Query(ge=0, le=10**6)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    call: Call = allowed(Access.ADMIN, Scope.RULES_READ),
) -> RulesOut:
    """Those made here and those of the school's file (``id`` empty). ``total`` counts what ``q`` leaves."""
    own = [_out(each, rules.rule_id(each)) for each in rules.current(call.view.state, call.now)]
    every = [
        each
        for each in own + [_out(each, "") for each in call.view.file.rules]
        if q.lower() in f"{each.name} {each.reason} {each.by}".lower()
    ]
    return RulesOut(rules=every[offset : offset + limit], total=len(every))


@router.post("/rules", status_code=201, summary="Add a rule", response_model=RuleMade, responses=_WARNED)
async def add_rule(new: RuleIn, call: Call = allowed(Access.ADMIN, Scope.RULES_WRITE)) -> RuleMade | JSONResponse:
    """It is in force at once. A rule with warnings is not made (409): send it again with their digest in ``sure``."""
    rule, notes = rules.rule(new.action, new.name, new.groups, new.reason, new.until, call.view, call.person, call.now)
    try:
        generation, findings = await rules.add(call.site, call.person, call.view, rule, new.sure, call.now)
    except Unsure as error:
        return _warned(error)
    return _made(rule, generation, findings, [str(note) for note in notes])


@router.get(
    "/rules/export",
    summary="The rules as a table (CSV)",
    responses={200: {"content": {"text/csv": {}}}},
    response_class=Response,
)
async def export_rules(language: Literal["vi", "en"] = "en", call: Call = allowed(Access.ADMIN, Scope.RULES_READ)) -> Response:
    """Every rule made here, with the headings that importing understands."""
    return Response(rules.export(call.view, language, call.now, translator(language)), media_type="text/csv; charset=utf-8")


@router.post("/rules/import/preview", summary="What a table would change")
async def preview_rules(table: CsvIn, call: Call = allowed(Access.ADMIN, Scope.RULES_WRITE)) -> Preview:
    """Nothing is changed. ``digest`` is what carrying it out needs."""
    return preview_of(rules.plan(table.data(), call.view, call.person, call.now)[0])


@router.post("/rules/import", summary="Carry a table out, whole or not at all", responses=problems(409))
async def import_rules(table: CsvIn, call: Call = allowed(Access.ADMIN, Scope.RULES_WRITE)) -> ImportOut:
    """Refused (409) where anything is another than in the preview whose digest is in ``seen``."""
    plan, generation = await rules.carry_out(call.site, call.view, call.person, table.data(), table.seen, call.now)
    return ImportOut(new=plan.counts[Status.NEW], changed=plan.counts[Status.CHANGED], generation=generation)


@router.get("/rules/{rule}", summary="One rule", responses=problems(404))
async def get_rule(rule: RuleId, call: Call = allowed(Access.ADMIN, Scope.RULES_READ)) -> RuleOut:
    """A rule made here. Its id changes with its action, name and groups."""
    return _out(rules.find(call.view.state, rule), rule)


@router.put("/rules/{rule}", summary="Change a rule", response_model=RuleMade, responses=problems(404) | _WARNED)
async def change_rule(rule: RuleId, new: RuleIn, call: Call = allowed(Access.ADMIN, Scope.RULES_WRITE)) -> RuleMade | JSONResponse:
    """Replace a rule whole, by its id of now; the answer has its new one. Warnings are as when adding."""
    rules.find(call.view.state, rule)
    changed, notes = rules.rule(new.action, new.name, new.groups, new.reason, new.until, call.view, call.person, call.now)
    try:
        generation, findings = await rules.edit(call.site, call.person, call.view, rule, changed, new.sure, call.now)
    except Unsure as error:
        return _warned(error)
    return _made(changed, generation, findings, [str(note) for note in notes])


@router.delete("/rules/{rule}", summary="Remove a rule", responses=problems(404))
async def remove_rule(rule: RuleId, call: Call = allowed(Access.ADMIN, Scope.RULES_WRITE)) -> Done:
    """It holds no longer, at once."""
    generation, _old = await rules.remove(call.site, call.person, call.view, rule)
    return Done(generation=generation)


def _out(each: LocalRule, id_: str) -> RuleOut:
    return RuleOut(id=id_, action=each.action, name=each.name, groups=list(each.groups), by=each.by, reason=each.reason, until=each.until)


def _made(rule: LocalRule, generation: int, findings: Findings, notes: list[str]) -> RuleMade:
    return RuleMade(rule=_out(rule, rules.rule_id(rule)), generation=generation, notes=notes + [str(note) for note in findings.notes])


def _warned(error: Unsure) -> JSONResponse:
    found = error.findings
    content = Warned(
        type="about:blank", status=409, detail=str(error), field="sure", warnings=[str(each) for each in found.warnings], sure=found.digest
    )
    return JSONResponse(content.model_dump(), 409, media_type="application/problem+json")
