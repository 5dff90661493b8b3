"""One run as plain files: an index, ``textvae.json``, that is sealed and names every other file with its hash.

Whoever reads one trusts nothing in it: every name, size and type is checked before a file is touched.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from textvae import config, manifests, planning
from textvae.errors import StoreError
from textvae.runs import Run

FORMAT = 1  # raised when an older textvae could not read it
INDEX = "textvae.json"
INDEX_MOST = 16 * 2**20  # bytes; an index has a few kB per stage
# Bytes of all files together: twenty times the largest model measured so far, and little enough for any disk.
MOST = 20 * 2**30
# Only kinds of files that hold plain values; a page or a script is none.
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,80}\.(json|jsonl|npy|parquet|h5|csv|png|txt)")
HALF = re.compile("[\ud800-\udfff]")  # of a pair that stands for one character: no file and no terminal takes it alone
KEY, SHA256 = re.compile(r"[0-9a-f]{16}"), re.compile(r"[0-9a-f]{64}")
NUMBER, PLAIN = (int, float), (str, int, float, bool, dict, list, type(None))
LARGEST, DEEPEST = 1e300, 20  # no number of a run is larger, and no table lies in more others
DEVICE = {"*": str, "replicas": int, "workers": int}
RUN = {"number": int, "pipeline": str, "why": str, "started": str, "seconds": NUMBER, "config": dict, "device": DEVICE,
       "packages": {"*": str}, "python": str, "commit": str, "stages": {"*": {
           "key": KEY, "content": SHA256, "ran": bool, "reason": str, "seconds": NUMBER, "metrics": {"*": PLAIN}}}}
MANIFEST = {"stage": str, "key": KEY, "content": SHA256, "version": int, "seed": int, "reason": str, "seconds": NUMBER,
            "made": str, "commit": str, "python": str, "packages": {"*": str}, "fingerprint": str, "device": DEVICE,
            "config": dict, "metrics": {"*": PLAIN}, "inputs": {"*": {"key": KEY, "content": SHA256}},
            "files": {"*": {"sha256": SHA256, "size": int}}}
PERHAPS = (*NUMBER, type(None))
ESTIMATE = {"*": PLAIN, "value": (*PERHAPS, list), "low": PERHAPS, "high": PERHAPS}
SPLIT = {"*": NUMBER}
METRICS = {"tokens": {"*": PLAIN, "sequences": SPLIT, "tokens": SPLIT, "unknown": SPLIT}, "evaluation": {"*": ESTIMATE}}
CHECKED = {"name": str, "passed": bool, "before": PERHAPS, "after": PERHAPS}


@dataclass(frozen=True)
class Bundle:
    """A run that leaves its store, or comes into one.

    Args:
        run: Its record, with the stages that are in it.
        manifests: stage -> the manifest of its artefact.
        left_out: The stages that the run has besides.
    """

    run: Run
    manifests: dict[str, dict[str, Any]]
    left_out: tuple[str, ...]

    def place(self, stage: str, file: str) -> str:
        """The name of an artefact's file: by what is in the artefact, so that other contents never take its place."""
        return f"{stage}/{self.manifests[stage]['content'][:16]}/{file}"

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Every file's name -> its sha256 and size."""
        return {self.place(stage, file): fact for stage, manifest in self.manifests.items()
                for file, fact in manifest["files"].items()}

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(fact["size"] for fact in self.files.values())


def dump(bundle: Bundle) -> str:
    """The text of the index."""
    return manifests.seal({"format": FORMAT, "left_out": list(bundle.left_out), "run": asdict(bundle.run),
                           "manifests": bundle.manifests})


def read(chunks: Iterable[bytes], where: str) -> Bundle:
    """As ``parse``, from the pieces of a file that may have no end."""
    text = b""
    for piece in chunks:
        text += piece
        if len(text) > INDEX_MOST:
            raise StoreError(f"{where}: {INDEX} has more than {INDEX_MOST:,} bytes",
                             "import only what textvae exported")
    return parse(text, where)


def parse(text: bytes, where: str) -> Bundle:
    """Read an index that somebody else may have written.

    Args:
        text: What it holds.
        where: The file or address, for messages.

    Raises:
        StoreError: It is damaged, of a format that this version does not know, or not what ``dump`` writes.
        ConfigError: Its settings are none of this version's.
    """
    record = manifests.parse(text)
    if record is None:
        raise StoreError(f"{where}: {INDEX} is damaged", "export or push the run again")
    if record.get("format") != FORMAT:
        raise StoreError(f"{where} has the format {record.get('format')!r}; this textvae reads {FORMAT}",
                         "read it with the version of textvae that wrote it, or a newer one")
    shape = {"left_out": list, "run": RUN, "manifests": {"*": MANIFEST}}
    problem = _wild(record) or _misfit(record, shape) or _odd(record)
    if problem:
        raise StoreError(f"{where}: {INDEX} is not what textvae writes: {problem}", "import only what textvae exported")
    run = record["run"]
    known = {name: run[name] for name in (field.name for field in fields(Run)) if name in run}
    order = [row.name for row in planning.STAGES if row.name in run["stages"]]
    own = Run(**{**known, "config": settings(run["config"], where), "started": _past(run["started"]), "replaced": None,
                 "gate": compared(run.get("gate")),
                 "stages": {stage: run["stages"][stage] for stage in order}})
    found = {stage: known_of(record["manifests"][stage]) for stage in order}
    return Bundle(own, found, tuple(map(str, record["left_out"])))


