"""Sequences of token ids: flat, memory-mapped, never padded on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from textvae.data._files import check_array, read_json, write_json

PAD, BEGIN, END, UNKNOWN = 0, 1, 2, 3
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Tokens:
    """Token ids of every sequence, in reading order.

    Args:
        ids: int32 [tokens]; every sequence's tokens one after the other, without begin, end or padding.
        offsets: int64 [sequences + 1]; sequence i is ``ids[offsets[i]:offsets[i + 1]]``.
        post: int32 [sequences]; the row in ``post_ids`` of the post it comes from.
        position: int32 [sequences]; its place in that post, from 0.
        split: uint8 [sequences]; the index in ``SPLITS``, the same for all sequences of a post.
        post_ids: The posts' ids.
        post_labels: Each post's labels, ``"key=value"`` each.
        tokenizer: The tokenizer as JSON values, for ``textvae.text.tokenizer.load``.
        metrics: Counts: sequences and tokens per split, what was cut or dropped.
        words: How often each word, case folded, stands in the training split, where the sequences themselves were left
            out of what came from elsewhere; else None.
        pairs: In the same case, which tokens follow each other twice or more in it: int32 [pairs, 3], a token, the next
            one (BEGIN and END among them), and how often; else None.
        background: bool [posts]; which of them are there to learn the language from, all in the training split; None
            where none is.
    """

    ids: np.ndarray
    offsets: np.ndarray
    post: np.ndarray
    position: np.ndarray
    split: np.ndarray
    post_ids: tuple[str, ...]
    post_labels: tuple[tuple[str, ...], ...]
    tokenizer: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)
    words: dict[str, int] | None = None
    pairs: np.ndarray | None = None
    background: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.post)
        check_array("Tokens", "ids", self.ids, np.int32, "tokens", (None,))
        check_array("Tokens", "offsets", self.offsets, np.int64, "sequences + 1", (count + 1,))
        check_array("Tokens", "post", self.post, np.int32, "sequences", (count,))
        check_array("Tokens", "position", self.position, np.int32, "sequences", (count,))
        check_array("Tokens", "split", self.split, np.uint8, "sequences", (count,))
        if self.pairs is not None:
            check_array("Tokens", "pairs", self.pairs, np.int32, "pairs, 3", (None, 3))
            if (self.pairs < (0, 0, 1)).any() or self.pairs[:, :2].max(initial=0) >= self.vocabulary_size:
                raise ValueError("Tokens.pairs must hold token ids, and how often they follow each other")
        if self.background is not None:
            check_array("Tokens", "background", self.background, np.bool_, "posts", (len(self.post_ids),))
        if len(self.post_ids) != len(self.post_labels):
            raise ValueError("Tokens.post_ids and Tokens.post_labels must have one entry per post each")
        if count and int(self.offsets[-1]) != len(self.ids):
            raise ValueError(f"Tokens.offsets ends at {self.offsets[-1]} but there are {len(self.ids)} ids")
        if not all(isinstance(times, int) for times in (self.words or {}).values()):
            raise ValueError("Tokens.words must hold whole numbers only")

    def __len__(self) -> int:
        return len(self.post)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per sequence, int64 [sequences]."""
        return np.diff(self.offsets)

    @property
    def vocabulary_size(self) -> int:
        """How many token ids there are, the special ones included."""
        return int(self.tokenizer["size"])

    def sequence(self, row: int) -> np.ndarray:
        """The token ids of one sequence, int32 [tokens of it]."""
        return self.ids[self.offsets[row]:self.offsets[row + 1]]

    def rows(self, split: str, *, own: bool = False) -> np.ndarray:
        """The sequences of one split in reading order, int64 [sequences of it]; with ``own``, without background."""
        found = np.flatnonzero(self.split == SPLITS.index(split))
        return found if self.background is None or not own else found[~self.background[self.post[found]]]

    def counts(self, split: str, *, ends: bool = False) -> np.ndarray:
        """How often each token stands in a split, int64 [vocabulary]; with ``ends``, each sequence's end as well."""
        found = np.bincount(self.ids[np.repeat(self.split == SPLITS.index(split), self.lengths)],
                            minlength=self.vocabulary_size).astype(np.int64)
        if ends:
            found[END] += len(self.rows(split))
        return found

    def label_places(self, labels: Sequence[str]) -> np.ndarray:
        """For each sequence the place, from 1, of the first label that its post has, 0 for none: int32 [sequences]."""
        of_post = [next((i for i, label in enumerate(labels, 1) if label in own), 0) for own in self.post_labels]
        return np.array(of_post, np.int32)[self.post]

    def save(self, folder: Path) -> None:
        """Write ``ids.npy``, ``offsets.npy``, ``sequences.parquet``, ``posts.parquet``, ``tokenizer.json`` and such."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        np.save(folder / "ids.npy", self.ids, allow_pickle=False)
        np.save(folder / "offsets.npy", self.offsets, allow_pickle=False)
        pq.write_table(pa.table({"post": self.post, "position": self.position, "split": self.split}),
                       folder / "sequences.parquet")
        labels = pa.array([list(own) for own in self.post_labels], pa.list_(pa.string()))
        aside = {} if self.background is None else {"background": self.background}
        pq.write_table(pa.table({"id": pa.array(self.post_ids, pa.string()), "labels": labels, **aside}),
                       folder / "posts.parquet")
        write_json(folder / "tokenizer.json", self.tokenizer)
        write_json(folder / "metrics.json", self.metrics)
        if self.words is not None:
            write_json(folder / "words.json", self.words)
        if self.pairs is not None:
            np.save(folder / "pairs.npy", self.pairs, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "Tokens":
        """Read what ``save`` wrote; the ids stay on disk, memory-mapped."""
        import pyarrow.parquet as pq

        table = pq.read_table(folder / "sequences.parquet")
        posts, words, pairs = pq.read_table(folder / "posts.parquet"), folder / "words.json", folder / "pairs.npy"
        return cls(
            ids=np.load(folder / "ids.npy", mmap_mode="r", allow_pickle=False),
            offsets=np.load(folder / "offsets.npy", allow_pickle=False),
            post=table["post"].to_numpy(), position=table["position"].to_numpy(), split=table["split"].to_numpy(),
            post_ids=tuple(posts["id"].to_pylist()),
            post_labels=tuple(tuple(own) for own in posts["labels"].to_pylist()),
            tokenizer=read_json(folder / "tokenizer.json"),
            metrics=read_json(folder / "metrics.json"),
            words=read_json(words) if words.exists() else None,
            pairs=np.load(pairs, allow_pickle=False) if pairs.exists() else None,
            background=(posts["background"].to_numpy() if "background" in posts.column_names else None),
        )
