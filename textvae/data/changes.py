"""How a corpus differs from an earlier one."""

from collections.abc import Sequence
from dataclasses import dataclass

from textvae.data.corpus import Post


@dataclass(frozen=True)
class Changes:
    """What became of posts.

    Args:
        new, changed, deleted: Ids; a changed one has another text or other labels.
        same: How many have neither.
        words: How many words the new and changed ones have.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    same: int = 0
    words: int = 0

    def __str__(self) -> str:
        parts = [f"{count:,} {name}" for name, count in self.counts().items() if count and name != "words"]
        return f"posts: {', '.join(parts)}" if parts else "no post differs"

    def counts(self) -> dict[str, int]:
        """How many of each that differ."""
        return {"new": len(self.new), "changed": len(self.changed), "deleted": len(self.deleted), "words": self.words}


def differ(old: Sequence[Post], new: Sequence[Post]) -> Changes:
    """Compare two corpora post by post.

    Example:
        >>> found = differ([Post("a", "one"), Post("b", "two")], [Post("a", "one more"), Post("c", "three")])
        >>> str(found), found.words
        ('posts: 1 new, 1 changed, 1 deleted', 3)
    """
    before, now = ({post.id: post for post in posts} for posts in (old, new))
    added = tuple(name for name in now if name not in before)
    changed = tuple(name for name, post in now.items() if name in before
                    and (post.text, post.labels) != (before[name].text, before[name].labels))
    words = sum(len(now[name].text.split()) for name in (*added, *changed))
    return Changes(added, changed, tuple(name for name in before if name not in now),
                   len(now) - len(added) - len(changed), words)
