"""Names that come from outside and end in a path, a refspec or a configuration file.

Owns the rules for repository names, refs, commit ids and clone URLs. Every check is a pure function that returns the
value or raises ``BadNameError`` with what was found and expected. Refused rather than repaired: a repaired name is
another name.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_REF_BYTES: Final = 400
"""GitHub refuses names over 255 bytes; the prefix and some slack are added."""
MAX_URL_CHARS: Final = 2000

# Owners: letters, digits and hyphens; managed users carry one underscore (``name_company``).
_FULL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}/[A-Za-z0-9._-]{1,100}", re.ASCII)
_SHA: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# git check-ref-format: control characters, space, and the characters of revision syntax and of globs.
_FORBIDDEN_IN_REF: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]")
_FORBIDDEN_IN_URL: Final = re.compile(r"[\x00-\x20\x7f\"\\<>^`{|}]")


class BadNameError(ValueError):
    """A name breaks its rules; the text says which rule."""


def checked_full_name(value: str) -> str:
    """Return ``owner/name`` when it is one of GitHub's and safe as two path components."""
    if not _FULL_NAME.fullmatch(value):
        raise BadNameError(f"found the repository {_shown(value)}, expected 'owner/name' in letters, digits, '-_.'")
    name = value.split("/", 1)[1]
    if name in {".", ".."} or name.lower().endswith(".git"):
        raise BadNameError(
            f"found the repository {_shown(value)}: a name is not '.' or '..' and has no '.git' at its end"
        )
    return value


def checked_ref(value: str) -> str:
    """Return a full ref (``refs/…``) that ``git check-ref-format`` would accept."""
    if not value.startswith("refs/") or value.count("/") < 2:
        raise BadNameError(f"found the ref {_shown(value)}, expected a full one such as 'refs/heads/main'")
    _check_ref_format(value)
    return value


def checked_branch(value: str) -> str:
    """Return the short name of a branch or a tag; one that starts with ``-`` is refused, as git itself does."""
    if value.startswith("-") or value in {"@", "HEAD"}:
        raise BadNameError(f"found the branch {_shown(value)}, which git refuses as a name")
    _check_ref_format(f"refs/heads/{value}")
    return value


def checked_sha(value: str) -> str:
    """Return a full object id: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits."""
    if not _SHA.fullmatch(value):
        raise BadNameError(f"found the commit {_shown(value)}, expected 40 lower-case hex digits")
    return value


def is_zero(sha: str) -> bool:
    """Tell whether this is git's "no such commit", which pushes use for created and deleted refs."""
    return bool(sha) and not sha.strip("0")


def checked_clone_url(value: str) -> str:
    """Return an ``https://`` URL with a host, or a ``file:///`` one, without credentials, query or fragment."""
    parts = _split(value)
    if parts.scheme == "https":
        good = bool(parts.hostname) and not parts.hostname.startswith("-") and len(parts.path) > 1
    else:
        good = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    if not good or parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise BadNameError(
            "found a clone URL that is not plain: expected https://host/owner/name.git without credentials"
        )
    return value


def _split(value: str) -> SplitResult:
    if len(value) > MAX_URL_CHARS or _FORBIDDEN_IN_URL.search(value):
        raise BadNameError("found a clone URL with spaces, control characters or of more than 2000 characters")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise BadNameError("found a clone URL that is no URL") from None
    return parts


def _check_ref_format(ref: str) -> None:
    reason = _ref_fault(ref)
    if reason:
        raise BadNameError(f"found the ref {_shown(ref)}: {reason}")


def _ref_fault(ref: str) -> str | None:
    if not _is_text(ref) or len(ref.encode()) > MAX_REF_BYTES:
        return f"it is longer than {MAX_REF_BYTES} bytes or no Unicode text"
    if _FORBIDDEN_IN_REF.search(ref):
        return "a ref has no spaces, control characters or any of ~^:?*[\\"
    if ".." in ref or "@{" in ref or ref.endswith("."):
        return "a ref has no '..', no '@{' and no '.' at its end"
    for component in ref.split("/"):
        if not component or component.startswith(".") or component.endswith(".lock"):
            return "no part of a ref is empty, starts with '.' or ends with '.lock'"
    return None


def _is_text(value: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _shown(value: str) -> str:
    return repr(value if len(value) <= 80 else value[:80] + "…")
