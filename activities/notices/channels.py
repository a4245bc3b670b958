"""The channels that are set up, from settings as plain values."""

from activities.notices.channel import Addresses, Channel
from activities.notices.fields import Answers
from activities.notices.mail import Mail
from activities.notices.slack import Slack
from activities.notices.webhook import Webhook


def channels_of(
    *,
    notify_webhook: str | None,
    notify_slack: str | None,
    smtp_url: str | None,
    mail_from: str,
    secret: bytes,
    addresses: Addresses,
    answers: Answers,
) -> tuple[Channel, ...]:
    """None to three of them; the names are those of the settings, `secret` is the installation's.

    Raises `ConfigurationError` naming the setting that is impossible.
    """
    channels: list[Channel] = []
    if notify_webhook:
        channels.append(Webhook(notify_webhook, secret=secret))
    if notify_slack:
        channels.append(Slack(notify_slack))
    if smtp_url:
        channels.append(Mail(smtp_url, sender=mail_from, secret=secret, addresses=addresses, answers=answers))
    return tuple(channels)
