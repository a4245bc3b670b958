"""The sliding window of a batch: how many groups run, and how many documents each of them may have in flight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# Documents in flight a group, about: more groups side by side leave fewer slots idle while the last of a group ends.
_A_GROUP: Final = 5


def lanes(at_once: int, groups: int) -> int:
    """How many groups run side by side when `groups` are left."""
    return max(1, min(groups, -(-at_once // _A_GROUP)))


@dataclass
class Window:
    """`at_once` documents in flight, shared out to groups, which are named by their first row."""

    at_once: int
    is_paused: bool = False
    shares: dict[int, int] = field(default_factory=dict)

    def admit(self, group: int, groups_left: int) -> int:
        """Takes in a group that starts now, and gives its share. `groups_left` counts it, and those that run."""
        free = self.at_once - sum(self.shares.values())
        lanes_left = lanes(self.at_once, groups_left) - len(self.shares)
        self.shares[group] = max(1, -(-free // max(1, lanes_left)))
        return self.shares[group]

    def has_room(self, groups_left: int) -> bool:
        """Whether another group may start, when `groups_left` have not ended yet."""
        is_full = sum(self.shares.values()) >= self.at_once
        return not self.is_paused and not is_full and len(self.shares) < lanes(self.at_once, groups_left)

    def release(self, group: int) -> None:
        """A group has ended."""
        self.shares.pop(group, None)

    def changes(self) -> Mapping[int, int]:
        """Shares everything out anew among the groups that run, the eldest first; gives those whose share changes."""
        groups = sorted(self.shares)
        limit = 0 if self.is_paused else self.at_once
        most, extra = divmod(limit, len(groups)) if groups else (0, 0)
        fair = {group: most + (place < extra) for place, group in enumerate(groups)}
        changed = {group: share for group, share in fair.items() if share != self.shares[group]}
        self.shares.update(changed)
        return changed

    @property
    def has_starved(self) -> bool:
        """Whether a group that runs has no share, although nothing is paused."""
        return not self.is_paused and 0 in self.shares.values()
