"""How large a form may be. What is larger is shown as JSON, so that whatever is rendered can be posted."""

from typing import Final

MOST_FIELDS: Final = 2000
"""Fields of a form."""

MOST_PAIRS: Final = 4 * MOST_FIELDS
"""Names and values that a browser may post for them, hidden ones included."""

MOST_ITEMS: Final = 500
"""Items of one list, and rows of one object with free names."""

MOST_DEPTH: Final = 6
"""Levels of objects and lists that become fields."""
