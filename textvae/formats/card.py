"""The model card of a run: what it was trained on, what it reaches, and what it must not be trusted with.

It holds numbers and settings. Nothing of a post is in it, and no path of the machine that the run was made on.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textvae.data import SPLITS
from textvae.errors import StoreError
from textvae.planning import UNKEYED
from textvae.runs import GENERATES, Run
from textvae.store import Store

# What of the evaluation stands in the card; the report has all of it.
MEASURED = ("elbo_nll", "iw_nll", "iw_ppl", "kl", "mutual_information", "active_units", "reconstruction_bleu",
            "reconstruction_exact", "variation_found", "variation_bleu", "variation_ppl", "source_ppl", "shuffled_ppl",
            "sample_distinct_2", "real_distinct_2", "sample_forward_ppl", "real_forward_ppl", "sample_verbatim",
            "satisfied_", "judged_", "turned_")
LITTLE = 1_000_000  # tokens below which sentences read as English and say little, as the recipes show
TOLD = {  # file -> what the card says of it
    "encoder": "token ids to posterior means", "decoder": "latents and the tokens so far to the next tokens' logits",
    "model": "names, shapes and types of inputs and outputs, the special tokens",
    "tokenizer": "the tokenizer, as textvae keeps it", "words": "one token a line, the first that of id 0",
    "word_vectors": "word vectors, word2vec's text format", "compressed_vectors": "compressed ones, in the same format"}
BACKENDS = ("tensorflow", "jax", "torch")  # of which a run uses one, whichever are installed
UNKNOWN_LICENCE = "The licence of the posts is not known to textvae: say it here."


def render(store: Store, run: Run, files: Sequence[str] = ()) -> str:
    """The card of a run, in Markdown with the front matter that model hubs read.

    Args:
        store: Where the run is.
        run: Of which its sequence VAE must be there.
        files: What lies beside the card.

    Raises:
        StoreError: The run has no sequence VAE.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from textvae import config

    if GENERATES not in run.stages:
        raise StoreError(f"run {run.number} of {store.pipeline} has no {GENERATES}, so there is no model to describe",
                         f"finish it with: textvae run {store.pipeline}")
    settings = config.as_dict(config.parse(dict(run.config), where=f"run {run.number} of {store.pipeline}"))
    metrics = {stage: fact["metrics"] for stage, fact in run.stages.items()}
    tested = metrics.get("evaluation", {})
    own = settings["sequence_vae"]
    # A template of Markdown: what could be read as markup is escaped by the filter plain, not as HTML.
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=False, trim_blocks=True,
                              lstrip_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"plain": plain, "code": code, "number": number, "duration": duration, "interval": _interval}
    return environment.get_template("card.md").render(
        pipeline=store.pipeline, run=asdict(run),
        licence="other" if "licence" in _sheet(settings["corpus"]["path"]) else "unknown",
        unit={"sentence": "sentences", "post": "whole posts"}.get(settings["tokens"]["unit"], "stretches of text"),
        longest=settings["tokens"]["max_length"],
        latent=f"{own['latent']} " + ("discrete variables" if own["posterior"] == "categorical" else "numbers"),
        data=_data(settings, metrics, run.origin), limits=_limits(settings, metrics, tested),
        measured=_measured(tested),
        tested=f"{number(_value(tested, 'test_sequences'))} sequences", device=_device(run.device),
        packages={name: version for name, version in run.packages.items()
                  if name not in BACKENDS or name == run.device.get("backend", "tensorflow")},
        stages=[_stage(store, run, stage, settings) for stage in run.stages],
        files=[(name, TOLD[name.partition(".")[0]]) for name in files])


