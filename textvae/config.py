"""The settings: one frozen dataclass per stage, read once from a pipeline's TOML file and passed down.

An unknown or mistyped setting is refused before anything runs, and the right one is suggested.
"""

import dataclasses
import difflib
import json
import math
import tomllib
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from textvae.errors import ConfigError


def option(default: Any, help: str, *, choices: tuple[str, ...] = (), least: float | None = None,
           most: float | None = None) -> Any:
    """Declare one setting: its default, what it means, and the values it may take."""
    metadata = {"help": help, "choices": choices, "least": least, "most": most}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class CorpusConfig:
    """Where the posts are and how to read them."""

    path: str = option("", "folder, CSV/TSV, JSON Lines or text file; sample:lee and sample:posts come with textvae")
    format: str = option("auto", "what the path holds", choices=("auto", "folder", "table", "jsonl", "lines"))
    validation: str = option("", "a file or folder whose posts are the validation split")
    test: str = option("", "a file or folder whose posts are the test split")
    background: str = option("", "a file or folder of other texts in the same language, that only training reads: few "
                             "posts of one's own are too few to learn a language from")
    encoding: str = option("", "encoding of all but the background texts; found from the bytes when empty")
    text_column: str = option("", "column or key of the text; found by its usual names when empty")
    title_column: str = option("", "column or key of the title")
    author_column: str = option("", "column or key of the author")
    date_column: str = option("", "column or key of the date")
    id_column: str = option("", "column or key that names a post; its content's hash when empty")
    label_columns: tuple[str, ...] = option((), "columns or keys of labels; found by their usual names when empty")
    columns: tuple[str, ...] = option((), "names of the columns of a table without a header line")
    file_labels: tuple[str, ...] = option((), "labels by file name ending, such as '.0 sentiment=negative'")
    drafts: bool = option(False, "read unpublished posts too")
    duplicates: str = option("drop", "what happens to texts met before; splits of the literature keep theirs",
                             choices=("drop", "keep"))


@dataclass(frozen=True)
class TokensConfig:
    """How posts become sequences of token ids, and which split each falls into."""

    unit: str = option("sentence", "what one sequence is", choices=("sentence", "post", "window"))
    window: int = option(48, "tokens per sequence where unit is window", least=2)
    level: str = option("bpe", "token kind; bpe is lossless, whitespace is for text split into tokens already",
                        choices=("bpe", "word", "whitespace"))
    vocabulary: int = option(8000, "number of tokens kept, the four special ones included", least=300)
    lowercase: bool = option(False, "fold case before tokenising (not for bpe)")
    # 48 BPE tokens hold 95% of the sentences of the blogs measured while training stays fast.
    max_length: int = option(48, "longest sequence in tokens, begin and end not counted", least=2)
    min_length: int = option(1, "sequences with fewer tokens are dropped and counted", least=1)
    long: str = option("split", "what happens to longer sequences", choices=("split", "drop"))
    validation: float = option(0.05, "share of posts for validation", least=0.0, most=0.5)
    test: float = option(0.05, "share of posts for the test", least=0.0, most=0.5)


@dataclass(frozen=True)
class WordVectorsConfig:
    """Word2Vec, on the CPU with gensim or on the device with keras."""

    engine: str = option("auto", "what trains them; auto is keras where a GPU is used, gensim on the CPU",
                         choices=("auto", "gensim", "keras"))
    dim: int = option(128, "numbers per token", least=2)
    algorithm: str = option("skip-gram", "Word2Vec's objective; cbow only with gensim", choices=("skip-gram", "cbow"))
    window: int = option(5, "context tokens on each side", least=1)
    negative: int = option(5, "noise tokens per true one", least=1)
    sample: float = option(1e-3, "tokens that make up more than this share of the text are thinned out; 0: none",
                           least=0.0, most=0.5)
    epochs: int = option(5, "passes over the training split", least=1)
    workers: int = option(1, "threads of gensim; more than one is faster and no longer repeatable", least=1)


