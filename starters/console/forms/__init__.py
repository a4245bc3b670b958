"""Forms made from a schema: an answer as fields that people can read and change, and back to exactly that answer.

`build_form` makes the tree of fields that `templates/forms.html` renders, `parse_form` reads what a browser posts, and
`check` says what the schema has against a value. Values are parsed JSON as `exact` reads it: numbers that aren't whole
are Decimals.
"""

from starters.console.forms.build import Form, build_form
from starters.console.forms.checking import check
from starters.console.forms.exact import dumps, loads
from starters.console.forms.fields import Choice, Complaint, Field
from starters.console.forms.limits import MOST_FIELDS, MOST_ITEMS, MOST_PAIRS
from starters.console.forms.reading import Parsed, parse_form

__all__ = [
    "MOST_FIELDS",
    "MOST_ITEMS",
    "MOST_PAIRS",
    "Choice",
    "Complaint",
    "Field",
    "Form",
    "Parsed",
    "build_form",
    "check",
    "dumps",
    "loads",
    "parse_form",
]