def settings(table: dict[str, Any], where: str) -> dict[str, Any]:
    """Settings that are this version's, without the paths of the machine that they come from."""
    plain = config.as_dict(config.parse(dict(table), where=where))
    for section, names in planning.UNKEYED.items():
        plain[section] |= dict.fromkeys(names, "")
    return plain


def known_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest with nothing that is not told in ``MANIFEST`` but the numbers of what was used, and without paths.

    What a training went on from, among the rest, names the posts that were new then.
    """
    told = {name: value for name, value in manifest.items() if name in (*MANIFEST, "usage")}
    used = told.pop("usage", {})
    numbers = used.items() if isinstance(used, dict) else ()
    paths = set(told["config"]).intersection(planning.UNKEYED.get(told["stage"], ()))
    return told | {"usage": {name: value for name, value in numbers if isinstance(value, NUMBER)},
                   "config": told["config"] | dict.fromkeys(paths, "")}


def compared(gate: Any) -> dict[str, Any]:
    """What a retraining compared before it promoted a run or did not, without the words, in which posts are named.

    Empty where it is no such thing: nothing else of a run depends on it.
    """
    if _misfit(gate, {"promoted": bool, "checks": list}) or any(_misfit(check, CHECKED) for check in gate["checks"]):
        return {}
    return {"promoted": gate["promoted"],
            "checks": [{name: check[name] for name in CHECKED} for check in gate["checks"]]}


def _wild(value: Any, depth: int = 0) -> str:
    """Say what of a value textvae writes nowhere: numbers without bounds, characters that are none, endless depth."""
    if isinstance(value, str):
        return f"{_short(value)} is no text" if HALF.search(value) else ""
    if isinstance(value, NUMBER):
        return "" if abs(value) <= LARGEST else f"{_short(value)} is too large"
    if not isinstance(value, dict | list):
        return ""
    if depth == DEEPEST:
        return "its tables lie too deep"
    inner = (*value, *value.values()) if isinstance(value, dict) else value
    return next(filter(None, (_wild(item, depth + 1) for item in inner)), "")


def _misfit(value: Any, shape: Any, name: str = "it") -> str:
    """Say what of a value has not the shape that it should have: a type, a pattern, or a table of these.

    Names of a table are those of its shape; or any where it has ``"*"``, which is the shape of what is told of no name.
    """
    if isinstance(shape, re.Pattern):
        return "" if isinstance(value, str) and shape.fullmatch(value) else f"{name} is {_short(value)}"
    if not isinstance(shape, dict):
        types = shape if isinstance(shape, tuple) else (shape,)
        good = isinstance(value, types) and not (isinstance(value, bool) and bool not in types)
        return "" if good else f"{name} is {_short(value)}"
    if not isinstance(value, dict):
        return f"{name} is {_short(value)}"
    parts = {key: shape.get(key, shape["*"]) for key in value} if "*" in shape else shape
    lacks = [f"{name} has no {key}" for key in parts if key not in value]
    found = (_misfit(value[key], part, str(key)) for key, part in parts.items())
    return lacks[0] if lacks else next(filter(None, found), "")


def _mismeasured(stage: str, metrics: dict[str, Any]) -> str:
    """Say what of a stage's metrics no command could show."""
    estimates = {name: own for name, own in metrics.items() if isinstance(own, dict) and "value" in own}
    halves = (f"{name} has one end of an interval alone" for name, own in estimates.items()
              if ("low" in own) != ("high" in own))
    return _misfit(metrics, METRICS.get(stage, {"*": PLAIN})) or _misfit(estimates, {"*": ESTIMATE}) or next(halves, "")


def _odd(record: dict[str, Any]) -> str:
    """Say what does not go together, in an index whose parts have the right types."""
    stages, found = record["run"]["stages"], record["manifests"]
    if unknown := set(stages) - {row.name for row in planning.STAGES}:
        return f"there is no stage {_short(unknown.pop())}"
    if set(found) != set(stages):
        return "its artefacts are not those of its run"
    for stage, manifest in found.items():
        if (manifest["stage"], manifest["key"], manifest["content"]) != (
                stage, stages[stage]["key"], stages[stage]["content"]):
            return f"the manifest of {stage} is that of another artefact"
        if problem := _mismeasured(stage, manifest["metrics"]) or _mismeasured(stage, stages[stage]["metrics"]):
            return f"{stage}: {problem}"
        if manifest["content"] != manifests.content(manifest["files"]):
            return f"the files of {stage} are not those that its content is the hash of"
        for file, fact in manifest["files"].items():
            if not FILE.fullmatch(file) or file == "manifest.json":
                return f"{_short(file)} is no name of a file that textvae writes"
            if fact["size"] < 0:
                return f"{file} has {fact['size']} bytes"
    total = sum(fact["size"] for manifest in found.values() for fact in manifest["files"].values())
    return f"its files have {total:,} bytes, and {MOST:,} is the most" if total > MOST else ""


def _past(moment: str) -> str:
    """A time in UTC as the store writes it, and none that is still to come: pruning compares them."""
    try:
        when = datetime.fromisoformat(moment).astimezone(UTC)
    except (ValueError, OverflowError):
        when = datetime.now(UTC)
    return min(when, datetime.now(UTC)).isoformat(timespec="microseconds")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
