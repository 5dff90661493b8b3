"""Several devices train what one would; several processes too, and a killed one costs an epoch at most."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from textvae import distribution, workers
from textvae.config import SequenceVAEConfig
from textvae.device import Device
from textvae.errors import ConfigError, TextvaeError
from textvae.nn.batching import part
from textvae.workers import Workers

SCRIPT = Path(__file__).parent / "together.py"
LIMIT = 240  # seconds; alone each of them takes under thirty


def begin(*words):
    """Start one process of several; it sees neither a GPU nor another cluster."""
    clean = {name: value for name, value in os.environ.items() if name not in ("TF_CONFIG", "KERAS_BACKEND")}
    return subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, env={**clean, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"})


def ended(processes):
    """Wait for all; their exit codes and what they said."""
    try:
        said = [process.communicate(timeout=LIMIT)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], "\n".join(said)


def addresses():
    """Two free ports of this machine."""
    with socket.socket() as one, socket.socket() as two:
        for own in (one, two):
            own.bind(("127.0.0.1", 0))
        return ",".join(f"127.0.0.1:{own.getsockname()[1]}" for own in (one, two))


def together(folder, what):
    """Have two workers do something; their exit codes and what they said."""
    hosts = addresses()
    return ended([begin(SCRIPT, folder, what, hosts, index) for index in range(2)])


def arrays(folder, name):
    with np.load(folder / f"{name}.npz") as found:
        return dict(found)


def bits(folder, name):
    return {key: array.tobytes() for key, array in arrays(folder, name).items()}


def assert_close(folder):
    alone, shared = arrays(folder, "alone-0"), arrays(folder, "together-0")
    assert alone.keys() == shared.keys()
    for key, array in alone.items():
        np.testing.assert_allclose(shared[key], array, rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What two workers left until the second one was killed."""
    folder = tmp_path_factory.mktemp("together")
    codes, said = together(folder, "killed")
    assert codes == [0, 9], said
    return folder


def test_two_workers_train_as_one_with_the_same_batches(killed):
    assert_close(killed)
    assert bits(killed, "together-0") == bits(killed, "together-1")


def test_with_all_noise_on_both_have_the_same_weights_and_a_second_time_too(killed):
    first = bits(killed, "noisy0-0")
    assert first == bits(killed, "noisy0-1") == bits(killed, "noisy1-0")
    assert first != bits(killed, "together-0")


def test_a_killed_worker_ends_in_a_resumed_training(killed):
    assert (killed / "error.txt").read_text().startswith("another worker is gone")
    codes, said = together(killed, "resumed")
    assert codes == [0, 0], said
    whole = bits(killed, "whole-0")
    assert whole == bits(killed, "whole-1") == bits(killed, "resumed-0") == bits(killed, "resumed-1")
    assert not (killed / "killed" / "other" / "checkpoint.npz").exists()


def test_several_devices_of_one_machine_train_as_one(tmp_path):
    codes, said = ended([begin(SCRIPT, tmp_path, "one machine")])
    assert codes == [0], said
    assert_close(tmp_path)


