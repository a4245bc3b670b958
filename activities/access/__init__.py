"""Who may sign in, how they prove it, and what they may do: people, roles, groups, passwords, API keys, sessions."""

from activities.access.keys import KeyInfo
from activities.access.sessions import Session
from activities.access.store import AccessStore

__all__ = ["AccessStore", "KeyInfo", "Session"]
