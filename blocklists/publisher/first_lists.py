"""What a new publisher's folder has under ``lists/``: tables that say their columns, and public lists to choose from. [shell: disk]

Nothing of it is published until somebody writes an entry, or renames ``sources.example.yaml``. What is there already stays.
"""

import shutil
from collections.abc import Iterable

from blocklists.channels import CHANNELS
from blocklists.entries import format_entries
from blocklists.publisher.texts import list_file
from blocklists.publisher.workspace import Workspace, write_file
from blocklists.sources import PACKAGED

EXAMPLE = "sources.example.yaml"
STARTER = "starter"
"""the folder that the packaged sources.yaml names its own lists in"""
_HEAD = "# Public lists to choose from. Take out what you do not want, then rename this file to sources.yaml.\n#\n"


def write_first_lists(workspace: Workspace, channels: Iterable[str]) -> None:
    """An empty table for each of ``channels`` that carries text, and for the list team the packaged lists. Raises OSError."""
    for identifier in channels:
        channel = CHANNELS[identifier]
        table = list_file(workspace.folder, channel)
        if channel.text and not table.exists():
            write_file(table, format_entries(()))
        if identifier == "categories" and not (workspace.lists / EXAMPLE).exists():
            shutil.copytree(PACKAGED.with_name(STARTER), workspace.lists / STARTER, dirs_exist_ok=True)
            write_file(workspace.lists / EXAMPLE, _HEAD.encode() + PACKAGED.read_bytes())
