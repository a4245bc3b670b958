"""Prices as people write them in settings."""

import re
from decimal import Decimal

import pytest

from engross.routes import OwnPrice, parse_prices


def test_prices_are_by_model_or_by_provider() -> None:
    assert parse_prices("openai:my-model=0.10/0.40, anthropic=3/15,local:a:b/c=0/0.000001,") == {
        "openai:my-model": OwnPrice(Decimal("0.10"), Decimal("0.40")),
        "anthropic": OwnPrice(Decimal(3), Decimal(15)),
        "local:a:b/c": OwnPrice(Decimal(0), Decimal("0.000001")),
    }
    assert parse_prices("") == {}


FORMLESS = """openai  openai=  openai=1  openai=1/  openai=/1  openai=1/2/3  =1/2  openai:=1/2  mistral=1/2
openai=-1/2  openai=+1/2  openai=NaN/1  openai=1/inf  openai=1e3/1  openai=1,5/2  openai=$1/$2  openai=0.1234567/1
openai=1234567/1  openai=٣/1  openai:a b=1/2  openai=1/2 anthropic=1/2"""


@pytest.mark.parametrize("text", re.split("  |\n", FORMLESS))
def test_anything_else_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as openai:<model>=0\.10/0\.40") as caught:
        parse_prices(text)
    assert "\n" not in str(caught.value)
