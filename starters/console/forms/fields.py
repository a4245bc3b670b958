"""What a form is made of: a tree of fields, ready to be rendered."""

from dataclasses import dataclass

from starters.console.forms.names import HERE, JSON, KEY, MORE, NONE, WAS


@dataclass(frozen=True)
class Choice:
    """One option: what is posted, and what people read."""

    code: str
    label: str


@dataclass(frozen=True)
class Complaint:
    """One line of the summary of errors: whose it is, and the id of the field; both empty for the whole form."""

    label: str
    message: str
    target: str


@dataclass(frozen=True)
class Field:
    """One place of an answer.

    `widget`: text, area, number, check, choice, radios, date, datetime-local, time, json, group, list or pairs.
    `name` is what is posted, and the id. `evidence` is the dotted path by which the document marks this value; empty
    for what was added. `help` is one sentence, `more` what follows it. `text` is shown; `initial` is what the model
    proposed, None when there is nothing to compare with. `was` goes along where the text alone can't say the value.
    `children` are the fields of a group, items of a list and values of pairs; `keys` the names of the latter. `blank`
    is a new item or the content of a group that isn't there, `blank_key` the name of a new row. `extra` has the values
    that the schema doesn't know.
    """

    widget: str
    name: str
    label: str
    evidence: str = ""
    help: str = ""
    more: str = ""
    text: str = ""
    initial: str | None = None
    was: str | None = None
    options: tuple[Choice, ...] = ()
    errors: tuple[str, ...] = ()
    required: bool = False
    nullable: bool = False
    wide: bool = False
    rows: int = 1
    whole: bool = False
    """Whether only whole numbers are wanted."""
    origin: str | None = None
    """Of an item: its number among those that the model proposed; "" when it was added, None when nothing is known."""
    proposed: int = 0
    """How many items the model proposed."""
    is_here: bool = True
    """Whether a group is there at all, and a list more than null."""
    children: tuple["Field", ...] = ()
    keys: tuple["Field", ...] = ()
    blank: "Field | None" = None
    blank_key: "Field | None" = None
    extra: "Field | None" = None
    slot: str = ""
    """What stands for the number of an item in the names of `blank`."""

    @property
    def was_name(self) -> str:
        return f"{self.name}:{WAS}"

    @property
    def here_name(self) -> str:
        return f"{self.name}:{HERE}"

    @property
    def none_name(self) -> str:
        return f"{self.name}:{NONE}"

    @property
    def json_name(self) -> str:
        return f"{self.name}:{JSON}"

    @property
    def help_id(self) -> str:
        return f"{self.name}:help"

    @property
    def error_id(self) -> str:
        return f"{self.name}:error"

    @property
    def described_by(self) -> str:
        """The ids of what explains the field."""
        told = [self.error_id] if self.errors else []
        return " ".join([*told, self.help_id] if self.help else told)


def key_name(name: str) -> str:
    """The name of the field that has the name of a row."""
    return f"{name}:{KEY}"


def extra_name(name: str) -> str:
    """The name of the field with what the schema doesn't know."""
    return f"{name}:{MORE}"
