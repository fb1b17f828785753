"""The verbs ``vectors neighbours`` and ``vectors train``. What they use is imported when they run."""

import argparse
from functools import partial
from pathlib import Path

from fenestra.cli.arguments import whole_number
from fenestra.cli.shell import Verbs, add_actions, add_verb, complain, need, say
from fenestra.cli.waiting import waiting

_add_verb = partial(add_verb, extra="train")


def add_vectors(verbs: Verbs) -> None:
    """Add the verbs to a command line."""
    actions = add_actions(verbs, "vectors", "make word vectors, or look at some")
    near = _add_verb(
        actions,
        "neighbours",
        _neighbours,
        "list the words nearest to one, by cosine similarity",
        examples="  fenestra vectors neighbours munich\n  fenestra vectors neighbours Ada --vectors my.txt -n 5",
    )
    near.add_argument("word", metavar="WORD")
    near.add_argument(
        "--vectors", metavar="SOURCE",
        help="a fetched set, bundled, bundled:NAME, gensim:NAME, checkpoint:FOLDER, or a file (default: glove, or the "
        "vectors of the bundled English model where glove is not fetched)",
    )  # fmt: skip
    near.add_argument("-n", metavar="COUNT", type=whole_number, default=10, help="how many (default: %(default)s)")
    own = _add_verb(
        actions,
        "train",
        _train_vectors,
        "make word vectors from text, by word2vec or fastText",
        examples="  fenestra vectors train news.txt mail.txt.gz --output own.bin\n"
        "  fenestra vectors train abstracts.txt --output own.txt --algorithm fasttext --width 50",
    )
    own.add_argument(
        "texts", metavar="TEXT", nargs="+",
        help="a file with a text a line (NAME.txt, may be compressed), or a corpus, whose tags are not looked at",
    )  # fmt: skip
    own.add_argument(
        "--output", metavar="FILE", type=Path, required=True,
        help="the new file, for vectors.source: NAME.bin, or NAME.txt for one that people can read",
    )  # fmt: skip
    own.add_argument(
        "--algorithm", choices=["word2vec", "fasttext"], default="word2vec",
        help="fasttext makes words from their n-grams, too, and takes longer (default: %(default)s)",
    )  # fmt: skip
    own.add_argument("--width", metavar="D", type=whole_number, default=100, help="of a vector (default: %(default)s)")
    own.add_argument(
        "--context", metavar="WORDS", type=whole_number, default=5, help="on either side (default: %(default)s)"
    )
    own.add_argument(
        "--min-count", metavar="COUNT", type=whole_number, default=5,
        help="words that come less often have no vector (default: %(default)s)",
    )  # fmt: skip
    own.add_argument("--epochs", metavar="COUNT", type=whole_number, default=5, help="default: %(default)s")
    own.add_argument(
        "--workers", metavar="COUNT", type=whole_number,
        help="threads; with 1 the same seed gives the same file (default: one a core)",
    )  # fmt: skip
    own.add_argument("--seed", metavar="NUMBER", type=int, default=1, help="default: %(default)s")
    own.add_argument(
        "--language", metavar="CODE", default="en", help="of texts, whose tokens are found so (default: %(default)s)"
    )


def _neighbours(options: argparse.Namespace) -> None:
    from fenestra.training.config import VectorsConfig
    from fenestra.training.vectors.vectors import load_vectors, neighbours

    source = options.vectors or _vectors_there_are()
    with waiting("reading the vectors"):
        vectors = load_vectors(VectorsConfig(source=source))
    for word, similarity in neighbours(vectors, options.word, options.n):
        say(f"{word}\t{similarity:.4f}")


def _vectors_there_are() -> str:
    """The vectors to look at where none are named: those that this machine has."""
    from fenestra.training import sources

    if sources.cached("glove") is not None:
        return "glove"
    complain(
        "glove is not fetched, so these are the bundled model's vectors; to get it: fenestra data fetch glove", code=0
    )
    return "bundled"


def _train_vectors(options: argparse.Namespace) -> None:
    need("gensim", "torch")
    from fenestra.model.engine.cores import available_cores
    from fenestra.training.vectors.embed import EmbeddingConfig, Pass, train_vectors

    def tell(done: Pass) -> None:
        complain(
            f"pass {done.number} of {done.of}: {done.seconds:.1f} s, {done.tokens / done.seconds:,.0f} tokens/s", code=0
        )

    config = EmbeddingConfig(
        options.algorithm, options.width, options.context, options.min_count, options.epochs,
        options.workers or available_cores(), options.seed, options.language,
    )  # fmt: skip
    say(str(train_vectors(options.texts, options.output, config, tell)))
