"""Every network trains with products in bfloat16, and hands out float32 all the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import networks
import pytest

# Settings of the case's network that differ from those of networks.SETTINGS.
CASES = {**{kind: {} for kind in networks.SETTINGS},
         "sequence_vae, sampled softmax": {"mean_gamma": 0.6, "prior": "mixture"},
         "sequence_vae, convolutions": {"encoder": "conv", "encoder_layers": 1, "posterior": "categorical"}}
# Loss of a batch before training, every output's type, then the loss of a training step; a line of JSON for each case.
SCRIPT = """
import json, sys
import keras, numpy as np
keras.config.set_dtype_policy(sys.argv[1])
import networks
from textvae.nn import NETWORKS, sampled_softmax
from textvae.nn.weights import restore

for case, more in json.loads(sys.argv[2]).items():
    kind = case.partition(",")[0]
    if more:
        network = NETWORKS[kind](**{**networks.SETTINGS[kind], **more}, seed=1)
    else:
        one = networks.trained(kind)
        network = restore(kind, one.settings, {path: 0.2 * array for path, array in one.weights.items()})
    network.compile(optimizer="adam", jit_compile=network.xla(False))
    network.optimizer.build(network.trainable_variables)  # as nn.training does: TensorFlow would trace the step twice
    batch = networks.batch(kind, np.random.default_rng(3), size=32)
    if "sampled" in case:
        chances = sampled_softmax.inclusion(np.bincount(batch["target"].ravel(), minlength=11), 5)
        batch |= sampled_softmax.arrays(batch, chances, np.random.default_rng(4), 2)
        batch["told"] = (np.arange(32) % 4 > 0).astype(np.float32)  # and without z for some
    before = network.test_on_batch(batch, return_dict=True)["loss"]
    terms = network(batch, training=True)
    found = {name: keras.ops.convert_to_numpy(term) for name, term in terms.items()}
    found |= {} if more else networks.outputs(network)
    after = network.train_on_batch(batch, return_dict=True)
    print(json.dumps({"case": case, "before": float(before), "after": {k: float(v) for k, v in after.items()},
                      "dtypes": {name: str(array.dtype) for name, array in found.items()},
                      "computes": network.compute_dtype, "stores": network.variable_dtype}))
"""


def measured(policy, backend="tensorflow"):
    """What ``SCRIPT`` tells of every case, where keras' backend computes by itself."""
    # oneDNN has other code for bfloat16 on every processor, and its training of small networks crashed one run in some
    # dozens; what is tested here are our networks, so TensorFlow's own products do. A crash says where it was.
    environ = {**os.environ, "KERAS_BACKEND": backend, "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONFAULTHANDLER": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT, policy, json.dumps(CASES)], cwd=Path(__file__).parent,
                          capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["case"]: line for line in lines}


@pytest.fixture(scope="module")
def found():
    return {policy: measured(policy) for policy in ("float32", "mixed_bfloat16")}


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_trains_from_about_the_same_loss_and_gives_float32(found, case):
    exact, mixed = found["float32"][case], found["mixed_bfloat16"][case]
    assert (mixed["computes"], mixed["stores"]) == ("bfloat16", "float32")
    assert all(abs(value) < 1e6 for value in mixed["after"].values())
    assert set(mixed["dtypes"].values()) == {"float32"}, mixed["dtypes"]
    # Equal to the last digit, it would have been computed in float32.
    assert mixed["before"] != exact["before"]
    assert mixed["before"] == pytest.approx(exact["before"], rel=0.02)