@dataclass(frozen=True)
class EmbeddingVAEConfig:
    """The dense VAE that compresses word vectors."""

    latent: int = option(64, "numbers per compressed vector", least=1)
    hidden: int = option(256, "width of the hidden layer", least=1)
    # Neighbour survival on 18F's posts (7,649 tokens, 128 -> 64): PCA .54; similarity 0, 10, 100 at beta 0.05: .43,
    # .82, .93; beta 0.01 with 100: .94; SVD, which leaves the mean in: .95. On 6,508 tokens of Lee's news: PCA .18,
    # these settings .36, SVD .52.
    beta: float = option(0.01, "weight of the KL", least=0.0)
    similarity: float = option(100.0, "weight of the term that keeps the cosines between words", least=0.0)
    epochs: int = option(40, "passes over the vocabulary", least=1)
    batch_size: int = option(256, "tokens per step", least=1)
    learning_rate: float = option(1e-3, "Adam's step size", least=0.0)
    neighbours: int = option(10, "nearest neighbours compared before and after", least=1)


@dataclass(frozen=True)
class ConstraintConfig:
    """A region of the latent space, named and defined by texts, a label or a keyword."""

    name: str = option("", "what vary --constraint calls it; no other constraint or label has it")
    texts: tuple[str, ...] = option((), "texts whose latents are the centre")
    label: str = option("", "key=value: the posts with this label define it")
    keyword: str = option("", "the sequences with this word define it")
    kind: str = option("near", "pull towards the centre or push away", choices=("near", "far"))
    threshold: float = option(1.0, "squared L2 distance at which the penalty starts (near) or ends (far)", least=0.0)
    margin: float = option(0.0, "squared L2 distance beyond a near region's threshold that all other sequences, or "
                           "those with another label of the same key, are kept at; 0 lets them be", least=0.0)
    weight: float = option(0.1, "weight of the penalty in the loss", least=0.0)
    start: int = option(-1, "epoch, from 0, from which it acts; -1 waits for the KL's full weight", least=-1)
    rise: int = option(0, "epochs over which its weight rises from there; no epoch before their end can be the best",
                       least=0)
    applies_to: str = option("matching", "which sequences it acts on", choices=("matching", "all"))


