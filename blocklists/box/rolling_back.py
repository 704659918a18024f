"""Going back to the lists before, when somebody in a school finds that the newest ones are wrong. [shell: disk]

Promises: what is mandatory stays as it is now, whatever else goes back; it holds for a channel until the publisher has other files there
(blocklists/box/update.py sees to it); who did it, when and why is kept.
"""

import os
from pathlib import Path
from shutil import copytree

from blocklists.box.asking import is_behind
from blocklists.box.contents import BadContent, put_in_force, recorded
from blocklists.box.release_record import (
    Content,
    Record,
    Rollback,
    Status,
    read_record,
    read_status,
    tell_history,
    write_record,
    write_status,
)
from blocklists.box.update_status import channels_of
from blocklists.channels import CHANNELS
from blocklists.durable import alone
from blocklists.install import current, install, previous
from filters.bundle import BadBundle

CHANGING = ".changing.lock"
"""held while something is put in force, and no longer, so that a rollback need not wait for a slow download"""
LOCK_WAIT = 60.0
ROLLED_BACK = tuple(channel for channel in CHANNELS if channel not in {"mandatory", "province"})
"""channels that a school may go back in"""


class NothingBefore(Exception):
    """There is no earlier release to go back to."""


def roll_back(directory: Path, by: str, reason: str, now: float, *, clock_trusted: bool = True) -> Status:
    """Go back to what the publisher released before, until it releases something else; the mandatory list stays today's.

    Raises NothingBefore, BadContent (a kept file is damaged), Busy, OSError; the bundle in force stays then.
    """
    with alone(directory / CHANGING, LOCK_WAIT):
        record = read_record(directory)
        away_from = {name: record.channels.get(name, Content()) for name in ROLLED_BACK}
        back = {name: content for name, content in record.before.items() if content.files != away_from[name].files}
        if not back:
            raise NothingBefore(f"{directory}: no earlier release is kept")
        rollback = Rollback(by=by, reason=reason, at=now, away_from={name: away_from[name].files for name in back})
        channels = record.channels | back
        unpacked = dict(record.unpacked)
        moment = now if clock_trusted and not is_behind(record, now) else 0.0
        composed = put_in_force(directory, channels, moment, unpacked)
        after = recorded(
            record.model_copy(update={"channels": channels, "before": {}, "rollback": rollback, "unpacked": unpacked}), composed
        )
        tell_history(directory, now, "rolled back", after, {"by": by, "reason": reason, "from": record.bundle})
        write_record(directory, after)
        status = read_status(directory)
        status = status.model_copy(update={"bundle": after.bundle, "rollback": rollback, "channels": channels_of(after, composed.entries)})
        write_status(directory, status)
        return status


def roll_back_compiled(directory: Path, by: str, reason: str, now: float) -> Status:
    """The same on a box without a publisher: to the bundle before, until the next is compiled. Raises as ``roll_back`` does."""
    with alone(directory / CHANGING, LOCK_WAIT):
        away_from, back = current(directory), previous(directory)
        if back is None:
            raise NothingBefore(f"{directory}: no earlier bundle is kept")

        def same(fresh: Path) -> str:
            copytree(back, fresh, copy_function=os.link, dirs_exist_ok=True)
            return back.name

        try:
            folder = install(directory, same)
        except BadBundle as error:
            raise BadContent(str(error)) from None
        record = Record(bundle=folder.name)
        tell_history(directory, now, "rolled back", record, {"by": by, "reason": reason, "from": away_from.name if away_from else ""})
        rollback = Rollback(by=by, reason=reason, at=now, away_from={})
        status = read_status(directory).model_copy(update={"bundle": folder.name, "rollback": rollback, "written_at": now})
        write_status(directory, status)
        return status
