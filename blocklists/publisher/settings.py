"""``publisher.yaml``: what a province's publisher may choose. Text <-> ``Settings``.

Who may sign what is not here but in the signed root and targets metadata, so that nobody changes it with an editor. Unknown
keys and impossible values are refused, all of them at once; what is left out has its default.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from blocklists.publisher.errors import PublishError
from blocklists.publisher.limits import ListLimits
from filters.message import Message, joined

VALID_DAYS: Mapping[str, int] = MappingProxyType(
    {
        "root": 730,
        "targets": 365,
        "mandatory": 365,
        "categories": 90,
        "learning": 365,
        "province": 365,
        "snapshot": 30,
        "timestamp": 3,
    }
)
"""How long a signature stands. The two that a machine signs are short, so that a school notices soon when it is cut off
(TUF specification 1.0, section 1.5.2, freeze attacks); those that people sign are long enough for a summer."""

Days = Annotated[int, Field(ge=1, le=3650)]


def _with_defaults(days: Mapping[str, int]) -> Mapping[str, int]:
    unknown = next((role for role in days if role not in VALID_DAYS), None)
    if unknown is not None:
        near = get_close_matches(unknown, VALID_DAYS, 1) or list(VALID_DAYS)
        raise ValueError(Message("unknown role {role}; there is: {known}", role=unknown, known=", ".join(near)))
    return MappingProxyType({**VALID_DAYS, **days})


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    name: Annotated[str, Field(min_length=1)]
    """the province, as people read it"""
    valid_days: Annotated[Mapping[str, Days], AfterValidator(_with_defaults)] = Field(default_factory=lambda: VALID_DAYS)
    """role -> days from staging (snapshot and timestamp: from the release) until it expires"""
    keep_days: Days = 7
    """how long the files of a replaced release stay on the server, for schools that are in the middle of a download"""
    lists: ListLimits = ListLimits()


def parse_settings(text: str, file: str) -> Settings:
    """Read publisher.yaml; ``file`` is for messages. Raises PublishError."""
    try:
        found: Any = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes strings, lists and mappings only
        return Settings.model_validate(found)
    except (yaml.YAMLError, RecursionError) as error:
        raise PublishError("{file}: not YAML: {why}", file=file, why=error) from None
    except ValidationError as error:
        raise PublishError(joined(_line(file, problem) for problem in error.errors())) from None


def settings_text(settings: Settings) -> str:
    """A publisher.yaml that says the settings of this module, and what they are."""
    name = yaml.safe_dump({"name": settings.name}, allow_unicode=True).strip()
    days = "".join(f"  {role}: {count}\n" for role, count in settings.valid_days.items())
    return (
        f"# Who publishes. Who may sign what is in the signed metadata: manglanh publish key show\n{name}\n\n"
        "# How many days a signature stands. Before that, publish something new, or: manglanh publish renew ROLE\n"
        f"valid_days:\n{days}\n"
        "# How many days the files of a replaced release stay on the server.\n"
        f"keep_days: {settings.keep_days}\n"
    )


def _line(file: str, problem: Any) -> Message:
    """One problem as ``file: where: what``."""
    where = ".".join(map(str, problem["loc"])) or Message("the file")
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(str(problem["loc"][-1]), [*Settings.model_fields, *ListLimits.model_fields], 1)
        hint = Message(', did you mean "{near}"?', near=near[0]) if near else ""
        return Message("{file}: {where}: unknown key{hint}", file=file, where=where, hint=hint)
    why = problem["ctx"]["error"] if problem["type"] == "value_error" else problem["msg"]
    return Message("{file}: {where}: {why}", file=file, where=where, why=why)
