"""A training that goes on: weights move with their tokens, new tokens lie where their vectors say, posts come again."""

import numpy as np
import pytest

from textvae.config import ConstraintConfig, SequenceVAEConfig
from textvae.data import CompressedVectors, Start, Tokens, TrainedNetwork
from textvae.stages import warm
from textvae.stages.warm import BIAS, EMBEDDINGS
from textvae.text import tokenizer

OLD = ["the cat sat on a mat", "a dog ran home to the cat"]
NEW = ["a zebra ran home to the yak", "the zebra ran", "the cat sat on a mat"]


def tokens_of(texts: list[str], posts: int = 1, level: str = "word") -> Tokens:
    words = tokenizer.train(texts, level=level, vocabulary=300)
    own = words.encode_many(texts * posts)
    return Tokens(np.concatenate(own).astype(np.int32), np.cumsum([0, *map(len, own)]).astype(np.int64),
                  np.repeat(np.arange(posts), len(texts)).astype(np.int32), np.zeros(len(own), np.int32),
                  np.zeros(len(own), np.uint8), tuple(f"post-{i}" for i in range(posts)), ((),) * posts,
                  words.to_json())


def network_of(tokens: Tokens, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {EMBEDDINGS: rng.normal(size=(tokens.vocabulary_size, 3)).astype("f4"),
            BIAS: rng.normal(size=tokens.vocabulary_size).astype("f4"), "sequence_vae/start/kernel": rng.random((2, 2))}


@pytest.fixture
def start() -> Start:
    old = tokens_of(OLD)
    return Start(TrainedNetwork("sequence_vae", {}, network_of(old, 1)), old, epochs=3)


def test_rows_move_with_their_tokens(start: Start):
    new = tokens_of(NEW)
    first = network_of(new, 2)
    found = warm.weights(start, new, None, first)
    before, after = (list(tokenizer.load(own.tokenizer).pieces) for own in (start.tokens, new))
    assert before.index("cat") != after.index("cat"), "or nothing would have to move"
    for piece in set(before) & set(after):
        for path in (EMBEDDINGS, BIAS):
            np.testing.assert_array_equal(found[path][after.index(piece)],
                                          start.network.weights[path][before.index(piece)])
    np.testing.assert_array_equal(found[EMBEDDINGS][after.index("zebra")], first[EMBEDDINGS][after.index("zebra")])
    assert found["sequence_vae/start/kernel"] is start.network.weights["sequence_vae/start/kernel"]
    shared = [start.network.weights[BIAS][before.index(piece)] for piece in set(before) & set(after)]
    assert found[BIAS][after.index("yak")] == pytest.approx(np.median(shared))


def test_a_new_token_lies_where_its_vector_says(start: Start):
    new = tokens_of(NEW)
    before, after = (list(tokenizer.load(own.tokenizer).pieces) for own in (start.tokens, new))
    # Trained embeddings are a linear image of the compressed vectors, so that the map can be found exactly.
    vectors = np.random.default_rng(3).normal(size=(len(after), 2)).astype("f4")
    image = vectors @ np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]], "f4") + np.array([4.0, 5.0, 6.0], "f4")
    for piece in set(before) & set(after):
        start.network.weights[EMBEDDINGS][before.index(piece)] = image[after.index(piece)]
    vectors[after.index("yak")] = 0  # never met by Word2Vec
    first = network_of(new, 2)
    found = warm.weights(start, new, CompressedVectors(vectors, TrainedNetwork("embedding_vae", {}, {})), first)
    np.testing.assert_allclose(found[EMBEDDINGS][after.index("zebra")], image[after.index("zebra")], rtol=1e-4)
    np.testing.assert_array_equal(found[EMBEDDINGS][after.index("yak")], first[EMBEDDINGS][after.index("yak")])


def test_special_tokens_keep_their_rows_where_words_are_spelt_like_them():
    old, new = (tokens_of(texts, level="whitespace") for texts in (["<s> the cat </s>"], ["the yak </s>"]))
    first, begun = network_of(new, 2), network_of(old, 1)
    found = warm.weights(Start(TrainedNetwork("sequence_vae", {}, begun), old, epochs=3), new, None, first)
    for path in (EMBEDDINGS, BIAS):
        np.testing.assert_array_equal(found[path][:4], begun[path][:4])
        word = [tokenizer.load(own.tokenizer).encode("</s>")[0] for own in (old, new)]
        np.testing.assert_array_equal(found[path][word[1]], begun[path][word[0]])


def test_a_training_that_goes_on_has_no_warm_up(start: Start):
    found = warm.settings(SequenceVAEConfig(pretrain_epochs=2, warmup_epochs=5, epochs=20, anneal="cyclical"), start)
    assert (found.epochs, found.pretrain_epochs, found.warmup_epochs, found.anneal) == (3, 0, 0, "constant")
    assert warm.settings(SequenceVAEConfig(anneal="none"), start).anneal == "none"


def test_a_training_that_goes_on_has_its_constraints_at_full_weight_from_the_first_epoch(start: Start):
    late = ConstraintConfig(name="cats", keyword="cat", start=12, rise=3)
    (own,) = warm.settings(SequenceVAEConfig(constraints=(late,)), start).constraints
    assert own == ConstraintConfig(name="cats", keyword="cat", start=0, rise=0)


def test_a_replay_reads_all_new_posts_and_a_share_of_the_old(start: Start):
    tokens = tokens_of(OLD, posts=10)
    rows, rng = np.arange(20), np.random.default_rng(1)
    some = Start(start.network, start.tokens, 3, replay=0.25, fresh=("post-7", "post-9", "gone"))
    found = warm.replayed(rows, tokens, some, rng)
    assert {14, 15, 18, 19} <= set(found) and len(found) == 4 + 4 and (np.diff(found) > 0).all()
    assert set(warm.replayed(rows, tokens, some, rng)) != set(found), "another share each time"
    assert warm.replayed(rows, tokens, start, rng) is rows and warm.replayed(rows, tokens, None, rng) is rows
    none = Start(start.network, start.tokens, 3, replay=0.0, fresh=("post-7",))
    assert warm.replayed(rows, tokens, none, rng).tolist() == [14, 15]


@pytest.mark.parametrize("replay", [0.0, 0.01])
def test_where_a_replay_would_read_nothing_it_reads_all(start: Start, replay: float):
    rows = np.arange(14)  # the new post is held out, or posts were only taken away
    nothing = Start(start.network, start.tokens, 3, replay=replay, fresh=("post-7",))
    assert warm.replayed(rows, tokens_of(OLD, posts=10), nothing, np.random.default_rng(1)) is rows
