"""docs/performance.md and the tables of other pages, written from the results' files and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import background, fluency, priors, remedies
from benchmarks.machine import RESULTS
from benchmarks.turns import ROOT
from textvae.errors import TextvaeError

PAGE = ROOT / "docs" / "performance.md"
TRAINING = ROOT / "docs" / "training.md"
BEGIN, END = "<!-- measured: python -m benchmarks table -->\n", "<!-- end -->\n"
VARIATIONS = ROOT / "docs" / "variations.md"
RETRAINING = ROOT / "docs" / "retraining.md"
BEGIN_CONDITIONS = "<!-- conditions: python -m benchmarks table -->\n"
BEGIN_AUGMENTATION = "<!-- augmentation: python -m benchmarks table -->\n"
BEGIN_BACKGROUND = "<!-- background: python -m benchmarks table -->\n"
BEGIN_REMEDIES = "<!-- remedies: python -m benchmarks table -->\n"
BEGIN_PRIORS = "<!-- priors: python -m benchmarks table -->\n"
BEGIN_FLUENCY = "<!-- fluency: python -m benchmarks table -->\n"
BARE = "python -c pass"
# Metric of an evaluation -> what the table of recipes calls it; those that no recipe measured are left out.
MEASURED = {"elbo_nll": "ELBO NLL (nats a sequence)", "iw_nll": "IW-NLL (nats a sequence)", "iw_ppl": "PPL from it",
            "lm_ppl": "PPL of a language model of the same size", "real_forward_ppl": "PPL of Kneser-Ney trigrams",
            "kl": "KL (nats)", "mutual_information": "mutual information (nats)", "active_units": "active units",
            "reconstruction_bleu": "BLEU of decode(mean)", "autoencoder_bleu": "... of a plain autoencoder",
            "sample_forward_ppl": "trigrams' PPL of samples", "sample_distinct_2": "distinct-2 of samples",
            "real_distinct_2": "... of as many test sequences", "variation_bleu": "BLEU of variations to their source",
            "variation_ppl": "trigrams' PPL of variations", "source_ppl": "... of their sources"}
TITLES = {"training": "Training the sequence VAE", "recurrent": "The LSTM layer",
          "freed": "Memory that steps free", "sampling": "Writing",
          "likelihood": "Likelihood", "networks": "The other networks", "word_vectors": "Word vectors",
          "startup": "Start-up", "recipe": "A whole recipe", "convergence": "Convergence",
          "scaling": "Growth with corpus and vocabulary",
          "seeds": "The recipe `ptb` from other seeds", "reading": "Reading and cutting posts"}
HEAD = """\
# Performance