@dataclass(frozen=True)
class SequenceVAEConfig:
    """The sequence VAE. docs/training.md says which settings to change when."""

    encoder: str = option("lstm", "what reads a sequence: recurrent cells, or convolutions, which are faster on long "
                          "texts", choices=("lstm", "gru", "conv"))
    encoder_layers: int = option(1, "layers of the encoder; one convolution sees three tokens, each further one "
                                 "two more", least=1)
    bidirectional: bool = option(False, "read from both ends: for texts whose point is at their beginning")
    summary: str = option("mean", "what a recurrent encoder hands on: the mean of its steps, which keeps every word; "
                          "its last state, which keeps their order; or both, where texts shall come back whole",
                          choices=("mean", "last", "both"))
    decoder: str = option("lstm", "recurrent cell of the decoder", choices=("lstm", "gru"))
    skip: bool = option(False, "lead z past the decoder into the softmax as well; for z that are hardly used")
    vectors: str = option("compressed", "what the embeddings start from", choices=("compressed", "full", "none"))
    embedding: int = option(64, "width of the embeddings where vectors is none", least=1)
    hidden: int = option(256, "width of the recurrent layers or convolutions", least=1)
    latent: int = option(32, "dimensions of z; discrete variables of a categorical posterior", least=1)
    dropout: float = option(0.3, "share of inputs and outputs of the decoder set to zero", least=0.0, most=0.95)
    embedding_dropout: float = option(0.0, "share of the vocabulary read as nothing in a batch; for small corpora",
                                      least=0.0, most=0.95)
    weight_drop: float = option(0.0, "share of recurrent weights set to zero in a batch; for small corpora; cuDNN goes "
                                "without", least=0.0, most=0.95)
    layer_norm: bool = option(False, "normalise what recurrent layers hand on; for several layers")
    weight_decay: float = option(0.0, "share of each weight taken off per unit of learning rate (AdamW)", least=0.0)
    word_dropout: float = option(0.2, "share of the decoder's inputs read as the unknown token; makes z matter, costs "
                                 "likelihood", least=0.0, most=1.0)
    noise: float = option(0.1, "share of the encoder's tokens deleted (Shen et al. 2020): neighbours in text stay "
                          "neighbours in z, for better variations", least=0.0, most=0.9)
    noise_blank: float = option(0.0, "share of the encoder's tokens read as the unknown token", least=0.0, most=0.9)
    noise_swap: float = option(0.0, "share of the encoder's tokens that change places with the next", least=0.0,
                               most=0.9)
    noise_shuffle: int = option(0, "places that a token may move by in a shuffle (Lample et al. 2018)", least=0)
    splice: float = option(0.0, "share of training sequences that end as another of their batch does: for sequences "
                           "that shall come back from z word by word, as there are more to learn that from; not with "
                           "labels or constraints", least=0.0, most=1.0)
    latent_dropout: float = option(0.0, "share of training sequences that the decoder is told no z of, so that it also "
                                   "learns what reads well whatever z says, for fluency", least=0.0, most=0.9)
    pretrain_epochs: int = option(0, "epochs as a plain autoencoder first, then a fresh decoder (Li et al. 2019)",
                                  least=0)
    anneal: str = option("linear", "how the KL's weight comes to beta: rising once, in cycles (Fu et al. 2019), at "
                         "once, or never, as a plain autoencoder", choices=("linear", "cyclical", "constant", "none"))
    warmup_epochs: int = option(10, "epochs over which the KL's weight rises, in all cycles together", least=0)
    cycles: int = option(4, "cycles of a cyclical rise; each rises in its first half", least=1)
    beta: float = option(1.0, "final weight of the KL", least=0.0)
    free_bits: float = option(0.25, "nats that the KL costs nothing, on the batch mean", least=0.0)
    free_bits_over: str = option("dimension", "whether each dimension has them or all together",
                                 choices=("dimension", "total"))
    mean_gamma: float = option(0.0, "standard deviation that posterior means are normalised to over a batch (Zhu et "
                               "al. 2020): 0.6 holds the KL of 32 dimensions above 5.8 nats; 0 is off", least=0.0)
    aggressive: bool = option(False, "train the encoder to its best before each step of the decoder, until validation "
                              "MI falls (He et al. 2019); many times slower")
    posterior: str = option("gaussian", "family of q(z|x): diagonal, full covariance, von Mises-Fisher, or discrete",
                            choices=("gaussian", "full", "vmf", "categorical"))
    concentration: float = option(80.0, "kappa of a von Mises-Fisher posterior: the larger, the more z says", least=0.1)
    categories: int = option(16, "values of each variable of a categorical posterior", least=2)
    relaxation: float = option(1.0, "temperature of its draws in training", least=0.05)
    prior: str = option("standard", "p(z): the family's standard one, a mixture of Gaussians or, of diagonal "
                        "posteriors, a VampPrior that is learnt along, or a mixture fitted after training (Ghosh et "
                        "al. 2020), for samples that read well where beta is small",
                        choices=("standard", "mixture", "vamp", "fitted"))
    components: int = option(16, "Gaussians of a mixture, of a fitted one at the most, or pseudo-inputs of a "
                             "VampPrior", least=1)
    labels: tuple[str, ...] = option((), "key=value each: labels of one key, that encoder, prior and decoder are told "
                                     "(CVAE); a text with several is told as the first of them")
    smooth: float = option(0.0, "weight of the penalty on sudden changes along paths between latents", least=0.0)
    epochs: int = option(20, "most passes over the training split", least=1)
    patience: int = option(4, "epochs without a better validation loss before stopping", least=1)
    batch_size: int = option(32, "sequences per step on average: many short ones or few long ones", least=1)
    learning_rate: float = option(1e-3, "Adam's step size", least=0.0)
    schedule: str = option("cosine", "how it falls: along a cosine to a tenth, by half after each epoch without a "
                           "better validation loss, or never", choices=("cosine", "plateau", "constant"))
    average: float = option(0.0, "momentum of the averaged weights that are kept, such as 0.999; 0 keeps the last",
                            least=0.0, most=0.99999)
    clip: float = option(5.0, "largest global gradient norm", least=0.0)
    softmax_samples: int = option(0, "tokens that training estimates the softmax from: 500 to 2,000 of a vocabulary of "
                                  "10,000 and more trains twice as fast; 0 takes all, and so does more than there are; "
                                  "evaluation always does", least=0)
    jit: bool = option(True, "compile trainings of 500 steps or more with XLA: about 3 s per length bucket, then "
                       "faster, and always on JAX; without it one that was stopped and resumed may differ in the "
                       "last bits; cuDNN's layers go without")
    tensorboard: str = option("", "folder for TensorBoard logs; needs textvae[tensorboard]")
    constraints: tuple[ConstraintConfig, ...] = option((), "constraint-distance penalties")


@dataclass(frozen=True)
class LatentsConfig:
    """Encoding of every sequence."""

    batch_size: int = option(256, "sequences per step", least=1)


