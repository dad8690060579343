"""Who may use the API.

With a token (``API_TOKEN``), whoever bears it. Without one, only this machine: the server must listen on a loopback
address, and the request must name a loopback host and must not say that a proxy forwarded it, for else a reverse proxy
in front of the server, or a web page whose name is made to point to 127.0.0.1, would open the API to others. A proxy
that does neither cannot be told from this machine's users: behind one, set a token. On any other address the API is
closed until a token is set; the webhook and the health check stay open.
"""

import hmac
import ipaddress
import re
from typing import Final

from fastapi import HTTPException, Request

from terraphim_runner.model.secret import Secret

_CLOSED: Final = "the API is closed: the server does not listen on a loopback address only; set API_TOKEN to open it"
_FOREIGN: Final = "the API without API_TOKEN is for this machine only: use http://127.0.0.1, or set API_TOKEN"


class Access:
    """The guard of every route of the API."""

    def __init__(self, *, token: Secret | None, is_loopback: bool) -> None:
        self._token = token
        self._is_loopback = is_loopback

    async def check(self, request: Request) -> None:
        """Return for a request that is let in; raise 401 or 403 for any other."""
        if self._token:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            right = self._token.reveal().encode()
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), right):
                raise HTTPException(401, "expected the header 'Authorization: Bearer <API_TOKEN>'", _CHALLENGE)
        elif not self._is_loopback:
            raise HTTPException(403, _CLOSED)
        elif not _is_loopback_name(request) or any(name in request.headers for name in _FORWARDED):
            raise HTTPException(403, _FOREIGN)


_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_HOST: Final = re.compile(r"(localhost|[0-9.]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


def _is_loopback_name(request: Request) -> bool:
    # The header itself: in the place of one that is malformed, the request's URL has the server's own address.
    match = _HOST.fullmatch(request.headers.get("host", ""))
    if match is None:
        return False
    if match[1].lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(match[1].strip("[]")).is_loopback
    except ValueError:
        return False