Written by `python -m benchmarks table` from the files in [benchmarks/results](../benchmarks/results), which hold every
turn, the machine and the versions; `make bench` measures anew. Every subject runs in a process of its own, and they
take turns; a number is the median of the turns, with its range in brackets. `must` and `aim` are what the project asks
of itself.
"""
COLUMNS = ("work", "textvae", "yardstick", "", "must", "aim", "reached")


def text(results: Path = RESULTS) -> str:
    """The page.

    Args:
        results: Folder of the files that the benchmarks wrote.
    """
    parts = [HEAD]
    for name, title in TITLES.items():
        for path in sorted(results.glob(f"{name}*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            if "rows" in record:
                where = path.stem.removeprefix(name).strip("-")
                parts.append(section(f"{title} ({where})" if where else title, record))
    return "\n".join(parts)


def training(page: str, results: Path = RESULTS) -> str:
    """docs/training.md with new tables between their marks: what the recipes reached, what a fitted prior changed,
    and what each remedy did.

    Args:
        page: The page as it is.
        results: Folder of the files that ``benchmarks/quality.py``, ``priors.py``, ``fluency.py`` and ``remedies.py``
            wrote.
    """
    page = _between(page, BEGIN, _recipes(results))
    fitted = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("priors-*.json"))]
    if fitted:
        page = _between(page, BEGIN_PRIORS, _priors(fitted))
    heard = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("fluency-*.json"))]
    if heard:
        page = _between(page, BEGIN_FLUENCY, [line for own in heard for line in _fluency(own)])
    return _of_one(page, BEGIN_REMEDIES, results / "remedies.json", _remedies)


def variations(page: str, results: Path = RESULTS) -> str:
    """docs/variations.md with new tables between their marks.

    Args:
        page: The page as it is.
        results: Folder of the files that ``benchmarks/variations.py``, ``conditions.py``, ``augmentation.py`` and
            ``background.py`` wrote.
    """
    for name, begin, lines in (("variations", BEGIN, _ways), ("conditions", BEGIN_CONDITIONS, _conditions),
                               ("augmentation", BEGIN_AUGMENTATION, _augmentation)):
        found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob(f"{name}-*.json"))]
        page = _between(page, begin, [line for own in found for line in lines(own)])
    return _of_one(page, BEGIN_BACKGROUND, results / "background.json", _background)


def retraining(page: str, results: Path = RESULTS) -> str:
    """docs/retraining.md with new tables between their marks.

    Args:
        page: The page as it is.
        results: Folder of the files that ``benchmarks/retraining.py`` wrote; what is not there is left out.
    """
    lines = []
    for name, told in (("idle", _idle), ("screening", _screening), ("kills", _kills), ("stages", _kills),
                       ("year", _year)):
        path = results / f"retraining-{name}.json"
        if path.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            lines += [*told(record), "\n", f"{machine(record)}\n", "\n"]
    return _between(page, BEGIN, lines)


def _idle(record: dict[str, Any]) -> list[str]:
    seconds = record["median_seconds"]
    rows = [("", "seconds", f"more than `{BARE}`")]
    rows += [(f"`{name}`", number(took), "" if name == BARE else number(took - seconds[BARE]))
             for name, took in seconds.items()]
    return [f"**Nothing to do**: {record['posts']:,} unchanged posts, {record['runs']} runs; medians of "
            f"{len(record['all'][BARE])} turns.\n", "\n", *_table(rows)]


def _screening(record: dict[str, Any]) -> list[str]:
    rows = [("posts of", "posts", "times the usual bits: 5%, median, 95%", "strange")]
    rows += [(name, f"{own['posts']:,}", ", ".join(number(own[part]) for part in ("low", "median", "high")),
              f"{own['strange']:,}") for name, own in record["groups"].items()]
    return [f"**Posts that do not belong**: beside 18F's, strange from {record['line']:g} times the usual bits a "
            "character on.\n", "\n", *_table(rows)]


def _kills(record: dict[str, Any]) -> list[str]:
    stages = ", ".join(f"{count} in {stage}" for stage, count in record.get("killed_in", {}).items())
    same = "the same, bit for bit" if record["same_artefacts"] else "not the same"
    when = {"kills": "at random times", "stages": "as its stages begin"}[record["name"]]
    return [f"**Killed {when}**: {record['kills']} kills{f' ({stages})' if stages else ''} in "
            f"{record['retrainings']} retrainings; "
            f"what came of them is {same} as without a kill. A reader beside them read {record['readings']:,} times "
            f"what was promoted, and {len(record['not_whole'])} times not all of it was there.\n"]


def _year(record: dict[str, Any]) -> list[str]:
    weeks = record["weeks"]
    promoted = [own for own in weeks if own["result"] == "promoted"]
    bounds = [next(check for check in own["gate"] if check["name"] == "iw_nll") for own in promoted]
    lines = [f"**{len(weeks)} weeks of 18F's posts**: {len(promoted)} runs promoted, held-out IW-NLL "
             f"{number(bounds[0]['before'])} before the first of them and {number(bounds[-1]['after'])} after the "
             f"last; at most {max(own['after'] / own['before'] - 1 for own in bounds):+.2%} from one to the next. The "
             f"store had {max(own['bytes'] for own in weeks) / 2**20:.0f} MiB at most.\n", "\n"]
    rows = [("week", "what came", "result", "why")]
    rows += [(str(own["week"]), "a bad batch" if own["bad"] else "posts", own["result"], own["why"])
             for own in weeks if own["bad"] or own["result"] != "promoted"]
    compared = [("week", "best loss from scratch, in epochs", "epochs until as good from the promoted weights")]
    compared += [(str(own["week"]), f"{number(min(own['cold']))}, {len(own['cold'])}", _epochs(own))
                 for own in weeks if own.get("cold") and own["history"]]
    return [*lines, *_table(rows), "\n", *_table(compared)]


def _epochs(week: dict[str, Any]) -> str:
    reached = [epoch for epoch, loss in enumerate(week["history"], start=1) if loss <= min(week["cold"])]
    return str(reached[0]) if reached else f"not in {len(week['history'])}: {number(min(week['history']))}"


def _conditions(record: dict[str, Any]) -> list[str]:
    kinds = [("", "asked for", "came", "of these, meet all")]
    kinds += [(kind, *(f"{own[name]:,}" for name in ("asked", "came", "met"))) for kind, own in record["words"].items()]
    total = [sum(own[name] for own in record["words"].values()) for name in ("asked", "came", "met")]
    kinds.append(("**all**", *(f"{count:,}" for count in total)))
    lines = [f"`{record['pipeline']}`, {record['each']} variations of each source at strength {record['strength']:g}. "
             f"{machine(record)}\n", "\n", *_table(kinds)]
    for label in record["labels"]:
        rows = [("", "came", "held, by the judge", "BLEU to the source", "perplexity, of the sources'")]
        rows += [(way, f"{own['came']:.1%}", estimate(own["held"]),
                  estimate(own["bleu"]) if "bleu" in own else "", number(own["to_real"]) if "bleu" in own else "")
                 for way, own in label["ways"].items()]
        lines += ["\n", f"`{label['label']}`: {label['sources']} sources without it; the judge is right of "
                  f"{estimate(label['accuracy'])} of real texts.\n", "\n", *_table(rows)]
    return [*lines, "\n"]


def _ways(record: dict[str, Any]) -> list[str]:
    rows = [("", "strength", "content kept", "diversity", "perplexity, of the sources'", "came", "identical",
             "of the training texts", "all five differ")]
    for name, amounts in record["ways"].items():
        rows += [(name, f"**{amount}**" if name == "textvae" and float(amount) == record["default"] else amount,
                  estimate(own["content"]), estimate(own["diversity"]), number(own["to_real"]),
                  *(f"{value:.1%}" for value in (own["came"], *(own[name]["value"] for name in (
                      "identical", "of_training", "all_distinct"))))) for amount, own in amounts.items()]
    return [f"`{record['pipeline']}`, {record['sources']} sources; two different sources have a content of "
            f"{estimate(record['random_pair'])}. {machine(record)}\n", "\n", *_table(rows), "\n"]


def _background(record: dict[str, Any]) -> list[str]:
    rows = [("read", "training sequences", *background.MEASURES.values(), "MI of the latents")]
    rows += [(own["variant"], f"{own['tokens']['sequences']['train']:,}",
              *(estimate(own[name]) for name in background.MEASURES), number(own["mi"]))
             for own in record["backgrounds"]]
    return [f"{record['method']} {record['backgrounds'][0]['sources']} sources. {machine(record)}\n", "\n",
            *_table(rows)]


def _augmentation(record: dict[str, Any]) -> list[str]:
    rows = [("each class", "classifier", "augmented by", "accuracy", "gained", "macro F1", "gained")]
    rows += [(each, f"{name}, {own['draws']} draws", way,
              *(estimate(own[way][metric][part]) for metric in ("accuracy", "macro_f1") for part in ("mean", "gain")))
             for each, found in record["found"].items() for name, own in found.items()
             for way in own if way not in ("draws", "commit", "scores")]
    seen = record["labels_seen_by_the_model"]
    return [f"`{record['pipeline']}`, label `{record['label']}`, {record['n']} texts made of each; "
            f"{record['tested']:,} test texts. Labels that the model learnt from: {', '.join(seen) or 'none'}. "
            f"{machine(record)}\n", "\n",
            *_table(rows), "\n"]


def _of_one(page: str, begin: str, path: Path, lines: Callable[[dict[str, Any]], list[str]]) -> str:
    """The page with the table of one file's record; as it is where there is no such file."""
    return _between(page, begin, lines(json.loads(path.read_text(encoding="utf-8")))) if path.exists() else page


