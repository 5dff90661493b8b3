"""Write token ids from latents in one compiled loop: by any sampler, or by beam search."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textvae.decoding.samplers import SAMPLERS, TRIES, Sampling
from textvae.decoding.streams import Random

PAD, BEGIN, END, UNKNOWN = 0, 1, 2, 3
NEVER = (PAD, BEGIN)  # tokens that are never written
ROWS = 32  # texts whose logits a CPU computes together: what it does with them stays in its cache
FIRST_PUSH, MORE_PUSH = 3.0, 1.0  # nats that a wanted token's logit is raised by in the first round, and in later ones


@dataclass(frozen=True)
class Steering:
    """Which tokens a text is led to and away from, whatever z says.

    Args:
        barred: Tokens that are never written.
        wanted: Tokens whose logits are raised until a text has them; not in beam search.
        push: By how much, in nats.
        unknown: Whether the unknown token is written as any other; else it never is, since no one can read it.
    """

    barred: tuple[int, ...] = ()
    wanted: tuple[int, ...] = ()
    push: float = FIRST_PUSH
    unknown: bool = False

    def harder(self, attempt: int) -> "Steering":
        """The same for a later round, ``attempt`` from 0 for the first."""
        return replace(self, push=self.push + MORE_PUSH * attempt)


FREE = Steering()


def _round_up(count: int) -> int:
    """A number of rows, at least ``count``, of which there are few: below ``ROWS`` or so many times it."""
    step = 8 if count <= ROWS else ROWS if count <= 256 else 128
    return -(-count // step) * step


def _kinds(count: int) -> int:
    """Rows of a table of at least ``count``, of which there are few sizes: XLA compiles a loop for each."""
    return next(size for size in (64, 256, 1024, 4096, 1 << 14, 1 << 20) if size >= count)


class Decoder:
    """Compiled generation from one network.

    Args:
        network: Has ``latent``, ``first_state(code)``, ``advance(ids, code, state) -> outputs, state`` and
            ``logits(outputs)``, as ``nn.SequenceVAE``.
        max_length: Most tokens of a text, its end not counted.
    """

    def __init__(self, network: Any, max_length: int) -> None:
        self.network = network
        self.max_length = max_length
        self._compiled: dict[tuple[Sampling, bool, bool, bool, int], Any] = {}

    def decode(self, z: np.ndarray, options: Sampling, *, rng: Random, steering: Steering = FREE,
               template: np.ndarray | None = None,
               ahead: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[list[np.ndarray], np.ndarray]:
        """Write one sequence per latent.

        Args:
            z: float32 [n, latent].
            options: How tokens are chosen.
            rng: Draws the uniform numbers of every token, so that a seed writes the same on every backend.
            steering: Tokens to write and not to write.
            template: The token at each place, int32 [n, max_length + 1], -1 where it is to be chosen; not in beam
                search.
            ahead: What is added to the logits of places that are to be chosen, from ``Pairs.ahead`` of the template.

        Returns:
            Token ids without begin and end, int32 [tokens] each; and log p(x|z) in nats per token that was chosen,
            under the untempered and unsteered model, the end or what was chosen in its place counted, float32 [n].
        """
        from textvae.device import on_gpu
        from textvae.nn.compiled import Compiled

        if not len(z):
            return [], np.zeros(0, np.float32)
        if options.temperature == 0 and options.sampler != "beam":
            options = Sampling("greedy", fluency=options.fluency)
        count = _round_up(len(z))
        # A GPU has to be asked for each further group of rows, and would rather have one.
        together = count if on_gpu() else min(count, ROWS)
        # Most texts are led to nothing, and their loop need not look for it; one loop serves every share of fluency.
        kind = (replace(options, fluency=float(options.fluency > 0)), bool(steering.wanted), template is not None,
                ahead is not None, together)
        if kind not in self._compiled:
            loop = self._beam if options.sampler == "beam" else self._sample
            self._compiled[kind] = Compiled(self.network, lambda inputs: loop(inputs, *kind), jit=True)
        if template is None:
            template = np.zeros((len(z), 0), np.int32)
        table, places = ahead or (np.zeros((1, 1), np.float32), np.zeros_like(template))
        table = np.pad(table, ((0, _kinds(len(table)) - len(table)), (0, 0)))
        uniform = rng.random((len(z), self.max_length + 1, TRIES), np.float32)
        # XLA compiles one loop for each number of rows, so it meets few; repeated rows end when their model does.
        rows = np.minimum(np.arange(count), len(z) - 1)
        ids, log_probs = self._compiled[kind].run(
            z=np.asarray(z, np.float32)[rows], uniform=uniform[rows], barred=self._barred(steering),
            wanted=np.array(steering.wanted, np.int32), push=np.full(1, steering.push, np.float32),
            fluency=np.full(1, options.fluency, np.float32), template=template[rows], table=table, places=places[rows])
        texts, means = [], []
        for row, log_prob, given in zip(np.asarray(ids), np.asarray(log_probs), template, strict=False):
            ends = np.flatnonzero(row == END)
            length = int(ends[0]) if len(ends) else self.max_length
            texts.append(row[:length].astype(np.int32))
            predicted = length + 1  # the end, or what was chosen in its place
            means.append(log_prob / max(predicted - np.count_nonzero(given[:predicted] >= 0), 1))
        return texts, np.array(means, np.float32)

    def _codes(self, z: Any, options: Sampling) -> Any:
        """What the network is told in each row of the loop: codes, and behind them all of them without their z."""
        from keras import ops

        if not options.fluency:
            return z
        latent = self.network.latent
        return ops.concatenate([z, ops.concatenate([ops.zeros_like(z[:, :latent]), z[:, latent:]], axis=1)], axis=0)

    def _logits(self, outputs: Any, rows: Any, fluency: Any) -> tuple[Any, Any]:
        """Logits under z and logits to choose by of some rows, from the outputs for all that ``_codes`` gave.

        Args:
            fluency: float32 [1]; None where no codes without z were asked for.
        """
        from keras import ops

        if fluency is None:
            logits = self.network.logits(ops.take(outputs, rows, axis=0))
            return logits, logits
        told, free = (ops.take(half, rows, axis=0) for half in ops.split(outputs, 2, axis=0))
        logits, free = ops.split(self.network.logits(ops.concatenate([told, free], axis=0)), 2, axis=0)
        return logits, (1 - fluency) * logits + fluency * free

    def _sample(self, inputs: dict[str, Any], options: Sampling, led: bool, given: bool, looks: bool, together: int
                ) -> tuple[Any, Any]:
        """Write a token of each row at every step: first all states go on, then the rows in which a token is to be
        chosen, as many ``together`` as that, have their logits computed, which are most of the work."""
        from keras import ops

        z = inputs["z"]
        codes = self._codes(z, options)
        steps = self.max_length + 1
        places = ops.arange(steps, dtype="int32")
        zeros = ops.zeros_like(z[:, 0])
        integers = ops.cast(zeros, "int32")
        barred, wanted = inputs["barred"], inputs["wanted"]
        pushed = inputs["push"] * ops.one_hot(wanted, barred.shape[0], dtype="float32")
        end = -1e9 * ops.one_hot(END, barred.shape[0], dtype="float32")

        def choose(t: Any, rows: Any, outputs: Any, ids: Any) -> tuple[Any, Any]:
            """The next token of some rows, and its log p under z."""
            logits, weighed = self._logits(outputs, rows, inputs["fluency"] if options.fluency else None)
            weighed = weighed + barred
            if led:
                own = ops.take(ids, rows, axis=0)
                missing = ops.logical_not(ops.any(own[:, :, None] == wanted[None, None, :], axis=1))
                weighed = weighed + ops.matmul(ops.cast(missing, "float32"), pushed)
            if given:  # a text whose end is given has it nowhere else
                closed = ops.take(inputs["template"][:, -1], rows) >= 0
                weighed = weighed + ops.cast(closed, "float32")[:, None] * end
            if looks:
                kinds = ops.take(ops.take(inputs["places"], t, axis=1), rows)
                weighed = weighed + ops.take(inputs["table"], kinds, axis=0)
            uniform = ops.take(ops.take(inputs["uniform"], t, axis=1), rows, axis=0)
            chosen = SAMPLERS[options.sampler](weighed, uniform, options)
            said = ops.take_along_axis(logits, chosen[:, None], axis=-1)[:, 0]
            return chosen, said - ops.logsumexp(logits, axis=-1)

        def body(t: Any, last: Any, done: Any, total: Any, ids: Any, *state: Any) -> tuple[Any, ...]:
            last = ops.concatenate([last, last], axis=0) if options.fluency else last
            outputs, state = self.network.advance(last, codes, list(state))
            own = ops.take(inputs["template"], t, axis=1) if given else integers - 1
            wait = ops.logical_and(ops.logical_not(done), own < 0)
            count = ops.sum(ops.cast(wait, "int32"))
            groups = ops.reshape(ops.argsort(ops.where(wait, 0, 1)), (-1, together))

            def group(number: Any, tokens: Any, nats: Any) -> tuple[Any, ...]:
                rows = ops.take(groups, number, axis=0)
                chosen, said = choose(t, rows, outputs, ids)
                rows = rows[:, None]
                return (number + 1, ops.scatter_update(tokens, rows, chosen), ops.scatter_update(nats, rows, said))

            first = (ops.convert_to_tensor(0, dtype="int32"), integers, zeros)
            _, chosen, nats = ops.while_loop(lambda number, *_: number * together < count, group, first)
            chosen = ops.where(done, PAD, ops.where(wait, chosen, own))
            total = total + ops.where(wait, nats, 0.0)
            ids = ops.where(places[None, :] == t, chosen[:, None], ids)
            return (t + 1, chosen, ops.logical_or(done, chosen == END), total, ids, *state)

        def more(t: Any, last: Any, done: Any, *rest: Any) -> Any:
            return ops.logical_and(t < steps, ops.logical_not(ops.all(done)))

        first = (ops.convert_to_tensor(0, dtype="int32"), integers + BEGIN, zeros > 0, zeros,
                 ops.repeat(integers[:, None], steps, axis=1), *self.network.first_state(codes))
        result = ops.while_loop(more, body, first)
        return result[4], result[3]

    def _beam(self, inputs: dict[str, Any], options: Sampling, *_: Any) -> tuple[Any, Any]:
        from keras import ops

        beams, steps = options.beams, self.max_length + 1
        z = ops.repeat(inputs["z"], beams, axis=0)
        count = ops.shape(inputs["z"])[0]
        places = ops.arange(steps, dtype="int32")
        barred = inputs["barred"]
        vocabulary = barred.shape[0]
        # A finished beam goes on with PAD alone, at no cost, so that it competes as it is.
        only_pad = ops.where(ops.arange(vocabulary) == PAD, 0.0, -1e9)
        base = ops.arange(count)[:, None] * beams

        def body(t: Any, last: Any, done: Any, scores: Any, ids: Any, *state: Any) -> tuple[Any, ...]:
            outputs, state = self.network.advance(last, z, list(state))
            logits = self.network.logits(outputs)
            gained = ops.where(done[:, None], only_pad, ops.log_softmax(logits, axis=-1) + barred)
            totals = ops.reshape(ops.reshape(scores, (-1, 1)) + gained, (count, beams * vocabulary))
            scores, flat = ops.top_k(totals, beams)
            flat = ops.cast(flat, "int32")
            source = ops.reshape(base + flat // vocabulary, (-1,))
            chosen = ops.reshape(flat % vocabulary, (-1,))
            ids = ops.where(places[None, :] == t, chosen[:, None], ops.take(ids, source, axis=0))
            done = ops.logical_or(ops.take(done, source, axis=0), chosen == END)
            return (t + 1, chosen, done, scores, ids, *(ops.take(part, source, axis=0) for part in state))

        def more(t: Any, last: Any, done: Any, *rest: Any) -> Any:
            return ops.logical_and(t < steps, ops.logical_not(ops.all(done)))

        integers = ops.cast(ops.zeros_like(z[:, 0]), "int32")
        # All beams begin alike, so all but the first start out of the race.
        start = ops.where(ops.arange(beams)[None, :] == 0, 0.0, -1e9) + ops.zeros((count, 1))
        first = (ops.convert_to_tensor(0, dtype="int32"), integers + BEGIN, integers > 0, start,
                 ops.repeat(integers[:, None], steps, axis=1), *self.network.first_state(z))
        result = ops.while_loop(more, body, first)
        scores, ids = result[3], ops.reshape(result[4], (count, beams, steps))
        lengths = ops.sum(ops.cast(ids != PAD, "float32"), axis=-1)
        best = ops.argmax(scores / ops.maximum(lengths, 1.0), axis=-1)
        picked = ops.take_along_axis(ids, ops.cast(best, "int32")[:, None, None], axis=1)[:, 0]
        return picked, ops.take_along_axis(scores, best[:, None], axis=-1)[:, 0]

    def _barred(self, steering: Steering) -> np.ndarray:
        never = np.zeros(self.network.embedding.embeddings.shape[0], np.float32)
        never[[*NEVER, *(() if steering.unknown else (UNKNOWN,)), *steering.barred]] = -1e9
        return never
