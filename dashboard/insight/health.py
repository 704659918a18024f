"""How the box is: what was found out about it (``Facts``), judged. Pure.

Each check is one function, facts in, ``Check`` out: how bad it is, what is the case, what that means for the school and what to do about it, in words for a
teacher who looks after the network besides teaching. Finding out is dashboard/insight/looking.py's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from dashboard.box import UpstreamHealth, WorkerReport
from filters.message import Message

OLD_REPORT = 30.0
"""seconds; a worker says every five that it is there"""
TAKING_UP = 5.0
"""seconds that a change may take to reach every worker"""
DAY = 86400.0
OLD_LISTS, STALE_LISTS = 3 * DAY, 14 * DAY
SOON, VERY_SOON = 30 * DAY, 7 * DAY
LITTLE, VERY_LITTLE = 0.10, 0.03
"""of a disk's space or of its inodes"""
ENOUGH = 20 * 1024**3
"""bytes free that are enough however large the disk"""
WAITS = DAY
SKEW = 5.0
"""seconds by which the workers' time may differ from the machine's"""


class Level(StrEnum):
    BAD = "bad"
    WARN = "warn"
    UNKNOWN = "unknown"
    OK = "ok"


WORST_FIRST = tuple(Level)


@dataclass(frozen=True, slots=True)
class Check:
    id: str
    level: Level
    title: Message
    """what is the case"""
    means: Message
    """for the school"""
    todo: Message | None = None
    """None: nothing"""
    details: tuple[str | Message, ...] = ()
    """lines for whoever wants to know exactly"""


class Disk(NamedTuple):
    """Of one folder. ``trouble``: it could not be looked at."""

    path: str
    total: int = 0
    free: int = 0
    inodes: int = 0
    inodes_free: int = 0
    trouble: str = ""


class Certificate(NamedTuple):
    what: Message
    path: str
    ends: float = 0.0
    """Unix seconds"""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    now: float
    workers: Sequence[WorkerReport] = ()
    wanted_workers: int | None = None
    """None: as many as the machine has cores"""
    generation: int = 0
    written_at: float = 0.0
    """of the live state"""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """files that are refused, and why (dashboard/school.py)"""
    upstreams: Sequence[str] = ()
    lists: Mapping[str, object] = field(default_factory=dict)
    """blocklists/box/release_record.py Status, as JSON"""
    lists_said: Sequence[str] = ()
    disks: Sequence[Disk] = ()
    certificates: Sequence[Certificate] = ()
    store: str = ""
    """its address without the password"""
    store_version: str = ""
    store_size: int | None = None
    store_trouble: Message | None = None
    overdue: int = 0
    waiting: int = 0
    version: str = ""
    python: str = ""


def checks(facts: Facts) -> list[Check]:
    """All of them, the worst first."""
    return sorted((check(facts) for check in CHECKS), key=lambda check: WORST_FIRST.index(check.level))


def worst(found: Sequence[Check]) -> Level:
    return min((check.level for check in found), key=WORST_FIRST.index, default=Level.UNKNOWN)


def resolver(facts: Facts) -> Check:
    there = len(facts.workers)
    current = [report for report in facts.workers if facts.now - report.at <= OLD_REPORT]
    details = [
        Message(
            "Worker {number}: generation {generation}, {names} names",
            number=report.number,
            generation=report.generation,
            names=report.names,
        )
        for report in facts.workers
    ]
    if not current:
        title = Message("No resolver runs here") if not there else Message("The resolver says nothing any more")
        means = Message("Devices that ask this box get no answer: for the school it looks as if the internet were gone.")
        todo = Message(
            "Restart the box. If that does not help: sudo systemctl restart manglanh-resolver, then sudo -u manglanh manglanh doctor says why."
        )
        return Check("resolver", Level.BAD, title, means, todo, tuple(details))
    wanted = max(facts.wanted_workers or 0, there)
    if len(current) < wanted:
        title = Message("{count} of {wanted} workers answer", count=len(current), wanted=wanted)
        means = Message("Answers still come, but slower when many devices ask at once.")
        todo = Message(
            "It usually mends itself within a minute. If it stays, restart the box and look into its log: journalctl -u manglanh-resolver."
        )
        return Check("resolver", Level.WARN, title, means, todo, tuple(details))
    title, means = Message("The resolver answers, with {count} workers", count=there), Message("Devices get their answers from this box.")
    return Check("resolver", Level.OK, title, means, None, tuple(details))