def _between(page: str, begin: str, lines: list[str]) -> str:
    if begin not in page:
        raise TextvaeError(f"the page has no line {begin.strip()}",
                           f"put it and {END.strip()} where the table belongs")
    before, _, rest = page.partition(begin)
    return "".join([before, begin, "\n", *lines, "\n", END, rest.partition(END)[2]])


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |\n" for row in (rows[0], ("---",) * len(rows[0]), *rows[1:])]


def _remedies(record: dict[str, Any]) -> list[str]:
    rows = [("", *remedies.METRICS.values())]
    rows += [(own["variant"], *(estimate(own["metrics"][name]) for name in remedies.METRICS))
             for own in record["remedies"]]
    return [f"{record['method']} {machine(record)}\n", "\n", *_table(rows)]


def _priors(found: list[dict[str, Any]]) -> list[str]:
    rows = [("", *(f"`{own['pipeline']}`, {name}" for own in found for name in own["priors"]),
             *(f"`{own['pipeline']}`, real texts" for own in found))]
    rows.append(("Gaussians", *(number(side["components"]) for own in found for side in own["priors"].values()),
                 *("" for _ in found)))
    for metric, title in priors.METRICS.items():
        real = priors.OF_REAL.get(metric)
        rows.append((title, *(estimate(side["metrics"][metric]) for own in found for side in own["priors"].values()),
                     *(estimate(own["priors"]["standard"]["metrics"][real]) if real else "" for own in found)))
    return [*_table(rows), "\n", *(f"`{own['pipeline']}`: {machine(own)}\n" for own in found)]


