"""What is said to a person: a text that remembers its template, so that a command line can say it in the person's language. Pure.

A ``Message`` *is* its English sentence, for reports, logs and whoever joins texts. ``said`` fills the template's translation
instead; nothing that makes messages knows of a language. An exception with a ``Message`` as its only argument is said alike.
"""

from collections.abc import Callable, Iterable
from typing import Self


class Message(str):
    """``Message("{file}: unknown key{hint}", file="a.yaml", hint=Message(...))``: a fact may be a message or an exception itself.

    The template is a literal where it is written down, so that tests/cli/test_messages.py finds it. Without facts nothing is filled.
    """

    __slots__ = ("facts", "template")

    template: str
    facts: dict[str, object]

    def __new__(cls, template: str, /, **facts: object) -> Self:
        facts = {name: _text(fact) if isinstance(fact, BaseException) else fact for name, fact in facts.items()}
        message = super().__new__(cls, template.format(**facts) if facts else template)
        message.template = str(template)
        message.facts = facts
        return message


def said(what: object, translate: Callable[[str], str]) -> str:
    """A text or an exception in the language of ``translate``, as far as it is a ``Message``; anything else as ``str`` has it."""
    text = _text(what) if isinstance(what, BaseException) else what
    if not isinstance(text, Message):
        return str(text)
    template = translate(text.template) if text.template else ""
    facts = {name: said(fact, translate) if isinstance(fact, Message) else fact for name, fact in text.facts.items()}
    return template.format(**facts) if facts else template


def joined(texts: Iterable[str], separator: str = "\n") -> Message:
    """The texts as one message, each still to be translated."""
    facts: dict[str, object] = {f"text{number}": text for number, text in enumerate(texts)}
    return Message(separator.join(f"{{{name}}}" for name in facts), **facts)


def _text(error: BaseException) -> str:
    """Not the exception itself: it holds on to everything that was known where it was raised."""
    return error.args[0] if len(error.args) == 1 and isinstance(error.args[0], Message) else str(error)
