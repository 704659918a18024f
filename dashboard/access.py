"""Who may do what: roles, the rule that every route states, and the scopes of programs' tokens. Pure.

There is one place where a rule is enforced (dashboard/web.py for pages, dashboard/api/allowed.py for the API) and one function that
decides, ``may``. A route without a rule cannot be declared; tests/dashboard/test_permissions.py tries every route with every role.
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    ADMIN = "admin"
    """IT staff"""
    TEACHER = "teacher"
    """own classes only"""
    VIEWER = "viewer"
    """the principal: sees the school, changes nothing"""


class Access(StrEnum):
    """What a route asks of whoever calls it."""

    ANYBODY = "anybody"
    SIGNED_IN = "signed-in"
    """everybody with an account; the handler gives only what is this person's own"""
    SEES_CLASS = "sees-class"
    """the path's ``{group}``: administrators, viewers, and its teachers now"""
    OWN_CLASS = "own-class"
    """the path's ``{group}``: administrators, and its teachers now"""
    SEES_SCHOOL = "sees-school"
    """administrators and viewers"""
    ADMIN = "admin"


class Scope(StrEnum):
    """What a program's token is good for."""

    CLASSES_READ = "classes:read"
    CLASSES_WRITE = "classes:write"
    REQUESTS_READ = "requests:read"
    REQUESTS_WRITE = "requests:write"
    REPORTS_READ = "reports:read"
    REPORTS_WRITE = "reports:write"
    RULES_READ = "rules:read"
    RULES_WRITE = "rules:write"
    SCHOOL_READ = "school:read"
    SCHOOL_WRITE = "school:write"
    PEOPLE_READ = "people:read"
    PEOPLE_WRITE = "people:write"
    STATISTICS_READ = "statistics:read"
    HEALTH_READ = "health:read"
    AUDIT_READ = "audit:read"
    BACKUP = "backup"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in, or whose program calls."""

    id: int
    login: str
    name: str
    role: Role
    language: str
    classes: frozenset[str]
    """groups that are this teacher's now, as a substitute included"""
    session: int = 0
    """the session's id; 0: a program's token"""
    scopes: frozenset[Scope] = frozenset(Scope)

    @property
    def shown(self) -> str:
        """As the audit log and overrides name a person."""
        return f"{self.name} ({self.login})"


def may(access: Access, person: Person | None, group: str | None = None) -> bool:
    """``group``: the path's, for the rules of one class."""
    if access is Access.ANYBODY:
        return True
    if person is None:
        return False
    if person.role is Role.ADMIN or access is Access.SIGNED_IN:
        return True
    if access is Access.SEES_SCHOOL:
        return person.role is Role.VIEWER
    if access is Access.SEES_CLASS and person.role is Role.VIEWER:
        return True
    return access in (Access.SEES_CLASS, Access.OWN_CLASS) and person.role is Role.TEACHER and group in person.classes