def changes(facts: Facts) -> Check:
    if not facts.workers:
        return Check(
            "changes",
            Level.UNKNOWN,
            Message("Nobody takes changes up"),
            Message("While no resolver runs, a switch of a class has no effect."),
        )
    behind = [report.number for report in facts.workers if report.generation < facts.generation]
    if behind and not 0 <= facts.now - facts.written_at < TAKING_UP:
        title = Message("{count} workers have not taken the latest change up", count=len(behind))
        means = Message("Some devices are still answered as before the last switch of a class.")
        todo = Message("Look at the file troubles on this page first; then: sudo systemctl restart manglanh-resolver.")
        return Check("changes", Level.BAD, title, means, todo)
    if len({report.bundle for report in facts.workers}) > 1:
        title = Message("The workers serve different lists")
        means = Message("A new list is being taken up; for a moment a site may be open in one room and blocked in the next.")
        return Check("changes", Level.WARN, title, means, Message("Wait a minute. If it stays: sudo systemctl restart manglanh-resolver."))
    return Check(
        "changes", Level.OK, Message("Every change has reached every worker"), Message("A switch of a class holds for all its devices.")
    )


_FILES = {
    "config": Message("the school's file"),
    "state": Message("the live state"),
    "lists": Message("the lists"),
    "province": Message("the province's file"),
}


def files(facts: Facts) -> Check:
    found: dict[str, str] = dict(facts.troubles)
    for report in facts.workers:
        for name, why in report.troubles.items():
            found.setdefault(name, why)
    if not found:
        return Check("files", Level.OK, Message("All files are in order"), Message("What people saved is what holds."))
    details = tuple(Message("{file}: {why}", file=_FILES.get(name, name), why=why) for name, why in sorted(found.items()))
    level = Level.BAD if {"config", "state", "lists"} & found.keys() else Level.WARN
    title = Message("A file has mistakes and is not used")
    means = Message("Filtering goes on with what held before; changes since then have no effect.")
    todo = Message(
        "The lines below say where the mistake is. The school page shows earlier versions of the school's file, and can go back to one."
    )
    return Check("files", level, title, means, todo, details)


def upstreams(facts: Facts) -> Check:
    found: dict[str, list[UpstreamHealth]] = {}
    for report in facts.workers:
        for address, health in report.upstreams.items():
            found.setdefault(address, []).append(health)
    details = tuple(_upstream_said(address, said) for address, said in found.items())
    known = {address: any(health.healthy for health in said) for address, said in found.items()}
    if not known:
        title = Message("Nothing is known of the way to the internet")
        return Check("upstreams", Level.UNKNOWN, title, Message("No worker has said yet whether the servers that it asks answer."))
    general = [known[address] for address in facts.upstreams if address in known] or list(known.values())
    if not any(general):
        title = Message("No name server outside answers")
        means = Message("New sites do not open; those that devices opened lately may still do.")
        todo = Message(
            "Is the internet line up? If it is, the firewall may keep this box from the servers below; ask your internet provider, or enter others on the school page."
        )
        return Check("upstreams", Level.BAD, title, means, todo, details)
    if not all(known.values()):
        count = sum(not healthy for healthy in known.values())
        title = Message("{count} of {wanted} name servers outside do not answer", count=count, wanted=len(known))
        means = Message("The others do their work, so nobody notices; but there is less to fall back on.")
        todo = Message("If it stays for days, replace that server on the school page.")
        return Check("upstreams", Level.WARN, title, means, todo, details)
    title = Message("The name servers outside answer")
    return Check("upstreams", Level.OK, title, Message("The way to the internet is open."), None, details)


def _upstream_said(address: str, said: Sequence[UpstreamHealth]) -> Message:
    times = [health.rtt for health in said if health.rtt is not None]
    if any(health.healthy for health in said):
        milliseconds = round(1000 * min(times)) if times else None
        return (
            Message("{address}: {milliseconds} ms", address=address, milliseconds=milliseconds)
            if times
            else Message("{address}: not asked yet", address=address)
        )
    return Message("{address}: no answer ({why})", address=address, why=next((health.trouble for health in said if health.trouble), "-"))


