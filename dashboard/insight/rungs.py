"""What the rungs of the precedence ladder are called, for people. Pure."""

from dashboard.catalogue import Translate
from policies.decide import Rung


def rung_title(rung: Rung, _: Translate) -> str:
    return {
        Rung.SPECIAL: _("special names"),
        Rung.LOCKED_BLOCK: _("locked block"),
        Rung.LOCKED_ALLOW: _("locked allow"),
        Rung.CLASS_MODE: _("class mode"),
        Rung.LESSON_UNBLOCK: _("lesson unblock"),
        Rung.SCHOOL_BLOCK: _("school block"),
        Rung.SCHOOL_ALLOW: _("school allow"),
        Rung.CATEGORY: _("categories of mode and tier"),
        Rung.DEFAULT: _("default"),
    }[rung]
