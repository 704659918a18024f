"""*Why?*: a question as people type it (``https://www.TikTok.com/@abc``, a class or a device) to an Explanation."""

from dataclasses import dataclass
from ipaddress import ip_address

from dashboard.box import Box
from dashboard.insight.explanation import Asked, Explanation, explain
from dashboard.lessons.site_sets import parse_site
from dashboard.refusal import Refused
from dashboard.school import View
from filters.message import Message

QTYPES = {"A": 1, "AAAA": 28, "HTTPS": 65, "CNAME": 5, "MX": 15, "TXT": 16}


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    group: str = ""
    """a group's id"""
    device: str = ""
    """an address or a MAC; speaks where no group is given"""
    rtype: str = "A"


def group_of(question: Question, view: View, box: Box) -> str:
    """The group that is meant. Raises Refused."""
    if question.group:
        if question.group not in view.snapshot.groups:
            raise Refused(Message("There is no group {group!r}.", group=question.group), status=422, field="group")
        return question.group
    text = question.device.lower().replace("-", ":")
    addresses = {neighbour.mac: neighbour.address for neighbour in box.neighbours()}
    macs = {neighbour.address: neighbour.mac for neighbour in box.neighbours()}
    try:
        if len(text) == 17 and text.count(":") == 5:
            known = view.state.devices.get(text)
            group = known if known in view.snapshot.groups else view.directory.group(addresses[text], text)
        else:
            group = view.directory.group(ip_address(text), macs.get(text))
    except (ValueError, KeyError):
        why = Message("{text!r} is neither an address such as 10.0.12.5 nor the MAC address of a device that is here now.", text=text[:100])
        raise Refused(why, status=422, field="device") from None
    if group is None:
        raise Refused(Message("{text} is not in dns.allow_from: it gets no answer at all.", text=text), status=422, field="device")
    return group


def answer(question: Question, view: View, box: Box, now: float) -> Explanation:
    """What becomes of the name now, and why. Raises Refused."""
    name = parse_site(question.name)
    group = group_of(question, view, box)
    qtype = QTYPES.get(question.rtype)
    if qtype is None:
        raise Refused(Message("{text!r} is not a query type such as A, AAAA or HTTPS.", text=question.rtype), status=422, field="rtype")
    trusted = all(worker.clock_trusted for worker in box.workers())
    policy = view.snapshot.policy(group, now, trusted)
    return explain(Asked(name, qtype, question.rtype, question.device or group, now), policy, view.index, view.file.school.timezone)
