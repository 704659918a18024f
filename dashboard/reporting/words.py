"""What the kinds and states of reports are called. Pure."""

from dashboard.catalogue import Translate

HARMFUL, FAKE, ABUSE, MISTAKE = KINDS = ("harmful", "fake", "abuse", "mistake")


def kind_title(kind: str, _: Translate) -> str:
    titles = {
        HARMFUL: _("Harmful to children"),
        FAKE: _("Fake, or cheats people"),
        ABUSE: _("Somebody is hurt, threatened or bullied"),
        MISTAKE: _("Closed by mistake"),
    }
    return titles.get(kind, kind)


def state_title(state: str, _: Translate) -> str:
    """Of a status, or of what else a step may say (dashboard/store/reports.py)."""
    titles = {
        "received": _("Received"),
        "collecting": _("Collecting"),
        "verifying": _("Verifying and assessing"),
        "coordinating": _("Coordinating"),
        "closed": _("Case closed"),
        "queued": _("To be handed to the province"),
        "forwarded": _("The province has it"),
    }
    return titles.get(state, state)