def test_workers_are_named_on_the_command_line_or_by_a_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert workers.named(None, None) is None
    assert workers.named("a:1", 0) is None
    cluster = {"cluster": {"worker": ["b:1", "c:1"], "chief": ["a:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert workers.named(None, None) == Workers(("a:1", "b:1", "c:1"), 2)
    assert workers.named("x:1,y:1", 0) == Workers(("x:1", "y:1"), 0)


@pytest.mark.parametrize("hosts, index, message", [
    ("a:1,b", 0, "'b' is no address"), ("a:1,a:1", 0, "names an address twice"), ("a:1,b:1", 2, "there is no worker 2"),
    ("a:1,b:65536", 0, "'b:65536' is no address"), ("a:1,b:1", None, "go together"), (None, 1, "go together")])
def test_wrong_workers_are_refused(hosts, index, message):
    with pytest.raises(TextvaeError, match=message):
        workers.named(hosts, index)


@pytest.mark.parametrize("text", ["{", "{}", '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}'])
def test_a_cluster_that_trains_nothing_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(TextvaeError, match="TF_CONFIG names no worker"):
        workers.named(None, None)


def test_a_worker_that_does_not_come_is_told():
    hosts = tuple(addresses().split(","))
    with pytest.raises(TextvaeError, match=rf"worker 1, {hosts[1]}, did not come .*its own --worker"):
        workers.meet(Workers(hosts, 0), wait=0.1)
    with pytest.raises(TextvaeError, match=rf"worker 0, {hosts[0]}, did not come .*--worker 0"):
        workers.meet(Workers(hosts, 1), wait=0.1)


def test_workers_that_come_in_any_order_begin_together():
    hosts = (*addresses().split(","), "127.0.0.1:1")
    begun = []
    guests = [threading.Thread(target=lambda place=place: begun.append(workers.meet(Workers(hosts, place), wait=30)))
              for place in (2, 1)]
    for guest in guests:
        guest.start()
    workers.meet(Workers(hosts, 0), wait=30)
    for guest in guests:
        guest.join(timeout=30)
    assert begun == [None, None]


def test_a_worker_that_died_while_it_waited_does_not_count():
    hosts = (*addresses().split(","), "127.0.0.1:1")
    port = int(hosts[0].rpartition(":")[2])
    said = []

    def first():
        with pytest.raises(TextvaeError) as error:
            workers.meet(Workers(hosts, 0), wait=6)
        said.append(error.value.message)

    meeting = threading.Thread(target=first)
    meeting.start()
    for place in (1, 2):  # worker 1 comes and is killed; worker 2 stays
        guest = arrived(port)
        guest.sendall(str(place).encode())
        if place == 1:
            time.sleep(0.2)
            guest.close()
    meeting.join(timeout=30)
    guest.close()
    assert said == [f"worker 1, {hosts[1]}, did not come"]


def arrived(port):
    """A connection to the first worker, once it listens."""
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            time.sleep(0.05)
    pytest.fail("the first worker does not listen")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_workers_meet_by_ipv6():
    hosts = tuple(f"[::1]:{host.rpartition(':')[2]}" for host in addresses().split(","))
    begun = []
    guest = threading.Thread(target=lambda: begun.append(workers.meet(Workers(hosts, 1), wait=30)))
    guest.start()
    workers.meet(Workers(hosts, 0), wait=30)
    guest.join(timeout=30)
    assert begun == [None]


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("", 0)) as taken, pytest.raises(TextvaeError, match="of this machine is not free"):
        workers.meet(Workers((f"127.0.0.1:{taken.getsockname()[1]}", "b:1"), 0), wait=0.1)


def test_other_backends_train_alone():
    jax = Device("gpu", "a chip", "jax", "float32")
    assert distribution.start(jax, None) is None
    with pytest.raises(TextvaeError, match="on TensorFlow only, not on jax"):
        distribution.start(jax, Workers(("a:1", "b:1"), 0))


def test_one_device_trains_without_a_strategy():
    assert distribution.start(Device("cpu", "a chip", "tensorflow", "float32"), None) is None


@pytest.mark.parametrize("alone", [{"aggressive": True}, {"mean_gamma": 0.6}])
def test_what_devices_would_not_share_is_trained_on_one(alone, tmp_path):
    import networks

    from textvae.progress import Progress
    from textvae.stages import sequence_vae

    devices = distribution.Devices(None, 2, 1)
    tokens = networks.tokens([[4, 5], [6, 7]], [0, 1], [0, 1])
    with pytest.raises(ConfigError, match=f"{next(iter(alone))} trains on one device"):
        sequence_vae.run(SequenceVAEConfig(**alone, vectors="none"), tokens, None, None, seed=1,
                         progress=Progress(), scratch=tmp_path, devices=devices)


def test_parts_of_a_batch_hold_every_row_and_every_token_once():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, (7, 4)).astype(np.int32)
    batch = {"target": target, "positions": np.flatnonzero(target).astype(np.int32), "rows": np.arange(9)}
    parts = [part(batch, number, 3) for number in range(3)]
    np.testing.assert_array_equal(np.concatenate([own["target"] for own in parts]), target)
    for own in parts:
        at = own["target"].reshape(-1)[own["positions"]]
        assert np.count_nonzero(at) == np.count_nonzero(own["target"])
        assert len(set(own["positions"].tolist())) == len(own["positions"])
        assert own["rows"] is batch["rows"]


TINY = """
corpus = { path = "posts" }
tokens = { vocabulary = 300, max_length = 20, validation = 0.2, test = 0.0 }
word_vectors = { dim = 4, epochs = 1 }
embedding_vae = { latent = 4, hidden = 4, epochs = 1 }
sequence_vae = { hidden = 8, latent = 2, epochs = 1, jit = false }
"""


def test_two_processes_run_a_pipeline_and_the_first_one_writes(tmp_path):
    for number in range(12):
        post = tmp_path / "posts" / f"{number}.txt"
        post.parent.mkdir(exist_ok=True)
        post.write_text(f"The cat number {number} sleeps. A dog sings {number} songs.", encoding="utf-8")
    (tmp_path / "tiny.toml").write_text(TINY.replace("posts", str(tmp_path / "posts")), encoding="utf-8")
    hosts, store = addresses(), tmp_path / "models"
    codes, said = ended([begin("-m", "textvae", "run", tmp_path / "tiny.toml", "--store", store, "--until",
                               "sequence_vae", "--workers", hosts, "--worker", index) for index in range(2)])
    assert codes == [0, 0], said
    assert "trained along: sequence_vae" in said and "run 1," in said
    devices = {path.parts[-3]: json.loads(path.read_text())["device"] for path in store.glob("tiny/*/*/manifest.json")}
    assert {"replicas": 2, "workers": 2}.items() <= devices["sequence_vae"].items()
    assert "workers" not in devices["embedding_vae"]
