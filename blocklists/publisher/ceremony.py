"""Making a repository, and changing who may sign: the next root or targets, staged like everything else.

A root's next version needs the signatures of the old keys and of the new ones (TUF specification 1.0, section 6.1). Where
a change of keys would make clients refuse what is already released, that role's next version is staged too, to be signed again;
``releasing`` lets both out together.
"""

from collections.abc import Mapping

from blocklists.publisher.errors import PublishError
from blocklists.publisher.keys import save_public_key
from blocklists.publisher.roles import IN_ROOT, KEY_ROLES, ROOT, TARGETS, KeyChange, RoleKeys, changed, expiry, first_root, first_targets
from blocklists.publisher.staging import needs_new_signatures, put, renewed
from blocklists.publisher.state import load_state
from blocklists.publisher.workspace import Workspace, locked


def stage_first(workspace: Workspace, people: RoleKeys, online: RoleKeys, channels: Mapping[str, RoleKeys], now: float) -> None:
    """Stage the first root and targets, and keep the public keys. Raises PublishError."""
    days = workspace.settings.valid_days
    root = first_root(people, online, expiry(now, days[ROOT]))
    targets = first_targets(channels, expiry(now, days[TARGETS]))
    with locked(workspace):
        for key in {key.keyid: key for keys in (people, online, *channels.values()) for key in keys.keys}.values():
            save_public_key(workspace.keys, key)
        put(workspace, ROOT, root)
        put(workspace, TARGETS, targets)


def change_keys(workspace: Workspace, role: str, change: KeyChange, now: float) -> tuple[str, ...]:
    """Stage a change of ``role``'s keys (one of ``KEY_ROLES``); the roles that wait for signatures because of it.

    Raises PublishError: fewer keys than signatures would be left, the key may sign already, there is no such role.
    """
    if role not in KEY_ROLES:
        raise PublishError("{role} is not a role; there is: {known}", role=role, known=", ".join(KEY_ROLES))
    with locked(workspace):
        state = load_state(workspace)
        root, targets = state.next_root, state.next_targets
        if root is None or targets is None:
            raise PublishError("{folder} has no root yet: manglanh publish init", folder=workspace.folder)
        if change.add is not None:
            save_public_key(workspace.keys, change.add)
        holder, signed = (ROOT, changed(root, IN_ROOT[role], change)) if role in IN_ROOT else (TARGETS, changed(targets, (role,), change))
        signed.version = state.version(holder) + 1
        signed.expires = expiry(now, workspace.settings.valid_days[holder])
        put(workspace, holder, signed)
        again: list[str] = []
        while more := needs_new_signatures(load_state(workspace)):
            again += more
            for other in more:
                renewed(workspace, load_state(workspace), other, now)
        return (holder, *again)
