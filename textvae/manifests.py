"""What the store writes about its files: sealed JSON records, the sha256 of every file, and who made it.

A seal is the sha256 of a record's own text, so that a changed byte in the record is found as well.
"""

import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from textvae.errors import StoreError

PACKAGES = ("textvae", "numpy", "keras", "tensorflow", "jax", "torch", "gensim", "tokenizers", "pyarrow", "h5py")


def now() -> str:
    """The time in UTC to the microsecond, such as ``2026-11-20T12:00:00.000000+00:00``."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@cache
def provenance() -> dict[str, Any]:
    """Who makes what is made now: versions of Python and of the packages, and textvae's commit in a checkout."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    home, commit = Path(__file__).parents[1], ""
    # Only textvae's own checkout counts: an environment inside somebody's project is not a checkout of textvae.
    if (home / ".git").exists():
        command = ["git", "-C", str(home), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        try:
            commit = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            commit = ""
    return {"python": platform.python_version(), "packages": packages, "commit": commit}


def files(folder: Path) -> list[str]:
    """Every file below a folder, links included, as sorted relative names."""
    found = []
    # os.walk passes over what a writer takes away meanwhile, where Path.rglob raises.
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        links = [name for name in folders if (here / name).is_symlink()]
        found += [(here / name).relative_to(folder).as_posix() for name in (*names, *links)]
    return sorted(found)


def discard(path: Path) -> None:
    """Delete a folder with all that is in it, or whatever else lies there, such as a desktop's ``.DS_Store``."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def fact(path: Path) -> dict[str, Any]:
    """What a manifest keeps of one file: ``{"sha256": hex, "size": bytes}``."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "size": path.stat().st_size}


def facts(folder: Path) -> dict[str, dict[str, Any]]:
    """The same of every file below a folder, by its name."""
    return {name: fact(folder / name) for name in files(folder)}


def content(facts: dict[str, dict[str, Any]]) -> str:
    """One hash for all files of an artefact, from what its manifest keeps of each."""
    return sha256(json.dumps(facts))


def difference(path: Path, written: dict[str, Any]) -> str:
    """Say in words how a file differs from what was written; empty where it does not."""
    try:
        size = path.stat().st_size
        if size != written["size"]:
            return f"is damaged: {size} bytes instead of {written['size']}"
        return "" if fact(path) == written else "is damaged: its contents changed since it was written"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def settle(folder: Path) -> None:
    """Give files the modes of the user's umask, so that a team can share them, and force all to disk."""
    mode = folder.stat().st_mode & 0o666
    for name in files(folder):
        (folder / name).chmod(mode)
        sync(folder / name)
    for path in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        sync(path)


def sync(path: Path) -> None:
    """Force a file's or a folder's contents to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(text: str) -> str:
    """The sha256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def seal(record: dict[str, Any]) -> str:
    """Turn a record into JSON text that ends with its own seal.

    Example:
        >>> json.loads(seal({"stage": "tokens"}))["seal"][:8]
        '3c2b2326'
    """
    plain = _plain(record)
    return _text({**plain, "seal": sha256(_text(plain))})


def unseal(path: Path, remedy: str) -> dict[str, Any]:
    """Read a sealed record.

    Args:
        path: The file.
        remedy: What the user can do about a damaged one.

    Raises:
        StoreError: It cannot be read, or a byte of it changed.
    """
    try:
        record = parse(path.read_bytes())
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", remedy) from error
    if record is None:
        raise StoreError(f"{path} is damaged: its contents changed since it was written", remedy)
    return record


def parse(sealed: bytes) -> dict[str, Any] | None:
    """The record of a sealed text; None where a byte of it changed, or it never was one."""
    try:
        text = sealed.decode("utf-8")
        record: dict[str, Any] = json.loads(text)
        own = record.pop("seal")
        # All that stands before the seal is what was sealed, blanks and all; to write it out again takes longer.
        end = ("," if record else "") + f'\n "seal": "{own}"\n}}\n'
        plain = text.removesuffix(end) + ("\n}\n" if record else "}\n")
        whole = text.endswith(end) and own == sha256(plain)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return record if whole else None


def _text(value: Any) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # numpy's numbers
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
