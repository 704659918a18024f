"""The checks of `doctor`: each looks at one thing and says how it is and what to do. [shell: sockets, /proc, the clock]

Every check returns findings and raises nothing: a box that is ill in one place is still examined in the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from blocklists.box.release_record import read_status
from dashboard.catalogue import Translate
from filters.category import CATEGORIES, LOCKED
from gateway.cli.ask import local_address
from gateway.cli.ports import programs_at
from gateway.cli.probes import probe
from gateway.cli.question import NoAnswer, ask
from gateway.cli.school import School
from gateway.cli.update import moment, trouble_title
from gateway.clock import kernel_synchronised
from policies.decide import Block, decide
from policies.socket_address import join_port, parse_listen
from policies.upstream_address import parse as parse_upstream

SILENT = 3600.0
"""seconds; the control process asks every minute and notes it at least every ten"""
OLD = 7 * 86400
"""seconds; lists older than this are worth a word"""
_OURS = ("manglanh", "python", "python3")


@dataclass(frozen=True, slots=True)
class Finding:
    level: Literal["ok", "warn", "fail"]
    what: str
    advice: str = ""


def examine(school: School, now: float, _: Translate) -> Iterator[Finding]:
    """Everything, in the order in which a person would look. Each is found as it is yielded."""
    yield Finding("ok", _("The school file is right: {path}").format(path=school.path))
    yield from state(school, _)
    yield from lists(school, now, _)
    yield from updates(school, now, _)
    yield clock(_)
    yield from listeners(school, _)
    yield from upstreams(school, _)
    yield from groups(school, now, _)


def state(school: School, _: Translate) -> Iterator[Finding]:
    for problem in school.snapshot.problems:
        yield Finding("warn", _("The state names something unknown: {what}").format(what=problem))


def lists(school: School, now: float, _: Translate) -> Iterator[Finding]:
    index = school.index
    if school.trouble:
        yield Finding(
            "fail",
            _("The newest lists are refused: {why}").format(why=school.trouble),
            _("Build or fetch them again: manglanh lists compile"),
        )
    if school.starter:
        what = _("Only the starter lists serve ({names} names).").format(names=index.names)
        yield Finding("warn", what, _("Build a bundle from real lists: manglanh lists compile"))
        return
    days = int((now - index.built_at) // 86400)
    if index.built_at and now - index.built_at > OLD:
        yield Finding("warn", _("The lists are {days} days old ({names} names).").format(days=days, names=index.names), _("Update them."))
    else:
        yield Finding("ok", _("Lists: {names} names, bundle {identity}.").format(names=index.names, identity=index.identity[:12]))


def updates(school: School, now: float, _: Translate) -> Iterator[Finding]:
    """Does the control process run, and what keeps the lists from being updated?"""
    status = read_status(school.file.lists.directory)
    if not status.written_at and not status.compiled_at:
        yield Finding(
            "warn",
            _("The lists have never been updated here."),
            _("Is it running? systemctl status manglanh-control, or manglanh update --once"),
        )
        return
    if status.publisher and now - status.checked_at > SILENT:
        what = _("The publisher has not been asked since {moment}.").format(moment=moment(status.checked_at, school.file.school.timezone))
        yield Finding("fail", what, _("Is it running? systemctl status manglanh-control, or manglanh update --once"))
    if status.rollback is not None:
        what = _("Earlier lists serve: {by} went back ({reason}).").format(by=status.rollback.by, reason=status.rollback.reason)
        yield Finding("warn", what, _("It ends by itself when the publisher releases other lists."))
    for trouble in status.troubles:
        what = _("Updating the lists: {title}: {what}").format(title=trouble_title(trouble.kind, _), what=trouble.what)
        yield Finding("warn" if trouble.kind in {"clock", "network"} else "fail", what)
    if status.well:
        well = moment(status.success_at, school.file.school.timezone)
        yield Finding("ok", _("The lists were last known to be up to date: {moment}.").format(moment=well))


def clock(_: Translate) -> Finding:
    if kernel_synchronised():
        return Finding("ok", _("The clock is synchronised."))
    advice = _("Start a time service: systemctl enable --now systemd-timesyncd. Until then timetables may wait.")
    return Finding("warn", _("The clock is not synchronised."), advice)


def listeners(school: School, _: Translate) -> Iterator[Finding]:
    """Does every listening address answer, by datagram and by stream, and filter?"""
    for text in school.file.dns.listen:
        host, port = parse_listen(text)
        host = local_address(host)
        where = join_port(host, port)
        try:
            filtered = all(ask(host, port, CATEGORIES["unlawful"].test_name, tcp=tcp).blocked for tcp in (False, True))
        except NoAnswer as error:
            what = _("{where} does not answer: {why}").format(where=where, why=error)
            yield Finding("fail", what, _who_else(port, _))
            continue
        if filtered:
            yield Finding("ok", _("{where} answers over UDP and TCP, and filters.").format(where=where))
        else:
            yield Finding("fail", _("{where} answers, but does not filter.").format(where=where), _who_else(port, _))


def _who_else(port: int, _: Translate) -> str:
    others = [program for program in programs_at(port) if not program.startswith(_OURS)]
    if "systemd-resolve" in others:
        return _(
            "systemd-resolved holds port {port}: set DNSStubListener=no in /etc/systemd/resolved.conf, then systemctl restart systemd-resolved."
        ).format(port=port)
    if others:
        return _("Another program holds port {port}: {programs}. Stop it, or listen on another address.").format(
            port=port, programs=", ".join(others)
        )
    return _("Is the resolver running? systemctl status manglanh-resolver, or manglanh run")


def upstreams(school: School, _: Translate) -> Iterator[Finding]:
    """Each upstream of ``dns.upstreams`` and ``dns.forward``, once."""
    dns = school.file.dns
    for text in dict.fromkeys((*dns.upstreams, *(upstream for forward in dns.forward.values() for upstream in forward))):
        try:
            seconds = probe(parse_upstream(text))
        except NoAnswer as error:
            what = _("Upstream {upstream} does not answer: {why}").format(upstream=text, why=error)
            yield Finding("fail", what, _("Is the internet reachable, and is this address right?"))
        else:
            yield Finding(
                "ok", _("Upstream {upstream} answers in {milliseconds} ms.").format(upstream=text, milliseconds=int(seconds * 1000))
            )


def groups(school: School, now: float, _: Translate) -> Iterator[Finding]:
    """Which test names each group's policy blocks. What the authorities lock must be among them."""
    for group in school.snapshot.groups.values():
        policy = school.policy(group.name, now)
        blocked = [
            category.id for category in CATEGORIES.values() if isinstance(decide(category.test_name, 1, policy, school.index), Block)
        ]
        missing = sorted(LOCKED.difference(blocked))
        if missing:
            what = _("{group}: not blocked: {categories}").format(group=group.name, categories=", ".join(missing))
            yield Finding("fail", what, _("The lists lack the test names of these categories; build them again."))
        else:
            text = _("{group} ({tier}): {blocked} of {all} categories blocked.")
            yield Finding("ok", text.format(group=group.name, tier=group.tier, blocked=len(blocked), all=len(CATEGORIES)))