@dataclass(frozen=True)
class LatentTransformerConfig:
    """The causal transformer over a post's sentence latents."""

    context: int = option(16, "sentences seen", least=2)
    layers: int = option(2, "transformer blocks", least=1)
    width: int = option(128, "width of a block", least=2)
    heads: int = option(4, "attention heads", least=1)
    dropout: float = option(0.1, "share of activations set to zero", least=0.0, most=0.95)
    epochs: int = option(10, "most passes over the training posts", least=1)
    patience: int = option(3, "epochs without a better validation loss before stopping", least=1)
    batch_size: int = option(32, "windows per step", least=1)
    learning_rate: float = option(3e-4, "AdamW's step size", least=0.0)
    # Below about 2 nats the latents say too little about the text for their order to be learnt.
    min_mi: float = option(2.0, "mutual information in nats under which nothing is trained", least=0.0)


@dataclass(frozen=True)
class WordTransformerConfig:
    """The causal transformer over compressed word vectors."""

    layers: int = option(2, "transformer blocks", least=1)
    width: int = option(128, "width of a block", least=2)
    heads: int = option(4, "attention heads", least=1)
    dropout: float = option(0.1, "share of activations set to zero", least=0.0, most=0.95)
    epochs: int = option(3, "most passes over the training split", least=1)
    patience: int = option(2, "epochs without a better validation loss before stopping", least=1)
    batch_size: int = option(32, "sequences per step on average: many short ones or few long ones", least=1)
    learning_rate: float = option(1e-3, "AdamW's step size", least=0.0)


@dataclass(frozen=True)
class LanguageModelConfig:
    """The LSTM language model of the sequence VAE's size, beside which its likelihood is reported."""

    epochs: int = option(0, "most passes over the training split; 0 trains none", least=0)
    patience: int = option(3, "epochs without a better validation loss before stopping", least=1)
    dropout: float = option(0.5, "share of inputs and outputs set to zero", least=0.0, most=0.95)
    batch_size: int = option(32, "sequences per step on average: many short ones or few long ones", least=1)
    learning_rate: float = option(1e-3, "Adam's step size", least=0.0)


