"""Posts as they were read, and what could not be read."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from textvae.data._files import read_json, write_json
from textvae.errors import StoreError

BACKGROUND = "background"  # the split of a post that is there to learn the language from, and for nothing else
SHARD = 50_000  # posts per Parquet file, so that a shard fits the memory of a laptop


@dataclass(frozen=True)
class Post:
    """One post, or one row of a table.

    Args:
        id: Stable name: the path below the corpus folder, or the file and the row's id or content hash.
        text: Prose without markup.
        title, author, date: As found; empty where absent.
        labels: ``"key=value"`` each, such as ``"sentiment=positive"`` or ``"tag=design"``.
        source: The file it came from.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``BACKGROUND`` where given by files; else empty.
    """

    id: str
    text: str
    title: str = ""
    author: str = ""
    date: str = ""
    labels: tuple[str, ...] = ()
    source: str = ""
    split: str = ""

    @property
    def hash(self) -> str:
        """sha256 of the text, in hex."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Rejected:
    """An input that was not taken: where it stands and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """All posts in reading order, the rejected inputs, and counts.

    On disk: ``posts-0000.parquet`` and so on, ``rejected.jsonl``, ``metrics.json``.
    """

    posts: tuple[Post, ...]
    rejected: tuple[Rejected, ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)

    COLUMNS: ClassVar = ("id", "text", "title", "author", "date", "labels", "source", "split")

    def __post_init__(self) -> None:
        if not all(isinstance(post, Post) for post in self.posts):
            raise ValueError("Corpus.posts must hold Post records only")
        if len({post.id for post in self.posts}) != len(self.posts):
            raise ValueError("Corpus.posts must have ids that differ from one another")

    def save(self, folder: Path) -> None:
        """Write into an existing folder."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([(name, pa.list_(pa.string()) if name == "labels" else pa.string())
                            for name in (*self.COLUMNS, "hash")])
        for shard, start in enumerate(range(0, max(len(self.posts), 1), SHARD)):
            rows = [{**asdict(post), "labels": list(post.labels), "hash": post.hash}
                    for post in self.posts[start:start + SHARD]]
            pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"posts-{shard:04d}.parquet")
        lines = [json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in self.rejected]
        (folder / "rejected.jsonl").write_text("".join(lines), encoding="utf-8")
        write_json(folder / "metrics.json", self.metrics)

    @classmethod
    def load(cls, folder: Path) -> "Corpus":
        """Read what ``save`` wrote."""
        import pyarrow.parquet as pq

        try:
            rows = [row for path in sorted(folder.glob("posts-*.parquet"))
                    for row in pq.read_table(path, columns=list(cls.COLUMNS)).to_pylist()]
        except OSError as error:
            raise StoreError(f"cannot read the corpus in {folder}: {error}") from error
        posts = tuple(Post(**{**row, "labels": tuple(row["labels"])}) for row in rows)
        # Not splitlines: a file's name may hold Unicode's own line ends, which JSON leaves as they are.
        lines = (folder / "rejected.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        return cls(posts, tuple(Rejected(**json.loads(line)) for line in lines), read_json(folder / "metrics.json"))
