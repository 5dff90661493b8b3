"""How much of a text comes back from its posterior mean."""

import numpy as np

from textvae import metrics
from textvae.data import UNKNOWN
from textvae.evaluate.subject import Metrics, Rows, Subject, entry


def reconstruction(subject: Subject) -> tuple[Metrics, Rows]:
    """Decode the posterior means greedily and compare with the inputs, in which unknown words stand as such.

    Returns:
        Metrics, and the first rows: ``source``, ``text``, ``bleu`` and ``nats_per_token``.
    """
    from sacrebleu.metrics import BLEU

    mean = subject.posterior["mean"]
    ids = subject.writer.decode_ids(mean, seed=subject.child("greedy"), temperature=0.0, sampler="greedy",
                                    label=subject.label, unknown=True)
    texts = subject.decode(ids)
    unknown = subject.writer.tokenizer.pieces[UNKNOWN]
    # One word, which "<unk>" is not for whoever cuts off signs.
    told, sources = ([text.replace(unknown, "UNK") for text in own] for own in (texts, subject.texts))
    matches = np.stack([metrics.ngram_matches(own, source) for own, source
                        in zip(subject.words(told), subject.words(sources), strict=True)])
    exact = [np.array_equal(own, source) for own, source in zip(ids, subject.sequences, strict=True)]
    seed = subject.child("bootstrap")
    cut = "none" if subject.spaced else "13a"
    whole = BLEU(tokenize=cut).corpus_score(told, [sources]).score
    interval = metrics.estimate(matches, metrics.bleu, seed=seed)
    found = {
        "reconstruction_bleu": entry(interval._replace(value=whole), "BLEU, 0 to 100",
                                     "corpus BLEU (sacrebleu, tokenizer "
                                     f"{cut}, exponential smoothing) of greedy decode(mean) against the input, over "
                                     f"{len(texts):,} test sequences; an unknown word is a word of both"),
        "reconstruction_exact": entry(metrics.mean(np.array(exact), seed=seed), "share",
                                      "test sequences that greedy decode(mean) gives back token for token"),
    }
    shown = slice(subject.config.shown)
    nats = np.asarray(subject.writer.score(subject.sequences[shown], mean[shown], subject.label[shown]), np.float64)
    rows = [{"source": source, "text": text, "bleu": float(metrics.bleu(own, effective_order=True)),
             "nats_per_token": float(total / (len(sequence) + 1))}
            for source, text, own, sequence, total
            in zip(subject.texts, texts, matches, subject.sequences, nats, strict=False)]
    return found, rows
