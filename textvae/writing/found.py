"""Texts that were written, and what was written beside them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Variation:
    """A written text.

    Args:
        source: The text that it varies; empty for a sample.
        text: What was written.
        distance: L2 distance between the posterior means of text and source; 0 for a sample.
        log_prob: Nats per token under the model, without temperature; nearer to 0 is more fluent.
        constraints: Squared L2 distance to the centre of each trained constraint, by name, and to each text that it
            had to be near to or far from, as ``near 'text'``.
        seed: The seed that writes it again.
        run: The run that wrote it.
    """

    source: str
    text: str
    distance: float
    log_prob: float
    constraints: dict[str, float]
    seed: int
    run: str


class Found(list[Variation]):
    """Texts that meet all that was asked for, the best first, and what was written beside them.

    Attributes:
        written: How many texts were written for these.
        failed: Condition -> how many of them did not meet it.
    """

    def __init__(self, texts: Iterable[Variation] = (), written: int = 0, failed: Mapping[str, int] | None = None
                 ) -> None:
        super().__init__(texts)
        self.written, self.failed = written, dict(failed or {})

    def reason(self) -> str:
        """Why no more came.

        Example:
            >>> Found(written=40, failed={"an end": 3, "must 'cold'": 30}).reason()
            "of 40 texts that were written, 30 fail must 'cold', 3 fail an end"
        """
        failed = sorted(self.failed.items(), key=lambda item: -item[1])
        return ", ".join([f"of {self.written} texts that were written",
                          *(f"{times} fail {condition}" for condition, times in failed)])
