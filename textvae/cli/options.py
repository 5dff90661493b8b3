"""Arguments and options that several commands share."""

import re
from pathlib import Path
from typing import Any

import click

# More than anybody reads, and few enough that what is drawn for them has room.
COUNT, CANDIDATES = click.IntRange(1, 100_000), click.IntRange(1, 1_000)
UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Age(click.ParamType):
    """A time such as 7d, in seconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number and its unit."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no time: give a number of minutes, hours, days or weeks, as in 90m, 36h, 7d, 2w",
                      param, ctx)
        return float(match[1]) * UNITS[match[2]]


CONVERT = "convert it first, for example with iconv -f latin1 -t utf-8"  # the hint for what is not UTF-8


class Text(click.ParamType):
    """A text as it is; bytes that are no UTF-8, which Python reads as halves of characters, are refused."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse a text with such a byte as a line of standard input would be."""
        from textvae.errors import InputError

        text = str(value)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"{text!r}: not UTF-8: byte {ord(text[error.start]) & 0xff:#x}", CONVERT) from error
        return text


TEXT = Text()
pipeline = click.argument("pipeline")
corpus = click.option("--corpus", metavar="PATH", help="Read this corpus: short for --set corpus.path=PATH.")
overrides = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                         help="Change a setting, such as tokens.level=word; may be given again.")
store = click.option("--store", type=click.Path(path_type=Path, file_okay=False), default=Path("models"),
                     show_default=True, metavar="DIR", help="Folder of the store.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one value a line.")
device = click.option("--device", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True,
                      help="Where to compute; asking for a GPU that is not there is an error.")
precision = click.option("--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto",
                         show_default=True, help="How precisely to compute; auto takes bfloat16 on a GPU.")
of_run = click.option("--run", "run", type=click.IntRange(min=1), metavar="N",
                      help="Read this run instead of the promoted one.")
# A fixed seed: the same command prints the same texts, and another seed prints others.
seed = click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N",
                    help="Another seed gives other texts; the same one repeats them.")
strength = click.option("--strength", type=click.FloatRange(min=0.0, max=1.0), metavar="S", default=0.25,
                        show_default=True, help="How far to go: from 0, about a word of the text, to 1, any text.")
# At 0.6 the words are likely ones, and still differ from draw to draw; the evaluation measures at the same.
temperature = click.option("--temperature", type=click.FloatRange(min=0.0), metavar="T", default=0.6,
                           show_default=True, help="Below 1 more likely words, above 1 bolder ones.")
sampler = click.option("--sampler", type=click.Choice(["greedy", "temperature", "top_k", "nucleus", "beam"]),
                       default="nucleus", show_default=True, help="How the next token is chosen.")
fluency = click.option("--fluency", type=click.FloatRange(min=0.0, max=1.0), metavar="F",
                       help="How much what reads well counts in each word beside what the text's latent says: 0 not at "
                            "all, 1 alone.  [default: 0.45 where sequence_vae.latent_dropout was set, what training "
                            "found for samples without a region, a near text or a judged label, else 0]")
candidates = click.option("--candidates", type=CANDIDATES, default=16, show_default=True, metavar="N",
                          help="Texts written for each one wanted, of which the best stays: more read better and take "
                               "longer.")
constraint = click.option("--constraint", "constraints", metavar="NAME", multiple=True,
                          help="Only texts inside this constraint's region, and of the label that defines it, if "
                               "one does; may be repeated.")
near = click.option("--near", type=TEXT, metavar="TEXT", multiple=True,
                    help="Only texts within --distance of this one in the latent space; may be repeated.")
far = click.option("--far", type=TEXT, metavar="TEXT", multiple=True,
                   help="Only texts at least --distance from this one; may be repeated.")
distance = click.option("--distance", type=click.FloatRange(min=0.0, min_open=True), metavar="D",
                        help="Of --near and --far, in the unit that vary prints.  [default: half of and all of the "
                             "distance of two texts that have nothing in common]")
label = click.option("--label", metavar="LABEL", help="Write what has this label, key=value, of sequence_vae.labels.")
judged = click.option("--judged", metavar="LABEL", multiple=True,
                      help="Only texts that a classifier takes to have this label, key=value, of the corpus; may be "
                           "repeated.")
must = click.option("--must", type=TEXT, metavar="WORD", multiple=True,
                    help="Only texts with this word or phrase; may be repeated.")
avoid = click.option("--avoid", type=TEXT, metavar="WORD", multiple=True,
                     help="No text with this word or phrase, or with a match of /REGEX/; may be repeated.")
max_words = click.option("--max-words", type=click.IntRange(min=1), metavar="N", help="Only texts of at most N words.")


def given(corpus: str | None, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """What ``--corpus`` and ``--set`` say, as overrides of the settings."""
    import json

    # In quotes, so that a folder called 2024 stays a text: JSON's escapes are TOML's.
    path = () if corpus is None else (f"corpus.path={json.dumps(corpus, ensure_ascii=False)}",)
    return (*overrides, *path)
