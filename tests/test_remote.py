"""A run goes to an address and comes from there whole at any moment, or not at all."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import numpy as np
import pytest
from commands import textvae
from traded import FACTS, filled

from textvae import runs, upkeep
from textvae.errors import InputError, StoreError
from textvae.sharing.bundle import INDEX
from textvae.sharing.exchange import receive, send
from textvae.sharing.remote import Address
from textvae.store import Store


@pytest.fixture
def home(tmp_path: Path) -> Store:
    return filled(tmp_path / "home")


@pytest.fixture(params=["folder", "file", "memory"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {"folder": str(tmp_path / "shared" / "blog"), "file": f"file://{tmp_path}/shared/blog",
            "memory": f"memory://{uuid.uuid4().hex}/blog"}[request.param]


def second(store: Store) -> runs.Run:
    """Another run of the same artefacts but for its evaluation."""
    run = runs.read(store, 1)
    old = runs.load(store, "evaluation")
    made = store.write("evaluation", "e" * 16, replace(old, metrics={"kl": {"value": 2.0}}), inputs={}, **FACTS)
    fact = run.stages["evaluation"] | {"key": "e" * 16, "content": made["content"], "metrics": made["metrics"]}
    runs.add(store, replace(run, stages=run.stages | {"evaluation": fact}))
    return runs.promote(store, 2)


def names(address: str) -> list[str]:
    files, root = fsspec.core.url_to_fs(address)
    return sorted(name[len(root):] for name in files.find(root))


def test_a_pushed_run_is_pulled(home: Store, address: str, tmp_path: Path):
    sent = send(home, Address(address))
    assert sent.left_out == ("corpus", "latents") and len(names(address)) == sent.files + 1
    received = receive(Address(address), tmp_path)
    store = Store(tmp_path, "blog")
    assert received.recorded and received.current and upkeep.verify(store) == []
    assert runs.load(store, "tokens").words and received.run.origin["from"] == address
    again = receive(Address(address), tmp_path)
    assert not again.recorded and len(runs.records(store)) == 1


def test_a_second_run_keeps_what_readers_of_the_first_need(home: Store, address: str, tmp_path: Path):
    send(home, Address(address))
    before = names(address)
    second(home)

    class Late(Address):
        """A reader that is overtaken by another push right after it read the index."""

        def chunks(self, name: str) -> Iterator[bytes]:
            yield from super().chunks(name)
            if name == INDEX:
                send(home, Address(address))

    assert receive(Late(address), tmp_path).run.stages["evaluation"]["metrics"] == {"kl": {"value": 1.0}}
    after = receive(Address(address), tmp_path).run
    assert (after.number, after.stages["evaluation"]["metrics"]) == (2, {"kl": {"value": 2.0}})
    new = [name.split("/")[1] for name in names(address) if name not in before]
    assert set(new) == {"evaluation"} and set(before) < set(names(address)), "what was there is not copied again"
    assert upkeep.verify(Store(tmp_path, "blog")) == []


def test_a_push_that_fails_leaves_the_run_before(home: Store, address: str, tmp_path: Path):
    class Failing(Address):
        left = 3

        def put(self, name: str, source: BinaryIO) -> None:
            self.left -= 1
            if not self.left:
                raise InputError("the network is gone")
            super().put(name, source)

    with pytest.raises(InputError, match="the network is gone"):
        send(home, Failing(address))
    with pytest.raises(InputError, match="no run was pushed to"):
        receive(Address(address), tmp_path)
    send(home, Address(address))
    second(home)
    with pytest.raises(InputError, match="the network is gone"):
        send(home, Failing(address))
    assert receive(Address(address), tmp_path).run.stages["evaluation"]["metrics"] == {"kl": {"value": 1.0}}


def test_an_artefact_that_is_made_anew_while_it_is_pushed_is_not_pushed_half(home: Store, address: str, tmp_path: Path):
    key = runs.read(home, 1).held["sequence_vae"]
    network = runs.load(home, "sequence_vae")

    class Overtaken(Address):
        """Another process makes the network anew once the first file is there."""

        def put(self, name: str, source: BinaryIO) -> None:
            super().put(name, source)
            weights = {own: np.asarray(value + 1, value.dtype) for own, value in network.weights.items()}
            home.write("sequence_vae", key, replace(network, weights=weights), inputs={}, replace=True, **FACTS)

    with pytest.raises(StoreError, match=r"weights.h5 was made anew while the run was being copied.*push the run"):
        send(home, Overtaken(address))
    send(home, Address(address))
    assert receive(Address(address), tmp_path).recorded


def test_two_that_push_at_the_same_time_do_not_meet(home: Store, address: str, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch):
    first = Address(address)
    write, turn = first._files.pipe_file, iter([True])

    def pipe_file(path: str, content: bytes) -> None:
        write(path, content)
        if next(turn, False):
            send(home, Address(address))  # the other one does all of it just now

    monkeypatch.setattr(first._files, "pipe_file", pipe_file)
    send(home, first)
    assert receive(Address(address), tmp_path).recorded
    assert [name for name in names(address) if name.startswith(f"/{INDEX}")] == [f"/{INDEX}"]


def test_what_is_gone_while_it_is_written_is_told(home: Store, address: str, monkeypatch: pytest.MonkeyPatch):
    target = Address(address)
    monkeypatch.setattr(target._files, "pipe_file", lambda path, content: None)
    with pytest.raises(InputError, match=rf"cannot write {re.escape(address)}: .*{INDEX}.*try again"):
        send(home, target)


def spoil(address: str, file: str, change: Any) -> None:
    """Change the bytes of a file at an address."""
    files, root = fsspec.core.url_to_fs(address)
    path = next(name for name in files.find(root) if name.endswith(f"/{file}"))
    files.pipe_file(path, change(files.cat_file(path)))


@pytest.mark.parametrize(("file", "change", "said"), [
    ("weights.h5", lambda content: content[:-1], r"weights.h5 has \d+ bytes, not"),
    ("weights.h5", lambda content: content[:-1] + bytes([content[-1] ^ 1]), "weights.h5 is damaged"),
    (INDEX, lambda content: content[:-9], "textvae.json is damaged")])
def test_what_was_damaged_there_is_not_taken(home: Store, address: str, tmp_path: Path, file: str, change: Any,
                                             said: str):
    send(home, Address(address))
    spoil(address, file, change)
    with pytest.raises((InputError, StoreError), match=said) as caught:
        receive(Address(address), tmp_path)
    assert not Store(tmp_path, "blog").artefacts() and not runs.numbers(Store(tmp_path, "blog"))
    if said == "weights.h5 is damaged":  # a file of the right size is taken to be there, until somebody deletes it
        assert isinstance(caught.value, StoreError) and "delete that file there and push it again" in caught.value.hint
        files, root = fsspec.core.url_to_fs(address)
        files.rm(next(name for name in files.find(root) if name.endswith(f"/{file}")))
    send(home, Address(address))
    assert receive(Address(address), tmp_path).recorded


def test_an_address_is_of_one_pipeline(home: Store, address: str):
    Address(address).reserve("blog")
    send(home, Address(address))
    Address(address).reserve("blog")
    with pytest.raises(InputError, match=r"holds a run of blog, not of diary.*another address"):
        Address(address).reserve("diary")


def test_passwords_are_in_no_message():
    with pytest.raises(InputError) as caught:
        Address("nosuch://me:secret@host/blog")
    assert "secret" not in str(caught.value) and "nosuch://host/blog" in caught.value.message
    broken = Address("memory://blog")
    with pytest.raises(InputError, match=r"blog: no ftp://host \(check"), broken._told("write"):
        raise RuntimeError("no ftp://me:secret@host")


def test_the_commands(home: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = textvae("push", "blog", "shared/blog", "--store", str(home.root))
    assert done.code == 0, done.err
    assert done.out.startswith("shared/blog: run 1 of blog, ") and done.out.endswith("; without corpus and latents\n")
    assert textvae("pull", "shared/blog").out.startswith("run 1 of blog came from shared/blog, there run 1 of blog\n")
    (told,) = textvae("pull", "shared/blog", "--name", "theirs", "--json").json
    assert (told["pipeline"], told["run"], told["new"], told["current"]) == ("theirs", 1, True, True)
    for words, said in ((("pull", "empty"), "no run was pushed to empty"), (("pull", "nosuch://x"), "nosuch"),
                        (("pull", ""), "the address is empty"), (("push", "theirs", " "), "the address is empty"),
                        (("push", "theirs", "shared/blog"), "holds a run of blog, not of theirs"),
                        (("push", "blog", "home/file/x", "--store", str(home.root)), "cannot write")):
        (tmp_path / "home" / "file").touch()
        wrong = textvae(*words)
        assert (wrong.code, wrong.out) == (1, "") and said in wrong.err and "hint: " in wrong.err, wrong.err
