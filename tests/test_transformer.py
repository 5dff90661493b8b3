"""Attention says and learns what keras' layer does from the same weights."""

import keras
import numpy as np
from keras import layers, ops

from textvae.nn.transformer import Attention

BATCH, TIME, WIDTH, HEADS = 3, 6, 8, 2


def model(own: bool) -> keras.Model:
    inputs = keras.Input((None, WIDTH))
    fed = layers.Dense(WIDTH)(inputs)  # so that gradients to what comes in show as well
    if own:
        attended = Attention(HEADS, WIDTH // HEADS, dropout=0.0, seed=1, name="attention")(fed)
    else:
        attended = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name="attention")(fed, fed, use_causal_mask=True)
    made = keras.Model(inputs, attended)
    made.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    return made


def test_outputs_and_gradients_are_those_of_keras():
    rng = np.random.default_rng(1)
    given, wanted = rng.normal(size=(2, BATCH, TIME, WIDTH)).astype("f4")
    own, theirs = model(True), model(False)
    assert [weight.path.split("/")[1:] for weight in own.weights] == [
        weight.path.split("/")[1:] for weight in theirs.weights]
    start = [rng.normal(0, 0.5, weight.shape) for weight in theirs.weights]
    found = []
    for each in (own, theirs):
        each.set_weights(start)
        before = each.predict_on_batch(given)
        each.train_on_batch(given, wanted)
        found.append([before, *(after - first for after, first in zip(each.get_weights(), start, strict=True))])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    # All but the keys' bias, which softmax takes out, has learnt.
    assert sum(np.abs(step).max() < 1e-4 for step in found[1]) <= 1


def test_dropout_takes_whole_weights_out_and_no_step_sees_a_later_one():
    layer = Attention(HEADS, WIDTH // HEADS, dropout=0.5, seed=1, name="attention")
    given = np.random.default_rng(1).normal(size=(BATCH, TIME, WIDTH)).astype("f4")
    layer.build(given.shape)
    calm = np.asarray(layer(given))
    assert np.abs(np.asarray(layer(given, training=True)) - calm).max() > 1e-3
    changed = given.copy()
    changed[:, -1] += 1.0
    np.testing.assert_allclose(np.asarray(layer(changed))[:, :-1], calm[:, :-1], atol=1e-6)
    assert float(ops.max(ops.abs(layer(changed)[:, -1] - calm[:, -1]))) > 1e-3