@dataclass(frozen=True)
class AutoencoderConfig:
    """The plain autoencoder of the sequence VAE's size, beside which its reconstruction is reported."""

    epochs: int = option(0, "most passes over the training split; 0 trains none", least=0)
    patience: int = option(3, "epochs without a better validation loss before stopping", least=1)
    batch_size: int = option(32, "sequences per step on average: many short ones or few long ones", least=1)
    learning_rate: float = option(1e-3, "Adam's step size", least=0.0)


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured on the test split, and how much of it."""

    sequences: int = option(1000, "test sequences for reconstruction, KL and BLEU; 0 takes all", least=0)
    iw_samples: int = option(100, "importance samples of the IW-NLL; the literature takes 500", least=1)
    iw_sequences: int = option(200, "test sequences that are sampled for the IW-NLL, which tells it for all from their "
                               "ELBO; 0 takes all", least=0)
    samples: int = option(500, "texts drawn from the prior", least=2)
    variations: int = option(5, "variations per source text", least=2)
    sources: int = option(40, "test sequences that are varied", least=1)
    strength: float = option(0.25, "how far variations go, from 0, about a word of the text, to 1, any text", least=0.0,
                             most=1.0)
    temperature: float = option(0.6, "sampling temperature", least=0.0)
    shown: int = option(12, "rows per table of the report", least=1)


@dataclass(frozen=True)
class RetrainConfig:
    """How ``textvae retrain`` goes on from the promoted run, and what a new run must hold to replace it."""

    epochs: int = option(0, "most passes from the earlier weights; 0 takes half of sequence_vae.epochs", least=0)
    replay: float = option(1.0, "share of the old posts that each pass reads again beside the new ones: less is faster "
                           "on a large corpus, and forgets; where it would read none, it reads all", least=0.0,
                           most=1.0)
    # On the held-out posts of a small blog the interval alone is 1% to 2% wide.
    margin: float = option(0.02, "share by which the IW-NLL of the same held-out posts may rise; the upper end of its "
                           "95% interval must stay under it", least=0.0)
    latent: float = option(0.7, "share of the active units and of the MI that must stay", least=0.0)
    diversity: float = option(0.9, "share of the samples' different pairs of words that must stay", least=0.0)
    constraints: float = option(0.1, "by how much the share of variations that satisfy a constraint may fall",
                                least=0.0, most=1.0)
    strange: float = option(0.05, "share of all posts that new ones may be which read unlike the others, such as in "
                            "another language, and that those may be which repeat others; 1 lets all in", least=0.0,
                            most=1.0)


@dataclass(frozen=True)
class PipelineConfig:
    """A whole pipeline: its name, its seed, and one section per stage."""

    name: str = "pipeline"
    description: str = ""
    seed: int = 1
    corpus: CorpusConfig = CorpusConfig()
    tokens: TokensConfig = TokensConfig()
    word_vectors: WordVectorsConfig = WordVectorsConfig()
    embedding_vae: EmbeddingVAEConfig = EmbeddingVAEConfig()
    sequence_vae: SequenceVAEConfig = SequenceVAEConfig()
    latents: LatentsConfig = LatentsConfig()
    latent_transformer: LatentTransformerConfig = LatentTransformerConfig()
    word_transformer: WordTransformerConfig = WordTransformerConfig()
    language_model: LanguageModelConfig = LanguageModelConfig()
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    retrain: RetrainConfig = RetrainConfig()


def load(path: Path, overrides: tuple[str, ...] = ()) -> PipelineConfig:
    """Read a pipeline's TOML file.

    Args:
        path: The file. Its stem is the pipeline's name unless it says ``name = "..."``.
        overrides: ``"section.key=value"`` each; the value is TOML, or a bare word.

    Raises:
        ConfigError: The file is missing or is not TOML, or a setting is unknown, of the wrong type or out of range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the pipeline {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return parse({"name": path.stem, **table}, overrides, where=str(path))


def parse(table: dict[str, Any], overrides: tuple[str, ...] = (), *, where: str = "the pipeline") -> PipelineConfig:
    """Check a table of settings and freeze it.

    Example:
        >>> parse({"tokens": {"level": "word"}}, ("tokens.vocabulary=5000",)).tokens.vocabulary
        5000
        >>> parse({"tokens": {"vocabluary": 5000}})
        Traceback (most recent call last):
        textvae.errors.ConfigError: the pipeline: unknown setting tokens.vocabluary (did you mean tokens.vocabulary?)
    """
    for override in overrides:
        _apply(table, override)
    return _build(PipelineConfig, table, "", where)


def as_dict(config: Any) -> dict[str, Any]:
    """Turn a config into plain JSON values; ``parse`` takes them back."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return plain


def _apply(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override!r} is not of the form section.key=value", "such as --set tokens.level=word")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override!r}: {section} is a setting, not a section")
    table[last] = value


def _build(cls: Any, table: Any, prefix: str, where: str) -> Any:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: {prefix.rstrip('.')} must be a section, not {table!r}")
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in table:
        if key not in fields:
            raise ConfigError(f"{where}: unknown setting {prefix}{key}", _suggest(prefix, key, list(fields)))
    values = {key: _value(hints[key], value, fields[key].metadata, prefix + key, where) for key, value in table.items()}
    return cls(**values)


def _suggest(prefix: str, key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {prefix}{close[0]}?"
    owners = [f.name for f in dataclasses.fields(PipelineConfig) if dataclasses.is_dataclass(f.default)
              and key in {inner.name for inner in dataclasses.fields(f.default)}]
    if owners:
        return f"did you mean {' or '.join(f'{owner}.{key}' for owner in owners)}?"
    return f"known here: {', '.join(known)}"


def _value(hint: Any, value: Any, metadata: types.MappingProxyType[str, Any] | dict[str, Any], name: str,
           where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, name + ".", where)
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        if isinstance(value, str) and inner is str:
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where}: {name} must be a list, not {value!r}")
        return tuple(_value(inner, item, {}, f"{name}[{i}]", where) for i, item in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        raise ConfigError(f"{where}: {name} must be {_KINDS[hint]}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {name} must be a finite number, not {value!r}")
    choices, least, most = (metadata.get(key) for key in ("choices", "least", "most"))
    if choices and value not in choices:
        close = difflib.get_close_matches(str(value), choices, n=1)
        raise ConfigError(f"{where}: {name} is {value!r}", f"did you mean {close[0]!r}?" if close
                          else f"one of: {', '.join(choices)}")
    if (least is not None and not value >= least) or (most is not None and not value <= most):
        bounds = f"at least {least:g}" + (f" and at most {most:g}" if most is not None else "")
        raise ConfigError(f"{where}: {name} must be {bounds}, not {value!r}")
    return value


_KINDS = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
