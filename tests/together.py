"""One of several processes, or of several devices, that train tiny networks together, for test_distribution.

Usage: python tests/together.py FOLDER WHAT [HOST:PORT,HOST:PORT INDEX]
"""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from textvae import distribution
from textvae.device import Device
from textvae.errors import TextvaeError
from textvae.progress import Progress
from textvae.workers import named

CPU = Device("cpu", "a chip", "tensorflow", "float32")
EPOCHS = 3
PLAIN = {"posterior": "gaussian", "prior": "standard", "free_bits_over": "dimension", "labels": [],
         "encoder_layers": 1, "bidirectional": False}


class Killer(Progress):
    """Ends the process, as kill -9 does, at the second batch of the third epoch."""

    @contextmanager
    def task(self, label, total=None):
        steps = 0

        def advance(count=1, **shown):
            nonlocal steps
            steps += count
            if "epoch 3/" in label and steps == 2:
                os._exit(9)

        yield advance


def built(kind, **more):
    """A compiled network; clipped hard, so that a gradient that is clipped in parts shows."""
    import keras
    import networks

    from textvae import nn

    network = nn.NETWORKS[kind](**{**networks.SETTINGS[kind], **more}, seed=1)
    if kind == "sequence_vae":
        network.beta.assign(0.7)
        network.penalty_weights.assign([0.3])
    network.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5), jit_compile=False)
    network.optimizer.build(network.trainable_variables)
    return network


def batches(kind):
    """Batches of several sizes, one smaller than there are devices, with all that the stage gives beside tokens."""
    import networks

    from textvae.nn import batching, sampled_softmax

    for number, size in enumerate((5, 5, 2)):
        rng = np.random.default_rng(number)
        batch = networks.batch(kind, rng, size)
        batch["share"] = batching.share(size, 4)
        if "target" in batch:
            batch["positions"] = batching.real_positions(batch["target"], batch["target"].size - 1)
        if kind == "sequence_vae":
            batch["applies"][::2] = 0.0
            chances = sampled_softmax.inclusion(np.arange(11), 6)
            batch |= sampled_softmax.arrays(batch, chances, rng, batch["target"].size)
        yield batch


def stepped(network, train, test):
    """What three steps and a test leave: the weights, and the last logs of both."""
    from textvae.nn.weights import gather

    logs = [train(batch, return_dict=True) for batch in batches(network.kind)]
    tested = test(next(iter(batches(network.kind))), return_dict=True)
    return {**gather(network), **{f"train/{name}": value for name, value in logs[-1].items()},
            **{f"test/{name}": value for name, value in tested.items()}}


def fitted(folder, devices, progress=None):
    """The weights of a whole training; folders are each worker's own, so that only the first one's can be resumed."""
    from textvae.nn.training import fit
    from textvae.nn.weights import gather

    network = built("language_model")
    folder = folder if devices.writes else folder / "other"
    folder.mkdir(parents=True, exist_ok=True)
    found = fit(network, lambda epoch: batches("language_model"), lambda: list(batches("language_model"))[:1],
                epochs=EPOCHS, patience=EPOCHS, steps=3, scratch=folder, progress=progress or Progress(),
                devices=devices)
    return {**gather(network), "epochs": len(found.history), "val_loss": found.best["val_loss"]}


def compared(folder, kind, name, devices, **settings):
    """Save what several devices leave where nothing is random, beside what one leaves."""
    for label in ("alone", "together"):
        network = built(kind, dropout=0.0, **settings)
        if kind == "sequence_vae":  # each device draws noise of its own, so here z is the mean
            network.family.sample = lambda q, noise, training=False: q["mean"]
        steps = (network.train_on_batch, network.test_on_batch) if label == "alone" else devices.steps(network)
        np.savez(folder / f"{label}-{name}.npz", **stepped(network, *steps))


def main(folder, what, hosts="", index=0):
    """Do one of the things that are tested."""
    if what == "one machine":
        import tensorflow as tf

        cpu, = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
        compared(folder, "sequence_vae", 0, distribution.on_one_machine([f"CPU:{number}" for number in range(3)]),
                 **PLAIN)
        return
    devices = distribution.start(CPU, named(hosts, index))
    if what == "killed":
        compared(folder, "language_model", index, devices)
        for turn in range(2):
            network = built("language_model")
            np.savez(folder / f"noisy{turn}-{index}.npz", **stepped(network, *devices.steps(network)))
        np.savez(folder / f"whole-{index}.npz", **fitted(folder / "whole", devices))
        try:
            fitted(folder / "killed", devices, Killer() if index else None)
        except TextvaeError as error:
            (folder / "error.txt").write_text(str(error), encoding="utf-8")
    elif what == "resumed":
        np.savez(folder / f"resumed-{index}.npz", **fitted(folder / "killed", devices))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], *map(int, sys.argv[4:]))
