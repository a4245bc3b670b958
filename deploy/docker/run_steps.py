"""`python deploy/docker/run_steps.py FOLDER`: does what the Dockerfile says without a container engine.

Reads the Dockerfile itself: every COPY sees only what .dockerignore lets through, every RUN runs in an environment of
its own with the ARG and ENV lines before it. FOLDER/root stands for the image's root: the folders in `_OURS` lie below
it, everything else (Python, certificates) is this machine's. FOLDER/image.json says how to start what came out:
`{"root", "env", "user", "workdir", "entrypoint", "cmd", "healthcheck"}`. Ends with the exit code of a step that failed.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CHECKOUT: Final = Path(__file__).resolve().parent.parent.parent
_OURS: Final = re.compile(r"(?<![\w./-])(?=/(?:opt|build|state|var/lib/engross)(?:[/\s\"':]|$))")
# What this machine needs to reach a registry; nothing else of it gets in.
_NETWORK: Final = re.compile(
    r"(?i).*_proxy|ssl_cert_.*|pip_(index|extra|find|cert|default).*|uv_(index|default|find|sys).*"
)
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


@dataclass
class Image:
    """What the instructions of one stage have come to. Paths are those of the image."""

    env: dict[str, str] = field(default_factory=dict)
    args: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)


class Build:
    """Performs the instructions of one Dockerfile below `folder`."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder, self._home = folder, home
        self._root, self._context = folder / "root", folder / "context"
        self._globals: dict[str, str] = {}
        self._stage = ""
        self.image = Image()

    def run(self) -> Image:
        copy_context(self._context)
        for keyword, rest in instructions((CHECKOUT / "Dockerfile").read_text(encoding="utf-8")):
            sys.stderr.write(f"{keyword} {rest}\n")
            getattr(self, f"_{keyword.lower()}")(rest if keyword == "RUN" else self._filled(rest))
        return self.image

    def _filled(self, text: str) -> str:
        known = (self.image.args | self.image.env) if self._stage else self._globals
        return _VARIABLE.sub(lambda found: known.get(found[1], ""), text)

    def _mapped(self, text: str) -> str:
        """`text` with the image's own folders where they are here."""
        return _OURS.sub(str(self._root), text)

    def _from(self, rest: str) -> None:
        if self._stage:
            self._root.rename(self._folder / self._stage)
        self._root.mkdir()
        self._stage = rest.partition(" AS ")[2] or "final"
        self.image = Image(env={"PATH": f"{self._home}/bin:/usr/local/bin:/usr/bin:/bin"})

    def _arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        into = self.image.args if self._stage else self._globals
        into[name] = os.environ.get(name, value)

    def _env(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.image.env[name] = value

    def _workdir(self, rest: str) -> None:
        self.image.workdir = rest
        Path(self._mapped(rest)).mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        flags = dict(re.findall(r"--(\w+)=(\S+)", rest))
        *sources, target = [word for word in rest.split() if not word.startswith("--")]
        # An absolute path takes the place of the folder before it.
        place = Path(self._mapped(str(Path(self.image.workdir) / target)))
        origin = self._folder / flags["from"] if "from" in flags else self._context
        for source in sources:
            into = place / Path(source).name if target.endswith("/") else place
            copy(origin / source.lstrip("/"), into)
            if "chmod" in flags:
                into.chmod(int(flags["chmod"], 8))
            if "chown" in flags and os.getuid() == 0:
                own(into, *map(int, flags["chown"].split(":")))

    def _run(self, rest: str) -> None:
        env = {name: value for name, value in os.environ.items() if _NETWORK.fullmatch(name)}
        env |= {name: self._mapped(value) for name, value in (self.image.args | self.image.env).items()}
        env["HOME"] = str(self._home)
        # An image build brings its own certificates; here the network may be one whose only the system knows.
        env["UV_SYSTEM_CERTS"] = "true"
        subprocess.run(  # noqa: S603 - the Dockerfile's own lines
            ["/bin/sh", "-c", self._mapped(rest)], cwd=self._mapped(self.image.workdir), env=env, check=True
        )

    def _user(self, rest: str) -> None:
        self.image.user = rest

    def _entrypoint(self, rest: str) -> None:
        self.image.entrypoint = json.loads(rest)

    def _cmd(self, rest: str) -> None:
        self.image.cmd = json.loads(rest)

    def _healthcheck(self, rest: str) -> None:
        self.image.healthcheck = json.loads(rest.partition("CMD ")[2])

    def _said(self, rest: str) -> None:
        """Of no use without an engine."""

    _label = _expose = _stopsignal = _said

    def described(self) -> dict[str, Any]:
        """The finished image, with paths of this machine."""
        image = self.image
        env = {name: self._mapped(value) for name, value in image.env.items()}
        return {
            "root": str(self._root),
            "env": env,
            "user": [int(part) for part in image.user.split(":")],
            "workdir": self._mapped(image.workdir),
            "entrypoint": image.entrypoint,
            "cmd": image.cmd,
            "healthcheck": image.healthcheck,
        }


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Keyword and the rest of each instruction, lines that go on put together."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for whole in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if whole.strip():
            keyword, _, rest = whole.partition(" ")
            yield keyword.upper(), rest.strip()


def copy_context(target: Path) -> None:
    """What `docker build` would be sent: the checkout as .dockerignore lets it through."""
    rules = [line for line in (CHECKOUT / ".dockerignore").read_text().split("\n") if line and line[0] != "#"]
    for folder, names, files in os.walk(CHECKOUT):
        here = Path(folder).relative_to(CHECKOUT)
        names[:] = [name for name in names if not name.startswith(".")]  # tools' own, and large; no rule lets one in
        for name in files:
            if not ignored((here / name).as_posix(), rules):
                copy(CHECKOUT / here / name, target / here / name)


def ignored(path: str, rules: list[str]) -> bool:
    """Whether the last of `rules` that names `path`, or a folder above it, keeps it out."""
    parts = path.split("/")
    ways = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    out = False
    for rule in rules:
        pattern = re.escape(rule.lstrip("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, way) for way in ways):
            out = not rule.startswith("!")
    return out


def copy(source: Path, target: Path) -> None:
    """A file, or what is in a folder; a missing one fails as it does in an engine."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def own(top: Path, user: int, group: int) -> None:
    for path in (top, *top.rglob("*")):
        os.chown(path, user, group)


def base_python() -> Path:
    """The base image's `python`: of this version, no environment itself, and of use to any user where there is one."""
    name = f"python3.{sys.version_info.minor}"
    own_one = Path(sys.base_prefix) / "bin" / name
    found = shutil.which(name, path="/usr/local/bin:/usr/bin")
    good = [path for path in (own_one, Path(found) if found else own_one) if is_public(path) and can_make_venvs(path)]
    return good[0] if good else own_one


def is_public(path: Path) -> bool:
    """Whether any user gets to `path`."""
    return all(place.stat().st_mode & 0o001 for place in (path, *path.resolve().parents))


def can_make_venvs(python: Path) -> bool:
    """Debian leaves a part of `venv` to a package of its own."""
    asked = subprocess.run([python, "-c", "import ensurepip"], check=False, capture_output=True)  # noqa: S603 - found here
    return asked.returncode == 0


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    home = folder / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").symlink_to(base_python())
    build = Build(folder, home)
    try:
        build.run()
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    (folder / "image.json").write_text(json.dumps(build.described(), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
