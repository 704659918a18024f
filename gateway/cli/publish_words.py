"""What a publisher's command line prints: who signed, what is missing, what a change of keys or files means."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dashboard.catalogue import Translate
from filters.message import said
from gateway.cli.durations import show_time

if TYPE_CHECKING:
    from blocklists.publisher.plan import Waiting
    from blocklists.publisher.releasing import Released
    from blocklists.publisher.signing import Collected
    from blocklists.publisher.state import State
    from blocklists.publisher.status import Concern, Status
    from blocklists.publisher.workspace import Workspace


def show_day(moment: float) -> str:
    """By the clock by which the country's papers are dated."""
    from blocklists.entries import TIMEZONE

    return show_time(moment, TIMEZONE)[:10]


def change_lines(workspace: "Workspace", state: "State", role: str, _: Translate) -> Iterator[str]:
    """What a signature under a role's staged version would mean."""
    from blocklists.publisher.changes import file_differences
    from blocklists.publisher.lists import describe

    waiting = state.waiting(role)
    if waiting is None:
        return
    head = _("{role}: version {version}, valid until {day}")
    yield head.format(role=role, version=waiting.signed.version, day=show_day(waiting.signed.expires.timestamp()))
    yield from _key_lines(state, role, _)
    for file in file_differences(state, role):
        if file.size is None:
            yield "  " + _("{path}: is taken out").format(path=file.path)
        elif file.before is None:
            yield "  " + _("{path}: new, {size} bytes").format(path=file.path, size=file.size)
        else:
            yield "  " + _("{path}: changed, {size} bytes").format(path=file.path, size=file.size)
    yield from (f"  {said(line, _)}" for line in describe(workspace, role))


def _key_lines(state: "State", role: str, _: Translate) -> Iterator[str]:
    from blocklists.publisher.changes import key_differences
    from blocklists.publisher.keys import fingerprint, key_name

    for change in key_differences(state, role):
        for key in change.added:
            yield "  " + _("{role}: + the key of {name} ({fingerprint})").format(
                role=change.role, name=key_name(key), fingerprint=fingerprint(key)
            )
        for key in change.removed:
            yield "  " + _("{role}: - the key of {name} ({fingerprint})").format(
                role=change.role, name=key_name(key), fingerprint=fingerprint(key)
            )
        if change.threshold != change.before:
            yield "  " + _("{role}: signatures needed: {count}").format(role=change.role, count=change.threshold)


def standing_line(state: "State", role: str, _: Translate) -> str:
    """How far the signatures of a role's staged version are."""
    from blocklists.publisher.keys import key_name

    found = state.standing(role)
    if found.complete:
        return _("{role}: completely signed").format(role=role)
    return _missing(role, found.missing, [key_name(key) for key in found.unsigned], _)


def _missing(role: str, missing: int, names: Sequence[str], _: Translate) -> str:
    return _("{role}: signatures still needed: {missing}, of: {names}").format(role=role, missing=missing, names=", ".join(names) or "-")


def waiting_line(waiting: "Waiting", _: Translate) -> str:
    """Why a staged version did not go out."""
    match waiting.reason:
        case "signatures":
            return _("waits: ") + _missing(waiting.role, waiting.missing, waiting.names, _)
        case "expired":
            text = _("{role}: waited so long that it has expired; stage it again")
        case "later":
            text = _("{role}: waits for a release without --urgent")
        case _other:
            text = _("{role}: waits for another role that must go out with it")
    return _("waits: ") + text.format(role=waiting.role)


def released_lines(released: "Released", _: Translate) -> Iterator[str]:
    roles = ", ".join(f"{role} {version}" for role, version in released.roles.items() if role not in {"snapshot", "timestamp"})
    head = _("Release {version}: {roles}; {size} bytes for the web server.")
    yield head.format(version=released.version, roles=roles or "-", size=released.bytes)
    yield from (waiting_line(waiting, _) for waiting in released.waiting)


def collected_line(found: "Collected", _: Translate) -> str:
    names = ", ".join(found.names) or "-"
    match found.outcome:
        case "merged":
            text = _("{role} {version}: signatures taken over: {names}")
        case "taken":
            text = _("{role} {version}: taken over, with the signatures of: {names}")
        case "same":
            text = _("{role} {version}: no new signature")
        case "differs":
            text = _(
                "{role} {version}: DIFFERS from what waits here, so nothing was taken over; discard one of the two: manglanh publish discard {role}"
            )
        case _other:
            text = _("{role} {version}: was staged upon another release than the one here; nothing was taken over")
    return text.format(role=found.role, version=found.version, names=names)


def status_lines(status: "Status", _: Translate) -> Iterator[str]:
    yield (
        _("{name}: release {version}").format(name=status.name, version=status.version)
        if status.version
        else _("{name}: nothing was released yet").format(name=status.name)
    )
    for role in status.roles:
        signers = _("{threshold} of {keys}").format(threshold=role.threshold, keys=", ".join(role.keys) or "-")
        version = _("version {version}, until {day}").format(version=role.version, day=show_day(role.expires)) if role.version else "-"
        yield f"{role.role:10}  {version:32}  {signers}".rstrip()
        if role.staged is not None:
            signed = _("signed by {names}").format(names=", ".join(role.staged.signed) or "-")
            rest = (
                _("missing: {missing} of {names}").format(missing=role.staged.missing, names=", ".join(role.staged.unsigned) or "-")
                if role.staged.missing
                else _("complete")
            )
            yield f"{'':10}  -> " + _("version {version} waits: {signed}; {rest}").format(
                version=role.staged.version, signed=signed, rest=rest
            )
        if role.outdated:
            yield f"{'':10}  -> " + _("what was staged here belongs to an older release; stage it again")


def concern_line(concern: "Concern", _: Translate) -> str:
    match concern.kind:
        case "expired":
            text = _("WARNING: {role} expired on {day}: schools keep what they have and take nothing new")
        case "soon":
            text = _(
                "WARNING: {role} expires on {day}; snapshot and timestamp: manglanh publish refresh; others: manglanh publish renew {role}"
            )
        case _other if concern.role == "root":
            text = _("WARNING: {role}: every key is needed to sign, so one lost key stops it for good; add a spare key")
        case _other:
            text = _(
                "WARNING: {role}: every key is needed to sign, so one lost key stops it until the root's holders sign a change; add a spare key"
            )
    return text.format(role=concern.role, day=show_day(concern.at))
