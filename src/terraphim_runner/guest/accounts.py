"""Users of the machine, and acting with their rights for a moment."""

from __future__ import annotations

import grp
import os
import pwd


class Account:
    """Whom a command or a file belongs to. ``switch`` is False when the agent already is that user."""

    __slots__ = ("gid", "groups", "switch", "uid")

    def __init__(self, *, uid: int, gid: int, groups: list[int], switch: bool) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.switch = switch


class Accounts:
    """Looks users up. ``may_switch`` is False outside of a VM: everything then runs as the agent's own user."""

    def __init__(self, *, may_switch: bool) -> None:
        self._may_switch = may_switch
        self._own = Account(uid=os.getuid(), gid=os.getgid(), groups=[], switch=False)
        self._known: dict[str, Account] = {}
        self._known_as_of = (0, 0)

    def find(self, name: str) -> Account:
        """Return the account; raises ``LookupError`` with a clear text when there is none."""
        if not self._may_switch or name == "root":
            return self._own
        # A step may add users or group memberships.
        as_of = (os.stat("/etc/passwd").st_mtime_ns, os.stat("/etc/group").st_mtime_ns)
        if as_of != self._known_as_of:
            self._known.clear()
            self._known_as_of = as_of
        account = self._known.get(name)
        if account is None:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                raise LookupError(f"there is no user {name!r} in the machine") from None
            groups = [group.gr_gid for group in grp.getgrall() if name in group.gr_mem]
            account = Account(uid=entry.pw_uid, gid=entry.pw_gid, groups=[entry.pw_gid, *groups], switch=True)
            self._known[name] = account
        return account


class acting_as:  # noqa: N801 - a context manager reads like a verb; contextlib's costs twice the time here
    """Take the account's rights for the block, real and effective, and get root's back from the saved ids.

    A program that is started meanwhile cannot do that: exec copies the effective id to the saved one. The kernel
    checks every path for us, so the agent needs no opinion on what a user may touch.
    """

    __slots__ = ("_account",)

    def __init__(self, account: Account) -> None:
        self._account = account

    def __enter__(self) -> None:
        account = self._account
        if account.switch:
            os.setgroups(account.groups)
            os.setresgid(account.gid, account.gid, 0)
            os.setresuid(account.uid, account.uid, 0)

    def __exit__(self, *_: object) -> None:
        if self._account.switch:
            os.setresuid(0, 0, 0)
            os.setresgid(0, 0, 0)
            os.setgroups([])
