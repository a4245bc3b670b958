"""A browser, as far as security is concerned."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from types import MappingProxyType
from typing import Any

import aiohttp

PASSWORD = "correct horse battery"
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass
class Answer:
    """What a browser got."""

    status: int
    headers: Any
    text: str

    @property
    def location(self) -> str:
        found: str = self.headers.get("Location", "")
        return found


@dataclass
class Browser:
    """Keeps cookies, and says where its requests come from, as browsers do."""

    address: str
    http: aiohttp.ClientSession
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    async def get(self, path: str, headers: Mapping[str, str] = NOTHING) -> Answer:
        navigating = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
        return await self.send("GET", path, headers={**navigating, **headers})

    async def post(self, path: str, form: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING) -> Answer:
        """As a page of ours does, with the token of this session. A header that is empty is not sent."""
        from_here = {"Origin": "null", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
        return await self.send("POST", path, data={"csrf": self.csrf, **form}, headers={**from_here, **headers})

    async def send(self, method: str, path: str, **more: Any) -> Answer:
        headers = {key: value for key, value in more.pop("headers", {}).items() if value}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        url = self.address + path if path.startswith("/") else path
        async with self.http.request(method, url, headers=headers, allow_redirects=False, **more) as response:
            for line in response.headers.getall("Set-Cookie", []):
                self._keep(line)
            return Answer(response.status, response.headers, await response.text())

    async def sign_in(self, name: str = "ada", password: str = PASSWORD, next_path: str = "") -> Answer:
        """By the form, and then reads the session's token from a page."""
        self.csrf = token_in((await self.get("/login")).text)
        answer = await self.post("/login", {"name": name, "password": password, "next": next_path})
        if answer.status == 303:
            self.csrf = token_in((await self.get("/inbox")).text)
        return answer

    def _keep(self, line: str) -> None:
        [(name, morsel)] = SimpleCookie(line).items()
        assert morsel["secure"]
        assert morsel["httponly"]
        assert morsel["path"] == "/"
        assert not morsel["domain"]
        if morsel["max-age"] == "0":
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = morsel.value


def token_in(page: str) -> str:
    """The anti-forgery token of a page."""
    found = re.search(r'name="csrf" value="([^"]*)"', page)
    assert found, page
    return found[1]
