"""Tables for people: no lines, no markup, nothing cut that one wants to copy."""

from rich.table import Table
from rich.text import Text

from starters.cli.output import clean, data


def show_fields(fields: dict[str, str]) -> None:
    """Prints names and values side by side, a line each."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        data(f"  {clean(name):<{width}}  {clean(value)}".rstrip())


def plain_table(*names: str) -> Table:
    """A table without lines; its first column is never cut, as people copy from it."""
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(names):
        table.add_column(name, no_wrap=place == 0, overflow="fold")
    return table


def cells(*values: str) -> list[Text]:
    """Values as table cells: text, never markup."""
    return [Text(clean(value)) for value in values]
