"""The training loop: what is kept, and that a killed training ends as one that was not."""

from contextlib import contextmanager

import networks
import numpy as np
import pytest

from textvae.errors import TextvaeError
from textvae.progress import Progress

EPOCHS = 4


class Killer(Progress):
    """Stops the process, as Ctrl-C does, at the given batch of the given epoch, both from 1; listens to the news."""

    def __init__(self, epoch=0, batch=0):
        self.epoch, self.batch, self.news, self.tasks = epoch, batch, [], []

    @contextmanager
    def task(self, label, total=None):
        self.tasks.append(label)
        done = 0

        def advance(steps=1, **shown):
            nonlocal done
            done += steps
            if f"epoch {self.epoch}/" in label and done == self.batch:
                raise KeyboardInterrupt

        yield advance

    def say(self, message):
        self.news.append(message)


def train(kind, scratch, *, progress=None, learning_rate=0.05, validation=1, **options):
    """Fit a freshly built network; gives it and what fit returned."""
    import keras

    from textvae.nn.training import fit

    network = networks.build(kind)
    network.compile(optimizer=keras.optimizers.Adam(learning_rate), jit_compile=False)

    def batches(epoch):
        rng = np.random.default_rng(epoch)
        return [networks.batch(kind, rng) for _ in range(3)]

    def held_out():
        return [networks.batch(kind, np.random.default_rng(99)) for _ in range(validation)]

    arguments = {"epochs": EPOCHS, "patience": EPOCHS, **options}
    return network, fit(network, batches, held_out, steps=3, scratch=scratch, progress=progress or Progress(),
                        **arguments)