def lists(facts: Facts) -> Check:
    details = tuple(facts.lists_said)
    starter = any(report.starter for report in facts.workers)
    publisher = bool(facts.lists.get("publisher"))
    fresh = _number(facts.lists.get("success_at" if publisher else "compiled_at"))
    ends = _number(facts.lists.get("expires_at")) if publisher else 0.0
    troubles = [trouble for trouble in _items(facts.lists.get("troubles")) if trouble.get("kind") != "clock"]
    todo = Message(
        "Is the internet line up? Then look into the log, journalctl -u manglanh-control, or ask whoever publishes your province's lists."
    )
    if starter:
        title = Message("Only the small lists that came with the program serve")
        means = Message("The most harmful sites are blocked, many others are not yet: the full lists have not come.")
        wait = Message("On the first day: wait, they come by themselves. Later: sudo -u manglanh manglanh doctor says what is wrong.")
        return Check("lists", Level.WARN, title, means, wait, details)
    if not fresh:
        return Check(
            "lists", Level.UNKNOWN, Message("Nothing is known of the lists' age"), Message("Nobody has said when they came."), None, details
        )
    age = facts.now - fresh
    days = int(age // DAY)
    if age > STALE_LISTS or 0 < ends < facts.now:
        title = Message("The lists are {days} days old", days=days)
        means = Message("Filtering goes on with the old lists; harmful sites that are newer are not blocked.")
        return Check("lists", Level.BAD, title, means, todo, details)
    if age > OLD_LISTS or troubles:
        title = (
            Message("The lists are {days} days old", days=days) if age > OLD_LISTS else Message("The last update of the lists had trouble")
        )
        means = Message("Filtering goes on with the lists that are here.")
        return Check("lists", Level.WARN, title, means, todo, details)
    return Check(
        "lists", Level.OK, Message("The lists are fresh"), Message("Harmful sites that became known lately are blocked."), None, details
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _items(value: object) -> list[Mapping[str, object]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []


def disk(facts: Facts) -> Check:
    broken = [each for each in facts.disks if each.trouble]
    if broken:
        title = Message("A folder cannot be read")
        means = Message("Settings, requests or reports may not be saved.")
        todo = Message("Restart the box. If it stays, the disk or the memory card may be failing: make a backup now, and replace it.")
        return Check(
            "disk", Level.BAD, title, means, todo, tuple(Message("{file}: {why}", file=each.path, why=each.trouble) for each in broken)
        )
    if not facts.disks:
        return Check("disk", Level.UNKNOWN, Message("Nothing is known of the disk"), Message("It was not looked at."))
    details = tuple(
        Message("{path}: {free} GB of {total} GB free", path=each.path, free=f"{each.free / 1e9:.1f}", total=f"{each.total / 1e9:.1f}")
        for each in facts.disks
    )
    least = min(_room(each) for each in facts.disks)
    means = Message("When it is full, no switch of a class, no request and no report can be saved; filtering goes on.")
    todo = Message("Remove what does not belong there, or use a larger disk or memory card. Old logs: sudo journalctl --vacuum-size=200M")
    if least < VERY_LITTLE:
        return Check("disk", Level.BAD, Message("The disk is nearly full"), means, todo, details)
    if least < LITTLE:
        return Check("disk", Level.WARN, Message("The disk fills up"), means, todo, details)
    return Check("disk", Level.OK, Message("There is room on the disk"), Message("What people change can be saved."), None, details)


def _room(each: Disk) -> float:
    """The part that is free, of space or of inodes, whichever is less. File systems without a count of inodes say 0."""
    space = 1.0 if each.free >= ENOUGH or not each.total else each.free / each.total
    return min(space, each.inodes_free / each.inodes if each.inodes else 1.0)


def clock(facts: Facts) -> Check:
    if not facts.workers:
        return Check("clock", Level.UNKNOWN, Message("Nothing is known of the clock"), Message("No resolver runs that could say."))
    ahead = max(report.at for report in facts.workers) - facts.now
    details = (Message("Resolver's time minus this machine's: {seconds} s", seconds=f"{ahead:+.0f}"),) if abs(ahead) > SKEW else ()
    todo = Message(
        "sudo systemctl enable --now systemd-timesyncd, then timedatectl. A box without a battery needs the internet for its time."
    )
    if not all(report.clock_trusted for report in facts.workers):
        title = Message("It is not certain what time it is")
        means = Message("The timetable waits: classes are as their tier says. What teachers switch by hand works.")
        return Check("clock", Level.WARN, title, means, todo, details)
    if ahead > SKEW or any(trouble.get("kind") == "clock" for trouble in _items(facts.lists.get("troubles"))):
        title = Message("The clock may be wrong")
        means = Message("Modes may begin or end too early or too late, and lists may seem to be out of date.")
        return Check("clock", Level.WARN, title, means, todo, details)
    return Check("clock", Level.OK, Message("The clock is right"), Message("Timetable and lessons end when the bell rings."))


def certificates(facts: Facts) -> Check:
    if not facts.certificates:
        return Check(
            "certificates", Level.OK, Message("No certificates are in use"), Message("The school's file names none, so none can lapse.")
        )
    details = tuple(_certificate_said(each, facts.now) for each in facts.certificates)
    left = min(0.0 if each.trouble else each.ends - facts.now for each in facts.certificates)
    means = Message("Afterwards browsers warn or refuse, and devices that ask over an encrypted way get no answer.")
    todo = Message("Renew it where it came from, and put the new files in the place of the old ones.")
    if left < VERY_SOON:
        title = Message("A certificate has ended, ends within days, or cannot be read")
        return Check("certificates", Level.BAD, title, means, todo, details)
    if left < SOON:
        return Check("certificates", Level.WARN, Message("A certificate ends within a month"), means, todo, details)
    return Check("certificates", Level.OK, Message("The certificates are valid"), Message("Encrypted ways work."), None, details)


def _certificate_said(each: Certificate, now: float) -> Message:
    if each.trouble:
        return Message("{what} ({path}): {why}", what=each.what, path=each.path, why=each.trouble)
    days = int((each.ends - now) // DAY)
    if days < 0:
        return Message("{what} ({path}): ended {days} days ago", what=each.what, path=each.path, days=-days)
    return Message("{what} ({path}): {days} days left", what=each.what, path=each.path, days=days)


def store(facts: Facts) -> Check:
    if facts.store_trouble is not None:
        means = Message("People cannot sign in, and nothing can be changed here. Filtering goes on.")
        todo = Message("Is the disk full (see above)? With a database server: does it run, and is it reached? Otherwise restart the box.")
        return Check("store", Level.BAD, Message("The store does not answer"), means, todo, (facts.store, facts.store_trouble))
    details: tuple[str | Message, ...] = (facts.store, facts.store_version)
    if facts.store_size is not None:
        details = (*details, Message("{megabytes} MB", megabytes=f"{facts.store_size / 1e6:.1f}"))
    return Check(
        "store", Level.OK, Message("The store answers"), Message("People, requests, reports and the log are kept there."), None, details
    )


def reports(facts: Facts) -> Check:
    if facts.store_trouble is not None:
        return Check("reports", Level.UNKNOWN, Message("Nothing is known of reports"), Message("The store does not answer."))
    if facts.overdue:
        title = Message("{count} reports have not reached the province in time", count=facts.overdue)
        means = Message("They are kept and tried again and again, but nobody there has seen them.")
        todo = Message("Open the reports to see why. If it is urgent, telephone, and call 111 where a child is in danger.")
        return Check("reports", Level.BAD, title, means, todo)
    return Check(
        "reports", Level.OK, Message("No report is overdue"), Message("What was to reach the province has reached it, or is on its way.")
    )


def requests(facts: Facts) -> Check:
    if facts.store_trouble is not None:
        return Check("requests", Level.UNKNOWN, Message("Nothing is known of requests"), Message("The store does not answer."))
    if facts.waiting:
        title = Message("{count} requests of pupils have waited for more than a day", count=facts.waiting)
        means = Message("A pupil asked for a site and has had no answer; they may go round the filter, or give up learning with it.")
        return Check("requests", Level.WARN, title, means, Message("Answer them on the page of requests, or ask their teachers to."))
    return Check("requests", Level.OK, Message("No request waits for long"), Message("Pupils who asked were answered within a day."))


def versions(facts: Facts) -> Check:
    details = (Message("Mạng Lành {version}, Python {python}", version=facts.version, python=facts.python), facts.store_version)
    said = {report.compiled for report in facts.workers}
    if False in said:
        title = Message("The resolver runs without compiled code")
        means = Message("It works, but more slowly; a small school notices nothing.")
        todo = Message(
            "For more than 500 devices install it where a C compiler is (gcc and Python's headers); the installation guide says how."
        )
        return Check("versions", Level.WARN if len(facts.workers) > 1 else Level.OK, title, means, todo, details)
    return Check("versions", Level.OK, Message("Versions"), Message("For whoever asks when you ask for help."), None, details)


CHECKS: tuple[Callable[[Facts], Check], ...] = (
    resolver, upstreams, changes, files, lists, store, disk, clock, certificates, reports, requests, versions,
)  # fmt: skip
"""in this order where they are equally bad"""
