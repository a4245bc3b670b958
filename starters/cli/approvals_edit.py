"""How somebody corrects an answer at the command line: by fields, from a file, or in an editor."""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from activities.approvals.corrections import check_value, diff
from activities.checks.answer import read_json
from engross.errors import InvalidAnswer, InvalidRequest, NotAcceptable
from starters.approvals_view import ApprovalView
from starters.cli.approvals_values import with_changes
from starters.cli.output import note
from starters.cli.texts import read_text

_EDITORS: Final = ("VISUAL", "EDITOR")
_DEFAULT_EDITOR: Final = "vi"


@dataclass(frozen=True)
class Edits:
    """What is to be corrected: fields (`path=value`), paths to remove, or a file with the whole answer."""

    changes: Sequence[str] = ()
    removed: Sequence[str] = ()
    file: Path | None = None


def corrected(view: ApprovalView, edits: Edits, *, can_ask: bool) -> Any:
    """The corrected answer, which holds by the schema as this machine knows it; the workflow has the last word.

    Raises `InvalidRequest` for edits that can't be made, `InvalidAnswer` after naming what is wrong, `NotAcceptable`
    when nothing is changed.
    """
    before = view.draft if view.answer is None else view.answer
    if edits.file is not None and (edits.changes or edits.removed):
        raise InvalidRequest("give --file, or --set and --remove: one of both")
    if edits.file is not None:
        value = _read(read_text(edits.file, "--file"), "--file")
    elif edits.changes or edits.removed:
        value = with_changes(before, view.output, changes=edits.changes, removed=edits.removed)
    elif can_ask:
        return _edited(view, before)
    else:
        raise InvalidRequest("say what is wrong: --set FIELD=VALUE, or --file with the whole answer as JSON")
    _check(view, before, value)
    return value


def _check(view: ApprovalView, before: Any, value: Any) -> None:
    if view.answer is not None and not diff(before, value):
        raise NotAcceptable("nothing is changed; approve it")
    if view.job is None or view.output is None:
        return  # the job is not on this machine, or another version of it
    _, problems = check_value(view.job, view.request.step, value)
    for each in problems:
        note(f"{each.field or 'the answer'}: {each.message}")
    if problems:
        raise InvalidAnswer(f"{len(problems)} of its fields can't be so: see above")


# --- the editor ---------------------------------------------------------------------------------------------------


def _edited(view: ApprovalView, before: Any) -> Any:
    text = before if isinstance(before, str) else json.dumps(before, indent=2, ensure_ascii=False) + "\n"
    with tempfile.TemporaryDirectory(prefix="engross-") as folder:
        # Only its owner can look into a folder that tempfile makes.
        file = Path(folder, "answer.json")
        file.write_text(text, encoding="utf-8", errors="replace")
        while True:
            _open_editor(file)
            try:
                value = _read(read_text(file, "your text"), "your text")
                _check(view, before, value)
            except (InvalidAnswer, InvalidRequest) as error:
                note(f"engross: {error}")
                if not typer.confirm("Edit it again?", default=True, err=True):
                    raise
            else:
                return value


def _open_editor(file: Path) -> None:
    command = shlex.split(next((os.environ[name] for name in _EDITORS if os.environ.get(name)), _DEFAULT_EDITOR))
    try:
        subprocess.run([*command, str(file)], check=True)  # noqa: S603 - the user's own editor
    except (OSError, subprocess.CalledProcessError):
        raise InvalidRequest(f"{command[0]} did not work: set EDITOR, or give --set or --file") from None


def _read(text: str, option: str) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise InvalidRequest(f"{option}: no JSON: {error}") from None
