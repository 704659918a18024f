"""What is wrong with a form, by field, for the template that shows it again: ``errors.name`` is empty where nothing is. Pure."""

from collections import defaultdict

from dashboard.catalogue import Translate
from dashboard.refusal import Refused
from filters.message import said

FORM = (409, 422)
"""the statuses of what whoever fills a form in can put right; anything else is a page of its own"""


def no_errors() -> defaultdict[str, str]:
    return defaultdict(str)


def form_errors(error: Refused, translate: Translate, field: str = "") -> defaultdict[str, str]:
    """Raises the error itself where no form can put it right. ``field``: where the error names none."""
    if error.status not in FORM:
        raise error
    return defaultdict(str, {error.field or field or "form": said(error.message, translate)})
