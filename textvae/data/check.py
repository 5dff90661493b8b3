"""One condition of a promotion, and whether it holds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """What was compared.

    Args:
        name: Such as ``"iw_nll"``, ``"active_units"`` or ``"strange_posts"``.
        passed: Whether the new run, or the new posts, meet it.
        before, after: Of the promoted run and of the new one; None where nothing could be measured.
        says: The condition and both numbers in words.
    """

    name: str
    passed: bool
    before: float | None
    after: float | None
    says: str
