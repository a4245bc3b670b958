"""In whose name a command acts where no key says who it is."""

import getpass
import os

import pytest

from starters.identity import local_user, login_name


def test_a_user_of_the_machine_without_a_name_has_a_number_and_is_no_person(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert login_name() == f"user {os.getuid()}"
    assert local_user() == ""


@pytest.mark.parametrize(("login", "person"), [("Ann", "ann"), ("ann.b", "ann.b"), ("a n n", ""), ("", "")])
def test_a_login_name_is_a_persons_where_it_can_be_one(
    login: str, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: login)
    assert local_user() == person