def bits(network):
    from textvae.nn.weights import gather

    return {path: array.tobytes() for path, array in gather(network).items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Kind -> weights and history of a training that nobody disturbed."""
    found = {}

    def get(kind):
        if kind not in found:
            network, fitted = train(kind, tmp_path_factory.mktemp(kind))
            found[kind] = bits(network), fitted
        return found[kind]

    return get


@pytest.mark.parametrize("epoch, batch", [(1, 2), (2, 1), (3, 3)])
def test_killed_training_ends_as_one_that_was_not(whole, tmp_path, epoch, batch):
    with pytest.raises(KeyboardInterrupt):
        train("embedding_vae", tmp_path, progress=Killer(epoch, batch))
    progress = Killer()
    network, fitted = train("embedding_vae", tmp_path, progress=progress)
    assert (bits(network), fitted) == whole("embedding_vae")
    assert len(progress.tasks) == EPOCHS - epoch + 1
    assert progress.news == ([f"embedding_vae: resuming after epoch {epoch - 1}"] if epoch > 1 else [])


@pytest.mark.parametrize("kind", ["sequence_vae", "latent_transformer"])
def test_dropout_and_sampling_go_on_where_they_were(whole, tmp_path, kind):
    with pytest.raises(KeyboardInterrupt):
        train(kind, tmp_path, progress=Killer(3, 2))
    network, fitted = train(kind, tmp_path)
    assert (bits(network), fitted) == whole(kind)


def test_killed_between_epochs_and_in_the_middle_of_writing(whole, tmp_path):
    def stop(epoch, history):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("embedding_vae", tmp_path, before_epoch=stop)
    (tmp_path / "checkpoint.tmp").write_bytes(b"half a checkpoint")
    network, fitted = train("embedding_vae", tmp_path)
    assert (bits(network), fitted) == whole("embedding_vae")


def test_a_finished_training_is_not_done_again_and_nothing_is_compiled_for_it(whole, tmp_path, monkeypatch):
    from textvae import graphs

    expected = whole("embedding_vae")
    train("embedding_vae", tmp_path)
    monkeypatch.setattr(graphs, "for_every_shape", None)
    progress = Killer()
    network, fitted = train("embedding_vae", tmp_path, progress=progress)
    assert progress.tasks == []
    assert (bits(network), fitted) == expected


def follow(values):
    """A monitor that reads made-up values instead of the loss."""
    return lambda row: values[int(row["epoch"]) - 1]


def test_stops_after_patience_and_keeps_the_best_weights(tmp_path):
    (tmp_path / "long").mkdir()
    (tmp_path / "short").mkdir()
    network, fitted = train("embedding_vae", tmp_path / "long", epochs=9, patience=2,
                            monitor=follow([3.0, 2.0, 2.5, 2.0, 1.0]))
    assert (fitted.best_epoch, len(fitted.history)) == (2, 4)  # an equal value is not a better one
    two, _ = train("embedding_vae", tmp_path / "short", epochs=2, monitor=follow([3.0, 2.0]))
    assert bits(network) == bits(two)
    assert fitted.best == fitted.history[1]


def test_resumed_training_remembers_its_patience(tmp_path):
    monitor = follow([1.0, 2.0, 3.0, 0.0])
    with pytest.raises(KeyboardInterrupt):
        train("embedding_vae", tmp_path, epochs=9, patience=2, monitor=monitor, progress=Killer(3, 1))
    _, fitted = train("embedding_vae", tmp_path, epochs=9, patience=2, monitor=monitor)
    assert (fitted.best_epoch, len(fitted.history)) == (1, 3)


def test_epochs_that_settle_are_never_the_best(tmp_path):
    _, fitted = train("embedding_vae", tmp_path, epochs=9, patience=2, settle=3,
                      monitor=follow([0.0, 0.1, 0.2, 5.0, 4.0, 6.0, 7.0]))
    assert (fitted.best_epoch, len(fitted.history)) == (5, 7)


def test_without_validation_the_last_epoch_is_the_best(tmp_path):
    _, fitted = train("embedding_vae", tmp_path, validation=0, patience=1)
    assert fitted.best_epoch == EPOCHS
    assert not any(name.startswith("val_") for name in fitted.best)


def test_history_has_every_term_of_both_splits(whole):
    terms = {"loss", "reconstruction", "kl", "kl_free", "constraint_kind"}
    for number, row in enumerate(whole("sequence_vae")[1].history, 1):
        assert row.keys() == {"epoch", *terms, *(f"val_{term}" for term in terms)}
        assert row["epoch"] == number


def test_history_averages_over_sequences_not_over_batches(tmp_path):
    from textvae.nn.training import fit

    rng = np.random.default_rng(7)
    big, small = networks.batch("embedding_vae", rng, 6), networks.batch("embedding_vae", rng, 2)

    def tested(batches):
        import keras

        network = networks.build("embedding_vae")
        network.compile(optimizer=keras.optimizers.Adam(0.0), jit_compile=False)
        (tmp_path / "checkpoint.npz").unlink(missing_ok=True)
        return fit(network, lambda epoch: [big], lambda: batches, epochs=1, patience=1, steps=1, scratch=tmp_path,
                   progress=Progress()).best["val_kl"]

    assert tested([big, small]) == pytest.approx((6 * tested([big]) + 2 * tested([small])) / 8, rel=1e-6)


def test_a_loss_that_is_no_number_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(TextvaeError, match=r"the loss became (nan|inf) in epoch 1 \(lower its learning_rate"):
        train("embedding_vae", tmp_path, learning_rate=1e30)
    assert not (tmp_path / "checkpoint.npz").exists()


def test_keras_own_fit_with_callbacks_and_checkpoints_works_too(tmp_path):
    import keras

    network = networks.build("sequence_vae")
    network.compile(optimizer=keras.optimizers.Adam(0.01), jit_compile=False)
    given = networks.batch("sequence_vae", np.random.default_rng(0), 12)
    saved = keras.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", save_weights_only=True)
    history = network.fit(given, validation_data=(given,), epochs=6, batch_size=4, verbose=0,
                          callbacks=[saved, keras.callbacks.EarlyStopping(monitor="val_loss", patience=6)])
    assert history.history["loss"][-1] < history.history["loss"][0] and "val_kl" in history.history
    again = networks.build("sequence_vae", seed=2)
    again.compile(optimizer=keras.optimizers.Adam(0.01), jit_compile=False)
    again.optimizer.build(again.trainable_variables)
    again.load_weights(tmp_path / "best.weights.h5")
    for one, two in zip(network.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy(), one.path)


def test_a_step_is_traced_once_for_batches_of_every_shape(monkeypatch):
    import keras

    network = networks.build("language_model")
    network.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    whole = networks.batch("language_model", np.random.default_rng(1), 6)
    batches = [{name: array[:size, :width] for name, array in whole.items()}
               for size, width in ((6, 6), (4, 5), (3, 4), (1, 2))]
    exact = [float(network(batch)["loss"]) for batch in batches]
    traced = []
    terms = type(network).terms
    monkeypatch.setattr(type(network), "terms", lambda self, inputs, training: traced.append(training) or terms(
        self, inputs, training))
    for step in (network.train_on_batch, network.test_on_batch):
        losses = [float(step(batch, return_dict=True)["loss"]) for batch in batches]
        if step == network.test_on_batch:
            np.testing.assert_allclose(losses, exact, rtol=1e-5)
    assert traced == [True, False]


def test_a_share_scales_what_a_batch_teaches_and_not_what_it_reports():
    import keras

    def taught(**more):
        network = networks.build("sequence_vae")
        before = network.narrow.kernel.numpy()
        network.compile(optimizer=keras.optimizers.SGD(0.01), jit_compile=False)
        batch = networks.batch("sequence_vae", np.random.default_rng(1))
        logs = network.train_on_batch({**batch, **more}, return_dict=True)
        return network.narrow.kernel.numpy() - before, float(logs["loss"])

    (whole, loss), (half, same) = taught(), taught(share=np.full(4, 0.5, np.float32))
    assert np.abs(whole).max() > 0
    np.testing.assert_allclose(half, whole / 2, rtol=1e-4, atol=1e-7)
    assert same == pytest.approx(loss)


def test_batches_made_ahead_are_the_same_and_hand_errors_over():
    from textvae.nn.ahead import ahead

    rows = [{"x": np.full(1, i)} for i in range(20)]
    assert [int(batch["x"][0]) for batch in ahead(iter(rows))] == list(range(20))

    def broken():
        yield rows[0]
        raise OSError("gone")

    reader = ahead(broken())
    assert next(reader) is rows[0]
    with pytest.raises(OSError, match="gone"):
        next(reader)

    def threads():
        import threading

        return [thread for thread in threading.enumerate() if thread.name == "batches"]

    endless = ahead({"x": np.zeros(1)} for _ in iter(int, 1))
    next(endless)
    assert threads()
    endless.close()  # a reader that stops early takes the thread with it
    assert not threads()


def test_averages_of_a_short_training_are_of_its_weights_and_forget_what_was_before():
    import keras

    from textvae.nn.training import averaging

    most, after, steps = 0.999, 4, 40
    weight = keras.Variable(np.zeros(1, np.float32))
    optimizer = averaging(keras.optimizers.SGD, most=most, after=after)(1.0)
    optimizer.build([weight])
    weights = []
    for step in range(steps):
        if step == after:
            weight.assign([100.0])  # a fresh start
        optimizer.apply([keras.ops.convert_to_tensor(np.full(1, -1.0, np.float32))], [weight])
        weights.append(float(weight[0]))
    expected = 0.0
    for step, value in enumerate(weights):
        counted = max(step - after, 0)
        momentum = min(most, (1 + counted) / (10 + counted)) if step else 0.0
        expected = momentum * expected + (1 - momentum) * value
    optimizer.finalize_variable_values([weight])
    assert float(weight[0]) == pytest.approx(expected, rel=1e-5)
    assert weights[-12] < expected < weights[-1]  # not those of the first steps, as 0.999 by itself would have it
