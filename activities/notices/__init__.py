"""Notices of approvals: by a signed webhook, by Slack-compatible chat and by e-mail; see `docs/notices.md`."""
