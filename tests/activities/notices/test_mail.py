"""E-mail over a real mail server: one message for each, nothing to inject, encrypted wherever a password is sent."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from activities.notices.mail import Mail, Server, server_of
from activities.notices.told import Told
from engross.contracts import EventKind
from engross.errors import ConfigurationError, NoticeFailed, NoticeRefused, ServiceUnavailable
from tests.activities.notices.makers import ANSWER, CANARY, CONSOLE, SECRET, Answers, People, empty_record, told
from tests.activities.notices.receivers import MailBox, certificate, mail_server


def mail(box: MailBox, people: Sequence[str] = ("ann@example.com",), *, url: str = "", **options: Any) -> Mail:
    return Mail(
        (url or "smtp://127.0.0.1:{port}").format(port=box.port),
        sender=options.pop("sender", "Engross <engross@example.com>"),
        secret=SECRET,
        addresses=options.pop("addresses", People(people)),
        answers=options.pop("answers", Answers()),
        **options,
    )


def parts(message: EmailMessage) -> tuple[str, str]:
    """The plain text and the HTML."""
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


async def sent(notice: Told, people: Sequence[str] = ("ann@example.com",), **options: Any) -> list[EmailMessage]:
    async with mail_server(MailBox()) as box:
        await mail(box, people, **options).send(notice, empty_record())
    return [message for _, message in box.mails]


async def test_everybody_gets_a_message_of_their_own() -> None:
    people = People(("ann@example.com", "bob@example.com", "ann@example.com"))
    async with mail_server(MailBox()) as box:
        await mail(box, addresses=people).send(told(), empty_record())
    assert people.asked == [("acme", ("approvers",))]
    assert [to for to, _ in box.mails] == [["ann@example.com"], ["bob@example.com"]]
    for (to,), message in box.mails:
        assert message["To"] == to
        assert message["Cc"] is None
        assert message["Bcc"] is None
    ann, bob = (message.as_string() for _, message in box.mails)
    assert "bob" not in ann
    assert "ann@" not in bob


async def test_it_says_what_machines_need() -> None:
    message = (await sent(told()))[0]
    again = (await sent(told()))[0]
    other = (await sent(told(EventKind.REMINDED)))[0]
    assert message["From"] == "Engross <engross@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Engross-Notice-Id"] == told().id
    assert message["Message-ID"].endswith("@example.com>")
    assert message["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert abs((datetime.now(UTC) - message["Date"].datetime).total_seconds()) < 300
    assert message.get_content_type() == "multipart/alternative"


async def test_it_says_what_people_need_and_nothing_else() -> None:
    answers = Answers(f'{{"total": "{CANARY}"}}'.encode())
    message = (await sent(told(), answers=answers))[0]
    assert message["Subject"] == "[Engross] Decision wanted: invoice (high risk)"
    for text in parts(message):
        assert f"{CONSOLE}/approvals/invoice-acme-1-approval" in text
        assert CANARY not in text
    assert CANARY not in str(message.items())
    assert answers.asked == []


async def test_with_leave_it_holds_the_name_and_a_few_values() -> None:
    answers = Answers('{"total": 12.50, "supplier": "Müller & Söhne <GmbH>"}'.encode())
    message = (await sent(told(tells_values=True), answers=answers))[0]
    plain, html = parts(message)
    assert answers.asked == [ANSWER]
    assert f"Document: {CANARY}.pdf" in plain
    assert "supplier: Müller & Söhne <GmbH>" in plain
    assert "Müller &amp; Söhne &lt;GmbH&gt;" in html
    assert "12.50" in plain


async def test_hostile_texts_add_no_header() -> None:
    hostile = "x\r\nBcc: eve@example.com\r\n\r\n<b>body"
    notice = told(tells_values=True, request={"job": hostile, "tenant": hostile, "document_name": hostile})
    for made in (notice, replace(notice, job="y" * 10_000), replace(notice, job="ü" * 500)):
        async with mail_server(MailBox()) as box:
            await mail(box).send(made, empty_record())
        (to, message), *more = box.mails
        assert (to, more) == (["ann@example.com"], [])
        assert message["Bcc"] is None
        assert len(message.get_all("Subject", [])) == 1
        assert message.is_multipart()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@",
        "a@",
        "a@[",
        "a b@example.com",
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com, eve@example.com",
        "<ann@example.com>",
        "ann@example.com> SIZE=1",
        "\ud800@example.com",
        "a..b@example.com",
    ],
)
async def test_one_bad_address_keeps_nobody_else(address: str) -> None:
    record = empty_record()
    async with mail_server(MailBox()) as box:
        await mail(box, [address, "bob@example.com"]).send(told(), record)
    assert [to for to, _ in box.mails][-1] == ["bob@example.com"]
    assert all("eve" not in str(message.items()) for _, message in box.mails)
    assert len(box.mails) == 2 or "engross users list" in record.refusals[0]
    assert "ann" not in str(record.refusals)


async def test_who_is_put_off_is_tried_again_alone() -> None:
    record = empty_record()
    async with mail_server(MailBox(codes={"ann@example.com": 450, "bob@example.com": 550})) as box:
        channel = mail(box, ["ann@example.com", "bob@example.com", "cat@example.com"])
        with pytest.raises(NoticeFailed, match="put off 1 of 3") as caught:
            await channel.send(told(), record)
        assert "example.com" not in str(caught.value)
        box.codes.clear()
        await channel.send(told(), record)
    assert [to for to, _ in box.mails] == [["cat@example.com"], ["ann@example.com"]]
    assert ["answered 550" in refusal for refusal in record.refusals] == [True]


async def test_who_has_it_is_not_written_to_again() -> None:
    kept: list[dict[str, str]] = []
    record = empty_record()
    record._keep = kept.append
    async with mail_server(MailBox()) as box:
        await mail(box).send(told(), record)
        await mail(box).send(told(), record)
        answers = Answers(ServiceUnavailable("down"))  # nor is anything read for nobody
        await mail(box, answers=answers).send(told(tells_values=True), record)
    assert len(box.mails) == 1
    assert "ann" not in str(kept)  # what is kept goes to Temporal


async def test_nobody_asked_needs_no_server() -> None:
    await mail(MailBox(port=1), []).send(told(), empty_record())


async def test_no_server_may_pass() -> None:
    async with mail_server(MailBox()) as box:
        pass
    with pytest.raises(NoticeFailed, match="cannot be reached"):
        await mail(box).send(told(), empty_record())


async def test_a_server_that_hangs_is_given_up() -> None:
    hanging = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hanging.wait()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    box = MailBox(port=server.sockets[0].getsockname()[1])
    with pytest.raises(NoticeFailed, match="cannot be reached"):
        await mail(box, seconds=0.2).send(told(), empty_record())
    hanging.set()
    server.close()


async def test_starttls_is_used_where_it_is_offered(tmp_path: Path) -> None:
    served, trusting = certificate(tmp_path)
    async with mail_server(MailBox(), starttls=served) as box:
        await mail(box, tls=trusting).send(told(), empty_record())
    assert box.encrypted == [True]


async def test_an_unknown_certificate_is_not_trusted(tmp_path: Path) -> None:
    served, _ = certificate(tmp_path)
    async with mail_server(MailBox(), starttls=served) as box:
        with pytest.raises(NoticeFailed, match="certificate is not trusted"):
            await mail(box).send(told(), empty_record())
    async with mail_server(MailBox(), tls=served) as box:
        with pytest.raises(NoticeFailed, match="certificate is not trusted"):
            await mail(box, url="smtps://127.0.0.1:{port}").send(told(), empty_record())
    assert box.mails == []


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_password_is_sent_encrypted(tmp_path: Path, scheme: str) -> None:
    served, trusting = certificate(tmp_path)
    ways: dict[str, Any] = {"smtp": {"starttls": served}, "smtps": {"tls": served}}
    async with mail_server(MailBox(), has_users=True, **ways[scheme]) as box:
        await mail(box, url=f"{scheme}://us%40er:right@127.0.0.1:{{port}}", tls=trusting).send(told(), empty_record())
    assert box.logins == [("us@er", "right", True)]
    assert box.encrypted == [True]


async def test_a_password_is_never_sent_in_the_clear() -> None:
    async with mail_server(MailBox(), has_users=True) as box:
        with pytest.raises(NoticeRefused, match="offers no STARTTLS"):
            await mail(box, url="smtp://user:right@127.0.0.1:{port}").send(told(), empty_record())
    assert (box.logins, box.mails) == ([], [])


async def test_a_wrong_password_is_named_without_it(tmp_path: Path) -> None:
    served, trusting = certificate(tmp_path)
    async with mail_server(MailBox(), starttls=served, has_users=True) as box:
        with pytest.raises(NoticeRefused, match="answered 535; check ENGROSS_SMTP_URL") as caught:
            await mail(box, url="smtp://user:wrong@127.0.0.1:{port}", tls=trusting).send(told(), empty_record())
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", Server("mail.example.com", 25, False, "", "")),
        ("smtp://u:p@mail.example.com", Server("mail.example.com", 587, False, "u", "p")),
        ("smtps://u:p%3A%40@mail.example.com", Server("mail.example.com", 465, True, "u", "p:@")),
        ("smtp://[::1]:2525", Server("::1", 2525, False, "", "")),
    ],
)
def test_addresses_of_servers(url: str, server: Server) -> None:
    assert server_of(url) == server


@pytest.mark.parametrize("url", ["smtp://", "http://u:secret@h", "smtp://u:secret@h:port", "smtp://u:secret@[", "x"])
def test_an_impossible_server_is_named_by_its_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ENGROSS_SMTP_URL") as caught:
        server_of(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("sender", ["", "engross", "a@b\r\nBcc: x@y", "Engross <>", "a@b, c@d"])
def test_an_impossible_sender_is_named_by_its_setting(sender: str) -> None:
    with pytest.raises(ConfigurationError, match="ENGROSS_MAIL_FROM"):
        mail(MailBox(port=1), sender=sender)


def test_trust_is_that_of_the_machine() -> None:
    assert mail(MailBox(port=1))._tls.verify_mode is ssl.CERT_REQUIRED
