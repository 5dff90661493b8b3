"""An index comes back as it was written, and whatever a foreign hand writes into it is refused in words."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traded import filled

from textvae import manifests
from textvae.errors import StoreError, TextvaeError
from textvae.runs import read
from textvae.sharing import bundle
from textvae.sharing.exchange import _pack

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                    | st.text(max_size=20), lambda inner: st.lists(inner, max_size=2)
                    | st.dictionaries(st.text(max_size=8), inner, max_size=2), max_leaves=4)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    store = filled(tmp_path_factory.mktemp("home"))
    return _pack(store, read(store, 1), Path(tmp_path_factory.mktemp("aside")), False)[0]


@pytest.fixture(scope="module")
def record(packed: bundle.Bundle) -> dict[str, Any]:
    found = manifests.parse(bundle.dump(packed).encode())
    assert found is not None
    return found


def test_an_index_comes_back(packed: bundle.Bundle):
    again = bundle.parse(bundle.dump(packed).encode(), "here")
    assert again == packed
    assert again.bytes == sum(fact["size"] for fact in again.files.values()) > 0
    assert all(name.split("/")[0] in again.manifests and name.count("/") == 2 for name in again.files)


def test_what_is_known_to_nobody_is_not_taken_over(record: dict[str, Any]):
    changed = copy.deepcopy(record)
    changed["manifests"]["tokens"] |= {"extra": 1, "usage": {"peak_memory": 5, "tokens_per_second": "x", "parts": []}}
    changed["run"]["extra"] = 1
    found = bundle.parse(manifests.seal(changed).encode(), "there")
    assert "extra" not in found.manifests["tokens"] and found.manifests["tokens"]["usage"] == {"peak_memory": 5}


@pytest.mark.parametrize(("way", "value", "said"), [
    (("run", "seconds"), float("inf"), "inf is too large"), (("run", "seconds"), float("nan"), "nan is too large"),
    (("run", "stages", "tokens", "seconds"), 10**400, "is too large"),
    (("run", "pipeline"), "\ud83d", "is no text"), (("run", "config", "\ud83d"), 1, "is no text"),
    (("run", "device", "kind"), 5, "kind is 5"),
    (("manifests", "tokens", "device", "replicas"), "2", "replicas is '2'"),
    (("run", "stages", "tokens", "metrics", "sequences"), 5, "tokens: sequences is 5"),
    (("run", "stages", "evaluation", "metrics", "kl"), None, "evaluation: kl is None"),
    (("run", "stages", "sequence_vae", "metrics", "val_kl"), {"value": 1.0, "low": 0.5}, "one end of an interval"),
    (("manifests", "sequence_vae", "metrics", "val_kl"), {"value": 1.0, "low": "a", "high": 1}, "low is 'a'"),
    (("run", "device", "deep"), [[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]], "lie too deep")])
def test_values_that_no_command_could_show_are_refused(record: dict[str, Any], way: tuple[str, ...], value: Any,
                                                       said: str):
    changed = copy.deepcopy(record)
    owner = changed
    for key in way[:-1]:
        owner = owner[key]
    owner[way[-1]] = value
    plain = json.dumps(changed, indent=1) + "\n"  # as whoever means harm seals it, who has no reason to leave them out
    text = json.dumps({**changed, "seal": manifests.sha256(plain)}, indent=1) + "\n"
    with pytest.raises(StoreError, match=f"is not what textvae writes: .*{re.escape(said)}"):
        bundle.parse(text.encode(), "there")


@pytest.mark.parametrize("gate", [None, [], {}, {"promoted": 1, "checks": []}, {"promoted": True, "checks": {}},
                                  {"promoted": True, "checks": [1]}, {"promoted": True, "checks": [{"name": "x"}]}])
def test_what_is_no_comparison_is_not_taken_over(record: dict[str, Any], gate: Any):
    changed = copy.deepcopy(record)
    changed["run"]["gate"] = gate
    assert bundle.parse(manifests.seal(changed).encode(), "there").run.gate == {}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every way into a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data(), other=JSON, drop=st.booleans())
def test_any_other_value_anywhere_is_read_or_refused_in_words(record: dict[str, Any], data: st.DataObject, other: Any,
                                                              drop: bool):
    changed = copy.deepcopy(record)
    *way, last = data.draw(st.sampled_from(list(places(changed))))
    owner = changed
    for key in way:
        owner = owner[key]
    if drop:
        del owner[last]
    else:
        owner[last] = other
    try:
        found = bundle.parse(manifests.seal(changed).encode(), "there")
    except TextvaeError as error:
        assert "there" in error.message
    else:
        assert all(".." not in name and not name.startswith("/") for name in found.files)


@given(st.binary(max_size=60))
@settings(max_examples=60, derandomize=True)
def test_any_other_text_is_refused(content: bytes):
    with pytest.raises(StoreError, match=r"textvae.json is damaged"):
        bundle.parse(content, "there")


def test_an_index_without_an_end_is_refused():
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(2**20)

    with pytest.raises(StoreError, match="has more than"):
        bundle.read(endless(), "there")
