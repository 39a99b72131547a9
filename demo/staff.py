"""A member of staff at central's pages: logs in, lets somebody in, reads the figures. Uses what a browser would use."""

import asyncio
import json
import re
from http.client import HTTPException
from http.cookiejar import CookieJar
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from demo.processes import DemoError

_TIMEOUT_S: Final = 10.0
_CSRF: Final = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Staff:
    """One browser session on central at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._cookies = CookieJar()
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(self._cookies))

    @property
    def cookie(self) -> str:
        """The session as the value of a Cookie header, for sockets."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)

    async def is_up(self) -> bool:
        """Say whether central answers."""
        try:
            await self._get("/health")
        except (OSError, HTTPException):
            return False
        return True

    async def log_in(self, username: str, password: str) -> None:
        """Log in as a person would; raise DemoError where central refuses."""
        page = await self._get("/admin/login/?next=/")
        fields = {"username": username, "password": password, "next": "/"}
        await self._submit("/admin/login/?next=/", page, fields)

    async def unlock(self, device: str, reason: str) -> None:
        """Let one person in from the dashboard."""
        page = await self._get("/")
        await self._submit(f"/devices/{device}/unlock", page, {"reason": reason})

    async def revoke(self, credential: str) -> None:
        """Revoke a credential in the administration."""
        path = f"/admin/directory/credential/{credential}/change/"
        await self._submit(path, await self._get(path), {"is_revoked": "on"})

    async def figures(self) -> dict[str, object]:
        """Return the three statistics."""
        figures: dict[str, object] = json.loads(await self._get("/api/stats"))
        return figures

    async def _submit(self, path: str, page: str, fields: dict[str, str]) -> str:
        token = _CSRF.search(page)
        if token is None:
            raise DemoError(f"no form on central's page before {path}; is it another program on that port?")
        return await self._get(path, urlencode({**fields, "csrfmiddlewaretoken": token[1]}).encode())

    async def _get(self, path: str, body: bytes | None = None) -> str:
        return await asyncio.to_thread(self._fetch, path, body)

    def _fetch(self, path: str, body: bytes | None) -> str:
        request = Request(self._url + path, data=body, headers={"Referer": self._url + "/"})  # noqa: S310 - our own URL
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                return str(answer.read().decode())
        except HTTPError as error:
            raise DemoError(f"central answered {error.code} to {path}") from error
        except URLError as error:
            raise OSError(f"central at {self._url}: {error.reason}") from error
