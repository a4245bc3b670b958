"""How somebody agrees to what a command is about to do: at the terminal, or by naming the content beforehand."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import typer

from engross.errors import InvalidRequest, StaleDecision
from starters.approvals_view import ApprovalView
from starters.cli.output import note

_LEAST_DIGITS: Final = 12
_HASH: Final = re.compile(rf"[0-9a-f]{{{_LEAST_DIGITS},64}}")
_WHOLE_DIGITS: Final = 64


@dataclass(frozen=True)
class Manner:
    """How a command decides. `yes` asks nobody, and needs `shown` (12 digits of the hash or more) or `latest`.

    `key` repeats an act whose answer was lost; `prints` prints the signed act instead of sending it.
    """

    yes: bool = False
    shown: str = ""
    latest: bool = False
    key: str = ""
    prints: bool = False
    as_json: bool = False

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to look and to answer."""
        return not self.yes and not self.as_json and sys.stdin.isatty() and sys.stdout.isatty()


def check_manner(manner: Manner) -> None:
    """Raises `InvalidRequest` unless it says on which content to decide."""
    if manner.shown and manner.latest:
        raise InvalidRequest("give --shown or --latest, not both")
    if manner.shown and not _HASH.fullmatch(manner.shown):
        raise InvalidRequest(
            f"--shown is the hash that `engross approvals show` prints, {_LEAST_DIGITS} digits or more"
        )
    if manner.yes and not (manner.shown or manner.latest):
        raise InvalidRequest("--yes needs --shown HASH, the content that you saw, or --latest for whatever it is now")
    if not manner.yes and not manner.can_ask:
        raise InvalidRequest("nobody can be asked here: give --yes with --shown HASH or --latest")


def agreed(view: ApprovalView, manner: Manner, question: str, show: Callable[[], None]) -> str:
    """The hash of the content that is decided on. `show` shows it, unless nobody is to be asked.

    Raises `StaleDecision` when the content is not the one that was named, and `typer.Exit` when the answer is no.
    """
    shown = _chosen(view, manner)
    if not manner.yes:
        show()
        if not typer.confirm(question, err=True):
            note("nothing was sent")
            raise typer.Exit(1)
    return shown


def _chosen(view: ApprovalView, manner: Manner) -> str:
    now = view.state.shown
    if not manner.shown or now.startswith(manner.shown):
        return now
    if manner.yes and len(manner.shown) == _WHOLE_DIGITS:
        return manner.shown  # the workflow refuses it, or knows the key of an act that has counted
    if not view.is_open:
        return now  # what became of it says more
    raise StaleDecision(f"what is shown now is {now[:_LEAST_DIGITS]}: look at it again with `engross approvals show`")
