"""How the next token is chosen from logits: greedy, by temperature, top-k and nucleus, all without a sort."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textvae.errors import TextvaeError

BLOCK = 128  # weights that are summed together before a draw looks at single ones
# Draws of nucleus and top-k sampling before they take the likeliest token: at top_p 0.1 one in 1,000 gets there, at
# 0.9 none.
TRIES = 8


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Args:
        sampler: A key of ``SAMPLERS``, or ``"beam"``.
        temperature: Divides the logits; 0 is greedy.
        top_k: Candidates of top-k sampling.
        top_p: Probability mass of nucleus sampling (Holtzman et al. 2020).
        beams: Beams of beam search.
        fluency: Share that what reads well whatever z says has in each choice: logits are those under z times 1 less
            it, and those under no z times it (Ho & Salimans 2022, with weights below 1). Needs a network that was
            trained with ``latent_dropout``; not in beam search.
    """

    sampler: str = "nucleus"
    temperature: float = 0.6
    top_k: int = 20
    top_p: float = 0.9
    beams: int = 5
    fluency: float = 0.0

    def __post_init__(self) -> None:
        if self.sampler not in (*SAMPLERS, "beam"):
            raise TextvaeError(f"unknown sampler {self.sampler!r}", f"one of: {', '.join([*SAMPLERS, 'beam'])}")
        if (not self.temperature >= 0 or not 0 < self.top_p <= 1 or self.top_k < 1 or self.beams < 1
                or not 0 <= self.fluency <= 1):
            raise TextvaeError(f"sampling cannot work with temperature {self.temperature:g}, top_p {self.top_p:g}, "
                               f"top_k {self.top_k}, beams {self.beams}, fluency {self.fluency:g}")


def _draw(weights: Any, uniform: Any) -> Any:
    """Draw an index in proportion to its weight: float32 [batch, n], uniform [batch] in [0, 1) -> int32 [batch].

    First a block, then one of the block: a running sum over a whole vocabulary takes ten times as long. What has no
    weight is never drawn.
    """
    from keras import ops

    size = weights.shape[-1]
    count = -(-size // BLOCK)
    blocks = ops.reshape(ops.pad(weights, ((0, 0), (0, count * BLOCK - size))), (-1, count, BLOCK))
    sums = ops.sum(blocks, axis=-1)
    ends = ops.cumsum(sums, axis=-1)
    goal = uniform[:, None] * ends[:, -1:]
    block = _place(ends, goal)
    before = ops.take_along_axis(ends - sums, block[:, None], axis=-1)
    inside = ops.take_along_axis(blocks, block[:, None, None], axis=1)[:, 0]
    return block * BLOCK + _place(ops.cumsum(inside, axis=-1), goal - before)


def _place(ends: Any, goal: Any) -> Any:
    """The first end above a goal; where rounding leaves none, the last that something was added for."""
    from keras import ops

    first = ops.sum(ops.cast(ends <= goal, "int32"), axis=-1)
    return ops.minimum(first, ops.cast(ops.argmax(ends, axis=-1), "int32"))


def greedy(logits: Any, uniform: Any, options: Sampling) -> Any:
    """The likeliest token."""
    from keras import ops

    return ops.cast(ops.argmax(logits, axis=-1), "int32")


def temperature(logits: Any, uniform: Any, options: Sampling) -> Any:
    """Any token by its probability at this temperature."""
    from keras import ops

    return _draw(ops.softmax(logits / options.temperature), uniform[:, 0])


def top_k(logits: Any, uniform: Any, options: Sampling) -> Any:
    """One of the k likeliest tokens, by its probability; what is as likely as the last of them counts among them."""
    from keras import ops

    def inside(weights: Any, own: Any) -> Any:
        return ops.sum(ops.cast(weights > own, "int32"), axis=-1) < options.top_k

    return _drawn_inside(logits, uniform, options, inside)


def nucleus(logits: Any, uniform: Any, options: Sampling) -> Any:
    """One of the likeliest tokens that together hold ``top_p`` of the probability."""
    from keras import ops

    def inside(weights: Any, own: Any) -> Any:
        return ops.sum(ops.where(weights > own, weights, 0.0), axis=-1) < options.top_p

    return _drawn_inside(logits, uniform, options, inside)


def _drawn_inside(logits: Any, uniform: Any, options: Sampling, inside: Callable[[Any, Any], Any]) -> Any:
    """Draw one of the likeliest tokens by its probability, without sorting them.

    A token is drawn from all, and stands where it is one of them. Otherwise all below it are not either, and the next
    is drawn from those above.

    Args:
        logits, options: As every sampler's.
        uniform: float32 [batch, TRIES], a number for each draw.
        inside: Takes probabilities, [batch, vocabulary], and one of each row, [batch, 1]; says whether a token of that
            one is one of them.

    Returns:
        int32 [batch].
    """
    from keras import ops

    weights = ops.softmax(logits / options.temperature)

    def own_of(drawn: Any) -> Any:
        return ops.take_along_axis(weights, drawn[:, None], axis=-1)

    def body(tries: Any, chosen: Any, settled: Any, floor: Any) -> tuple[Any, ...]:
        drawn = _draw(ops.where(weights > floor, weights, 0.0), ops.take(uniform, tries, axis=1))
        own = own_of(drawn)
        return (tries + 1, ops.where(settled, chosen, drawn), ops.logical_or(settled, inside(weights, own)),
                ops.where(settled[:, None], floor, own))

    def more(tries: Any, chosen: Any, settled: Any, floor: Any) -> Any:
        return ops.logical_and(tries < TRIES, ops.logical_not(ops.all(settled)))

    first = _draw(weights, uniform[:, 0])
    floor = own_of(first)
    one = ops.convert_to_tensor(1, dtype="int32")
    _, chosen, settled, _ = ops.while_loop(more, body, (one, first, inside(weights, floor), floor))
    return ops.where(settled, chosen, greedy(weights, uniform, options))


SAMPLERS = {"greedy": greedy, "temperature": temperature, "top_k": top_k, "nucleus": nucleus}
