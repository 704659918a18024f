"""What a blocked answer tells the client about itself: an extended DNS error and, as JSON, the reason in words. Pure.

RFC 8914 codes: 16 Censored where an authority's list speaks, 17 Filtered where the class's own side asked for it (a teacher's
mode, the timetable, the school's own rule), 15 Blocked for the rest. The JSON is draft-ietf-dnsop-structured-dns-error's:
``c`` contacts, ``j`` justification, ``o`` organisation, ``l`` language.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.edns import ede
from gateway.numbers import Ede
from policies.decide import Reason, Rung

TEXT_LIMIT = 480
"""octets of EXTRA-TEXT: with the longest question the answer still fits a datagram of 1232"""
_CODES = {Rung.LOCKED_BLOCK: Ede.CENSORED, Rung.CLASS_MODE: Ede.FILTERED, Rung.SCHOOL_BLOCK: Ede.FILTERED}


HOTLINE = "tel:111"


def contacts(school_contact: str) -> tuple[str, ...]:
    """The hotline first; the school's contact too where it is an address, a number or a URI, since the draft wants URIs."""
    text = school_contact.strip()
    if re.fullmatch(r"\+?[0-9][0-9 .-]{2,}", text):
        text = "tel:" + re.sub(r"[ .-]", "", text)
    elif re.fullmatch(r"[^@\s]+@[^@\s]+", text):
        text = "mailto:" + text
    return (HOTLINE, text) if text.startswith(("tel:", "mailto:", "sips:", "https:")) else (HOTLINE,)


@dataclass(frozen=True, slots=True)
class Explainer:
    """``texts``: rung -> template with ``{category}``, and ``category:ID`` -> title, in the school's language."""

    texts: Mapping[str, str]
    organisation: str
    language: str
    contacts: tuple[str, ...] = (HOTLINE,)
    """URIs: the child-protection hotline, and the school's own contact where it is one"""

    def block(self, reason: Reason) -> bytes:
        """The encoded EDNS option for a blocked name."""
        key = "service" if reason.list.startswith("service:") else reason.rung.name.lower()
        title = self.texts.get(f"category:{reason.category}", reason.category)
        return self._option(_CODES.get(reason.rung, Ede.BLOCKED), self.texts.get(key, "").replace("{category}", title))

    def rebinding(self) -> bytes:
        """The option for a public name that answered with an address of a private network."""
        return self._option(Ede.BLOCKED, self.texts.get("rebinding", ""))

    def _option(self, code: Ede, justification: str) -> bytes:
        contacts = list(self.contacts)
        organisation = self.organisation
        while True:
            content = {"c": contacts, "j": justification, "o": organisation, "l": self.language}
            text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
            if len(text.encode()) <= TEXT_LIMIT:
                return ede(code, text)
            if organisation:
                organisation = organisation[: len(organisation) // 2]
            elif contacts and len(json.dumps(contacts)) > len(justification):
                contacts = contacts[:-1]
            else:
                justification = justification[: len(justification) // 2]
