"""Bytes of a list -> rules and problems, per format. Pure; keeps every problem with its line number and guesses nothing.

A *list* is a mapping of file name to bytes: one file named ``""`` for all formats but ``ut1``, which is a folder. Items
come lazily, in file order, each with its line number. A parser raises nothing but ``ListRefused`` (the whole list is not
one); a line can only become a ``Problem``.
"""

from collections.abc import Callable, Iterator, Mapping

from blocklists.parse import adblock, dnsmasq, domains, hosts, regex, rpz, ut1
from blocklists.parse.lines import refuse_what_is_no_list
from blocklists.rule import Item

Numbered = Iterator[tuple[int, Item]]

_ONE_FILE: dict[str, Callable[[bytes], Numbered]] = {
    "hosts": hosts.parse,
    "domains": domains.parse,
    "adblock": adblock.parse,
    "dnsmasq": dnsmasq.parse,
    "rpz": rpz.parse,
    "regex": regex.parse,
}
FORMATS = (*_ONE_FILE, "ut1")


def parse(list_format: str, files: Mapping[str, bytes]) -> Iterator[tuple[str, Numbered]]:
    """For each file of the list its name and its numbered items.

    ``list_format`` is one of FORMATS (KeyError otherwise). Raises ListRefused.
    """
    for data in files.values():
        refuse_what_is_no_list(data)
    if list_format == "ut1":
        yield from ut1.parse(files)
    else:
        for name, data in files.items():
            yield name, _ONE_FILE[list_format](data)
