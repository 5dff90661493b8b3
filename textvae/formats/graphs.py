"""The sequence VAE as two keras models of plain layers, which load where there is no textvae.

Both are without chance: what draws from a posterior is left out, and so are dropout and the losses.
"""

import math
from typing import Any

from textvae.data import PAD


def encoder(network: Any) -> Any:
    """What reads texts.

    Args:
        network: A ``textvae.nn.SequenceVAE``, in float32.

    Returns:
        A keras model: ``ids`` int32 [batch, length], 0 pads at the end, and where the network has labels ``label``
        int32 [batch], 0 for none -> ``mean`` float32 [batch, latent], the posterior means.
    """
    import keras
    from keras import layers, ops

    ids = keras.Input((None,), dtype="int32", name="ids")
    real = ops.not_equal(ids, PAD)
    outputs = _through(layers.Embedding, network.embedding, ids)
    stack = _convolutions if network.settings["encoder"] == "conv" else _recurrent
    summary = layers.GlobalAveragePooling1D(name="summary")(stack(network, outputs, real), mask=real)
    inputs, known = _labelled(network, {"ids": ids}, summary)
    return keras.Model(inputs, {"mean": _mean(network.family, known, network.settings)}, name="encoder")


def decoder(network: Any) -> Any:
    """What writes texts: the logits of the token after each of those that are given.

    Args:
        network: As ``encoder``'s.

    Returns:
        A keras model: ``z`` float32 [batch, latent], ``tokens`` int32 [batch, length], of which the first is the begin
        (1), and where the network has labels ``label`` int32 [batch] -> ``logits`` float32 [batch, length, vocabulary].
    """
    import keras
    from keras import layers, ops

    z = keras.Input((network.latent,), dtype="float32", name="z")
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    inputs, code = _labelled(network, {"z": z, "tokens": tokens}, z)
    embedded = _through(layers.Embedding, network.embedding, tokens)
    repeated = ops.expand_dims(code, 1) + ops.zeros_like(embedded[:, :, :1])  # the code at every step
    state = list(ops.split(_through(layers.Dense, network.start, code), network.states, axis=-1))
    outputs = _through(CELLS[network.settings["decoder"]], network.decoder, ops.concatenate([embedded, repeated], -1),
                       changes=PORTABLE, initial_state=state)
    if network.norm is not None:
        outputs = _through(layers.LayerNormalization, network.norm, outputs)
    if network.skip:
        outputs = ops.concatenate([outputs, repeated], -1)
    softmax = layers.Dense(network.embedding.input_dim, name="logits")
    logits = softmax(_through(layers.Dense, network.narrow, outputs))
    softmax.set_weights([network.embedding.get_weights()[0].T, keras.ops.convert_to_numpy(network.token_bias)])
    return keras.Model(inputs, {"logits": logits}, name="decoder")


CELLS = {"lstm": "LSTM", "gru": "GRU"}  # keras' names of what the decoder and the encoder are made of
PORTABLE = {"use_cudnn": False}  # so that the graph also runs where there is no GPU


def _through(kind: Any, source: Any, inputs: Any, *, changes: dict[str, Any] | None = None, **named: Any) -> Any:
    """What a plain layer with another one's settings and weights makes of inputs."""
    from keras import layers

    kind = getattr(layers, kind) if isinstance(kind, str) else kind
    layer = kind.from_config({**source.get_config(), **(changes or {})})
    outputs = layer(inputs, **named)
    layer.set_weights(source.get_weights())
    return outputs


def _recurrent(network: Any, outputs: Any, real: Any) -> Any:
    """The encoder's recurrent layers: [batch, time, width]; what stands at padding means nothing."""
    from keras import layers, ops

    own, kind = network.encoder, CELLS[network.settings["encoder"]]
    for i, layer in enumerate(own.onward):
        inputs, outputs = outputs, _through(kind, layer, outputs, changes=PORTABLE)
        if own.backward:
            # Turned round as a whole, padding comes first; masked, it leaves the state as it is.
            turned = _through(kind, own.backward[i], inputs, changes={**PORTABLE, "go_backwards": True}, mask=real)
            outputs = ops.concatenate([outputs, ops.flip(turned, axis=1)], -1)
        if own.norms:
            outputs = _through(layers.LayerNormalization, own.norms[i], outputs)
    return outputs


def _convolutions(network: Any, outputs: Any, real: Any) -> Any:
    """The encoder's convolutions: [batch, time, hidden]."""
    from keras import layers, ops

    own = network.encoder
    outputs = _through(layers.Dense, own.widen, outputs)
    kept = ops.expand_dims(ops.cast(real, "float32"), -1)
    for i, layer in enumerate(own.convolutions):
        inputs = _through(layers.LayerNormalization, own.norms[i], outputs) if own.norms else outputs
        summed = _through(layers.Conv1D, layer, inputs * kept, changes={"activation": "linear"})
        # GELU written out: keras computes it with erfc, which ONNX lacks.
        outputs = outputs + 0.5 * summed * (1.0 + ops.erf(summed / math.sqrt(2.0)))
    return outputs


def _labelled(network: Any, inputs: dict[str, Any], own: Any) -> tuple[dict[str, Any], Any]:
    """The inputs, and [batch, width] with the label's numbers behind it where the network has labels."""
    import keras
    from keras import layers, ops

    if not network.labels:
        return inputs, own
    label = keras.Input((), dtype="int32", name="label")
    table = keras.ops.convert_to_numpy(network.label_table)
    numbers = layers.Embedding(*table.shape, name="label_table")
    told = numbers(label)
    numbers.set_weights([table])
    return {**inputs, "label": label}, ops.concatenate([own, told], -1)


def _mean(family: Any, summary: Any, settings: dict[str, Any]) -> Any:
    """The posterior's mean as each family has it, see ``textvae.nn.posteriors``: float32 [batch, latent]."""
    from keras import layers

    if settings["posterior"] == "categorical":
        apart = layers.Reshape((family.groups, family.categories))(_through(layers.Dense, family.logits, summary))
        return layers.Reshape((family.width,))(layers.Softmax(name="mean")(apart))
    mean = _through(layers.Dense, family.mean, summary)
    if settings["posterior"] == "vmf":
        return layers.UnitNormalization(name="direction")(mean)
    if family.norm is None:
        return mean
    return layers.Rescaling(family.mean_gamma)(_through(layers.BatchNormalization, family.norm, mean))
