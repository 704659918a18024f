"""A message is its English sentence wherever a text is wanted, and another language's where one is asked for."""

import json
import pickle
from copy import deepcopy

import pytest

from filters.message import Message, joined, said

VIETNAMESE = {
    "{file}: unknown key{hint}": "{file}: không có mục này{hint}",
    ', did you mean "{near}"?': ', ý bạn là "{near}"?',
    "not a name": "không phải tên",
    "{share:.0%} change": "thay đổi {share:.0%}",
    "": "Project-Id-Version: a catalogue's head is the translation of nothing",
}
HINTED = Message("{file}: unknown key{hint}", file="a.yaml", hint=Message(', did you mean "{near}"?', near="name"))


def vietnamese(template):
    return VIETNAMESE.get(template, template)


@pytest.mark.parametrize(
    ("message", "english", "translated"),
    [
        (HINTED, 'a.yaml: unknown key, did you mean "name"?', 'a.yaml: không có mục này, ý bạn là "name"?'),
        (Message("{name}: {why}", name="x", why=ValueError(Message("not a name"))), "x: not a name", "x: không phải tên"),
        (Message("{share:.0%} change", share=0.25), "25% change", "thay đổi 25%"),
        (Message("not {filled} without facts"), "not {filled} without facts", "not {filled} without facts"),
        (Message("{what}", what="{not} a field"), "{not} a field", "{not} a field"),
        (Message(""), "", ""),
        (joined([HINTED, "plain"]), f"{HINTED}\nplain", 'a.yaml: không có mục này, ý bạn là "name"?\nplain'),
        (joined([]), "", ""),
        (joined([Message("not a name"), Message("not a name")], "; "), "not a name; not a name", "không phải tên; không phải tên"),
    ],
)
def test_both_languages(message, english, translated):
    assert (message, said(message, vietnamese)) == (english, translated)


@pytest.mark.parametrize(
    ("what", "translated"),
    [
        ("not a name", "not a name"),
        (ValueError(Message("not a name")), "không phải tên"),
        (ValueError("not a name"), "not a name"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (7, "7"),
    ],
)
def test_what_is_no_message_is_said_as_it_is(what, translated):
    assert said(what, vietnamese) == translated


@pytest.mark.parametrize("copy", [deepcopy, lambda message: pickle.loads(pickle.dumps(message))])
def test_a_copy_can_be_translated_too(copy):
    """Reports are copied by dataclasses.asdict, also those whose messages tell of exceptions that cannot be copied."""

    class Stubborn(Exception):
        def __init__(self, first, second):
            super().__init__(first)

    message = Message("{hint}{why}", hint=HINTED, why=Stubborn("why", 2))
    assert said(copy(message), vietnamese) == 'a.yaml: không có mục này, ý bạn là "name"?why'


def test_for_json_and_sorting_it_is_a_text():
    assert json.dumps(HINTED) == json.dumps(str(HINTED))
    assert sorted([HINTED, "a"]) == ["a", HINTED]