def plain(text: Any) -> str:
    r"""A text that Markdown shows as it is, on one line.

    Example:
        >>> plain("a_b | <i>"), plain("*1.* [x](y)")
        ('a_b \\| \\<i>', '\\*1.\\* \\[x\\](y)')
    """
    return re.sub(r"([\\`*\[\]<|~$]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(str(text).split()))


def code(text: Any) -> str:
    r"""A text as Markdown's code in a table's cell.

    Example:
        >>> code("a_b | `c`")
        "`a_b \\| 'c'`"
    """
    return "`" + " ".join(str(text).split()).replace("`", "'").replace("|", r"\|") + "`"


def number(value: Any) -> str:
    """A number in few digits.

    Example:
        >>> number(132.156), number(12359.6), number(3.0), number(0.00012), number(None)
        ('132.2', '12,360', '3', '0.00012', '–')
    """
    if not isinstance(value, int | float):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them.

    Example:
        >>> duration(4.25), duration(75), duration(7260)
        ('4.2 s', '1.2 min', '2.0 h')
    """
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min" if seconds < 3600 else (
        f"{seconds / 3600:.1f} h")


def _interval(own: dict[str, Any]) -> str:
    return f"[{number(own['low'])}, {number(own['high'])}]" if own.get("low") is not None else ""


def _value(tested: dict[str, Any], name: str) -> float | None:
    value = tested.get(name, {}).get("value")
    return value if isinstance(value, int | float) else None


def _measured(tested: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What was measured of ``MEASURED``, in its order; a name that ends with _ stands for all that begin with it."""
    return [(name, own) for wanted in MEASURED for name, own in tested.items() if "definition" in own
            and (name == wanted or (wanted.endswith("_") and name.startswith(wanted)))]


def _sheet(path: str) -> dict[str, str]:
    """What the data sheet of a sample corpus says, by the name of its row; nothing of a user's own corpus."""
    package = Path(__file__).resolve().parent.parent
    for sheet in (package / "samples" / "README.md", package.parent / "corpora" / "README.md"):
        if path.startswith("sample:") and sheet.is_file():
            section = sheet.read_text(encoding="utf-8").partition(f"## {path}\n")[2].partition("\n## ")[0]
            return dict(re.findall(r"^\| (\w+) \| (.*) \|$", section, re.M))
    return {}


def _data(settings: dict[str, Any], metrics: dict[str, Any], origin: dict[str, Any]) -> list[tuple[str, str]]:
    corpus, tokens, path = metrics.get("corpus", {}), metrics.get("tokens", {}), settings["corpus"]["path"]
    sheet = _sheet(path)
    form = {"folder": "a folder of posts", "table": "a table", "jsonl": "JSON Lines", "lines": "one text per line"}
    where = (f"`{path}`: {sheet['what']}" if "what" in sheet else
             f"{form.get(settings['corpus']['format'], 'posts')} of whoever trained it: say here where they are from")
    found = [("From", where + (f"; the run came from elsewhere, there run {origin['run']} of "
                               f"{plain(origin['pipeline'])}" if origin else ""))]
    if corpus:
        found.append(("Posts", f"{number(corpus.get('posts'))} of {number(corpus.get('words'))} words in all; "
                               f"{number(corpus.get('duplicates', 0))} duplicates were left out, "
                               f"{number(corpus.get('rejected', 0))} could not be read"))
    if aside := corpus.get("background_words"):
        other = settings["corpus"].get("background", "")
        found.append(("Background", f"{number(aside)} words of {f'`{other}`' if _sheet(other) else 'other texts'}, to "
                                    "learn the language from"))
    for name in ("sequences", "tokens"):
        if counts := tokens.get(name):
            found.append((name.capitalize(), ", ".join(f"{number(counts[split])} for {word}" for split, word in zip(
                SPLITS, ("training", "validation", "the test"), strict=True) if split in counts)))
    kinds = {"bpe": "pieces of words (byte-level BPE)", "word": "words", "whitespace": "what stands between blanks"}
    found.append(("Vocabulary", f"{number(tokens.get('vocabulary'))} {kinds[settings['tokens']['level']]}"
                  + (", case folded" if settings["tokens"]["lowercase"] else "")))
    if labels := settings["sequence_vae"]["labels"]:
        found.append(("Labels it was told", ", ".join(map(plain, labels))))
    if regions := settings["sequence_vae"]["constraints"]:
        found.append(("Regions it was trained to keep", ", ".join(plain(own["name"]) for own in regions)))
    return [*found, ("Language", "Not known to textvae: say it here."),
            ("Licence", sheet.get("licence", UNKNOWN_LICENCE))]


def _limits(settings: dict[str, Any], metrics: dict[str, Any], tested: dict[str, Any]) -> list[str]:
    tokens, verbatim = metrics.get("tokens", {}), _value(tested, "sample_verbatim")
    looked = ("" if verbatim is None else f"Of the samples that were looked at, {verbatim:.0%} stand word for word in "
              "the training posts; that counts whole sequences only. ")
    found = ["It may know sentences of its posts by heart, names and numbers among them: do not share it more widely "
             f"than the posts themselves. {looked}Nobody looked for personal data in the posts.",
             "It repeats the views and the prejudices of its posts, and knows nothing that stands in none of them.",
             "A variation keeps topic and shape, not facts: names, numbers and negations change."]
    trained = tokens.get("tokens", {}).get("train")
    if trained is not None and trained < LITTLE:
        found.append(f"{number(trained)} tokens are little to learn a language from: expect sentences that mostly read "
                     "well and say little.")
    found.append(f"A text of more than {settings['tokens']['max_length']} tokens cannot be read. Short, common "
                 "sentences come out best; long ones lose their thread.")
    unknown = tokens.get("unknown", {}).get("test")
    if unknown is not None and unknown >= 0.01:
        found.append(f"{unknown:.0%} of the words of the test posts are not in the vocabulary, and read as unknown.")
    bleu, exact = _value(tested, "reconstruction_bleu"), _value(tested, "reconstruction_exact")
    if bleu is not None and exact is not None:
        found.append("What is encoded comes back as a text of the same kind, seldom word for word: BLEU "
                     f"{number(bleu)} of 100 to the source, {exact:.0%} exactly.")
    return [*found, *_collapse(settings, tested)]


def _collapse(settings: dict[str, Any], tested: dict[str, Any]) -> list[str]:
    """Whether texts depend on z: a posterior that collapsed says the same of every text."""
    active, information = _value(tested, "active_units"), _value(tested, "mutual_information")
    if active is None or information is None:
        return []
    own = settings["sequence_vae"]
    of = own["latent"] * (own["categories"] if own["posterior"] == "categorical" else 1)
    said = f"{number(active)} of {of} latent dimensions are in use, and z and text share {information:.1f} nats"
    # One nat tells fewer than three texts apart.
    return [f"{said}: the posterior collapsed in part, so that what is written depends little on what was read."
            if information < 1.0 or active < of / 2 else f"{said}: the posterior did not collapse."]


def _stage(store: Store, run: Run, stage: str, settings: dict[str, Any]) -> dict[str, str]:
    """A stage's row: how long it took, on what if not the run's device, and its settings that are words or numbers."""
    fact = run.stages[stage]
    device = _device(store.manifest(stage, fact["key"])["device"]) if store.has(stage, fact["key"]) else ""
    elsewhere = f" on {device}" if device not in ("", "cpu", _device(run.device)) else ""
    own = {} if stage == "corpus" else {name: value for name, value in settings[stage].items()
                                        if not isinstance(value, list) and name not in UNKEYED.get(stage, ())}
    told = code(", ".join(f"{name} {value}" for name, value in own.items())) if own else ""
    return {"name": stage, "time": duration(fact["seconds"]) + elsewhere,
            "settings": "not trained" if fact["metrics"].get("trained") is False else told}


def _device(device: dict[str, Any]) -> str:
    said = [device.get("name") or device.get("kind", ""), device.get("backend", ""), device.get("precision", "")]
    return ", ".join(item for item in said if item)
