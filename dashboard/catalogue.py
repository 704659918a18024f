"""The message catalogue: what people read, in Vietnamese or English.

English is the source: a message's id is its English text, so a catalogue that is missing (``.mo`` files are compiled when the
package is built) costs the translation and nothing else. ``block_texts`` gives the gateway plain strings, since the resolver's
workers import nothing from here.
"""

import gettext
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from filters.category import CATEGORIES

MESSAGES = Path(__file__).resolve().parent / "messages"
LANGUAGES = ("vi", "en")

Translate = Callable[[str], str]


def translator(language: str) -> Translate:
    """``_`` for one language, from every ``.mo`` of its directory; a message that none of them has comes back in English."""
    return _merged(language, MESSAGES)


@lru_cache
def _merged(language: str, messages: Path) -> Translate:
    everything = gettext.NullTranslations()
    for compiled in sorted((messages / language / "LC_MESSAGES").glob("*.mo")):
        everything.add_fallback(gettext.translation(compiled.stem, messages, languages=[language]))
    return everything.gettext


def category_title(category: str, language: str) -> str:
    """``gambling`` -> ``Cờ bạc, cá độ``. An id that is not known is its own title."""
    known = CATEGORIES.get(category)
    if known is None:
        return category
    return known.vi if language == "vi" else known.en


def block_texts(language: str) -> dict[str, str]:
    """The texts of blocked answers (EDNS EXTRA-TEXT ``justification``), for one language.

    Keys: the ladder's rungs (``policies.decide.Rung`` names in lower case), each a template with the field ``{category}``;
    ``service`` and ``rebinding``, which have none; and ``category:ID``, the titles that fill the field.
    """
    _ = translator(language)
    texts = {
        "special": _("This network answers this name itself."),
        "locked_block": _("Blocked for everybody by the authorities' list ({category})."),
        "class_mode": _("Not open during this lesson. Please ask your teacher."),
        "school_block": _("Blocked by the school."),
        "category": _("The school network does not open this to your group: {category}."),
        "service": _("The school network does not open this service to your group."),
        "default": _("Only sites chosen for young children are open here."),
        "rebinding": _("A public name that points into the school's own network is not answered."),
    }
    return texts | {f"category:{category}": category_title(category, language) for category in CATEGORIES}