def _fluency(found: dict[str, Any]) -> list[str]:
    shares = found["shares"]
    rows = [(f"`{found['pipeline']}`, fluency", *shares, "real texts")]
    for metric, title in fluency.METRICS.items():
        real = fluency.OF_REAL.get(metric)
        rows.append((title, *(estimate(own[metric]) for own in shares.values()),
                     estimate(next(iter(shares.values()))[real]) if real else ""))
    return [*_table(rows), "\n", f"{machine(found)}\n"]


def _recipes(results: Path) -> list[str]:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("quality-*.json"))]
    rows = [("", *(f"`{own['pipeline']}`" for own in found))]
    rows.append(("hidden, z, beta", *(", ".join(number(own["settings"]["sequence_vae"][name])
                                                for name in ("hidden", "latent", "beta")) for own in found)))
    rows.append(("seed; minutes; on", *(f"{own['settings']['seed']}; {sum(own['seconds'].values()) / 60:.0f}; "
                                        f"{own['made_by']['device']['name']}" for own in found)))
    for name, title in MEASURED.items():
        measured = [own["metrics"].get(name) for own in found]
        if any(measured):
            rows.append((title, *(estimate(own) if own else "" for own in measured)))
    return _table(rows)


def estimate(own: dict[str, Any]) -> str:
    """A metric with its interval.

    Example:
        >>> estimate({"value": 101.23, "low": 99.8, "high": 102.7})
        '101.2 [99.8, 102.7]'
    """
    return number(own["value"]) + (f" [{number(own['low'])}, {number(own['high'])}]" if own["low"] is not None else "")


def section(title: str, record: dict[str, Any]) -> str:
    """One benchmark: its method, the machine, the table."""
    rows = [cells(own) for own in record["rows"]]
    # Without a yardstick there is nothing to reach.
    columns = [i for i in range(len(COLUMNS)) if i < 2 or any(own[i] != "–" for own in rows)]
    lines = ["| " + " | ".join(own[i] for i in columns) + " |" for own in (COLUMNS, *rows)]
    lines.insert(1, "|" + "---|" * len(columns))
    return "\n".join([f"## {title}", "", record["method"], "", machine(record), "", *lines, ""])


def machine(record: dict[str, Any]) -> str:
    """Where and with what it was measured, as a sentence."""
    own = record["machine"]
    packages = ", ".join(f"{name} {own['packages'][name]}" for name in ("tensorflow", "jax", "torch", "keras", "gensim")
                         if name in own["packages"])
    gpu = f", {own['gpu']}" if own.get("gpu") else ""
    told = f"; `XLA_FLAGS={own['xla_flags']}`" if own.get("xla_flags") else ""
    widest = f" with {own['instructions']}" if own.get("instructions") else ""
    return f"{own['cpu']}{widest}, {own['cores']} cores{gpu}, load {own['load'][0]:g} at the start; {packages}{told}."


def cells(own: dict[str, Any]) -> tuple[str, ...]:
    """A row's cells, one for each of ``COLUMNS``.

    Example:
        >>> cells({"work": "this", "skipped": "no GPU"})
        ('this', 'skipped: no GPU', '–', '–', '–', '–', '–')
    """
    if "skipped" in own:
        return own["work"], f"skipped: {own['skipped']}", *"–" * 5
    if "compared" not in own:
        return own["work"], rate(own["ours"], own["unit"]), *"–" * 5
    shape = {"ratio": "{:.2f} times", "share": "{:.0%}", "difference": "{:+.2f} s",
             "change": "{:+.2%}"}[own["compared"]]
    goal = {"ratio": "{:g} times", "share": "{:.0%}", "difference": "{:+g} s", "change": "{:+.2%}"}[own["compared"]]
    reached = {"aim": "yes, the aim", "must": "yes", "no": "**no**"}[own["reached"]]
    return (own["work"], rate(own["ours"], own["unit"]),
            f"{own['yardstick']['subject']}: {rate(own['yardstick'], own['unit'])}", shape.format(own["value"]),
            goal.format(own["must"]), goal.format(own["aim"]), reached)


def rate(own: dict[str, Any], unit: str) -> str:
    """A median with its range.

    Example:
        >>> rate({"median": 10123.4, "min": 9876.5, "max": 10200.0}, "tokens/s")
        '10,120 tokens/s (9,876 to 10,200)'
    """
    if own["min"] == own["max"]:
        return f"{number(own['median'])} {unit}"
    return f"{number(own['median'])} {unit} ({number(own['min'])} to {number(own['max'])})"


def number(value: float) -> str:
    """Four digits.

    Example:
        >>> number(10123.4), number(0.01234), number(81.236)
        ('10,120', '0.01234', '81.24')
    """
    if abs(value) >= 1000:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.4g}"


# Page -> what puts new tables into it.
TABLES = {TRAINING: training, VARIATIONS: variations, RETRAINING: retraining}
