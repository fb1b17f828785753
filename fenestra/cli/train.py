"""The verbs that need the training extra: train, tune, evaluate, compare, data, vectors.

Only their arguments are described when this module is imported; what they use is imported when they run.
"""

import argparse
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fenestra.cli.compare import add_compare
from fenestra.cli.corpora import (
    FORMATS,
    add_corpus_options,
    add_reading,
    aligned,
    label_list,
    load_model,
    read_annotated,
    reading_of,
)
from fenestra.cli.shell import (
    Verbs,
    add_actions,
    add_verb,
    complain,
    count,
    model_folder,
    need,
    new_parser,
    output_file,
    run,
    say,
    whole_number,
)
from fenestra.cli.waiting import Wait, waiting

if TYPE_CHECKING:
    from fenestra.training.data.split import Size
    from fenestra.training.fit.epoch import Epoch
    from fenestra.training.fit.score import LabelScore
    from fenestra.training.report.evaluation import Evaluation, Variant

_add_verb = partial(add_verb, extra="train")
_FETCHED = (
    "a corpus: conll2003; vectors: glove, glove50, navec, spacy-md; clusters: brown, brown-es, brown-de; "
    "lexicon: names, names-ru, brands, brands-ru"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m fenestra``; returns the exit code."""
    parser, verbs = new_parser(
        "python -m fenestra",
        "Train window taggers and measure them.",
        "  python -m fenestra train training/configs/sample.toml --output runs/sample",
    )
    add_verbs(verbs)
    return run(parser, argv)


def add_verbs(verbs: Verbs) -> None:
    """Add the verbs of this module to a command line."""
    _add_train(verbs)
    _add_tune(verbs)
    _add_evaluate(verbs)
    add_compare(verbs)
    _add_data(verbs)
    _add_vectors(verbs)


def _add_train(verbs: Verbs) -> None:
    parser = _add_verb(
        verbs,
        "train",
        _train,
        "run one training job; the folder it writes is a checkpoint",
        collect="overrides",
        examples=(
            "  fenestra train training/configs/sample.toml --output runs/sample\n"
            "  fenestra train job.toml training.epochs=5 model.context=3 --output runs/five\n"
            "  fenestra train job.toml --output runs/five --resume"
        ),
    )
    parser.add_argument("config", metavar="CONFIG.toml", type=Path, help="the job")
    parser.add_argument("overrides", metavar="section.key=value", nargs="*", help="fields of the job to change")
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="where the checkpoint will be")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped, if there is one")
    parser.add_argument("--overwrite", action="store_true", help="replace a checkpoint that is in DIR when done")


def _add_tune(verbs: Verbs) -> None:
    parser = _add_verb(
        verbs,
        "tune",
        _tune,
        "search a space of configurations for the best F1 on the development corpus",
        collect="overrides",
        examples=(
            "  fenestra tune job.toml space.toml --output runs/search\n"
            "  fenestra tune job.toml space.toml training.epochs=8 --output runs/search --trials 20\n"
            "  fenestra tune job.toml space.toml --output runs/search --trials 100 --resume\n"
            "  fenestra tune job.toml space.toml --output runs/search --storage sqlite:///search.db --resume\n"
            "  fenestra train runs/search/best.toml --output runs/best"
        ),
    )
    parser.add_argument("config", metavar="CONFIG.toml", type=Path, help="the job")
    parser.add_argument("space", metavar="SPACE.toml", type=Path, help="fields of the job, and what each may be")
    parser.add_argument("overrides", metavar="section.key=value", nargs="*", help="fields of the job to change")
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="where the best configuration and the report will be"
    )
    parser.add_argument(
        "--trials", metavar="N", type=whole_number, help="how many in all, instead of what SPACE.toml says"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the search in DIR or the database, if there is one; several processes may, at the same time",
    )
    parser.add_argument(
        "--storage", metavar="URL",
        help="record the search in a database, which processes of several machines can share: sqlite:///FILE, "
        "postgresql+psycopg://USER@HOST/DATABASE (default: a file in DIR, which they can share, too)",
    )  # fmt: skip
    parser.add_argument(
        "--study", metavar="NAME", help="name of the search in the database (default: search); needs --storage"
    )


def _add_evaluate(verbs: Verbs) -> None:
    parser = _add_verb(
        verbs,
        "evaluate",
        _evaluate,
        "score a model on an annotated corpus: per label and together, token accuracy, confusion matrix",
        collect="corpora",
        examples=(
            "  fenestra evaluate --model runs/sample data/sample/test.conll\n"
            "  fenestra evaluate --model runs/news --rename GPE=LOC --rename DATE=O --json scores.json gum.conll\n"
            "  fenestra evaluate --model runs/news conll2003:test --seen conll2003:train --variants all"
        ),
    )
    parser.add_argument(
        "corpora", metavar="FILE", nargs="+", help="annotated files of any format, or NAME:SPLIT of a fetched one"
    )
    parser.add_argument(
        "--model", metavar="DIR", type=model_folder, required=True,
        help="checkpoint folder, or the name of a bundled model",
    )  # fmt: skip
    parser.add_argument(
        "--json", metavar="OUT", type=output_file, help="also write everything that was measured, as JSON"
    )
    add_corpus_options(parser, "the model")
    parser.add_argument(
        "--seen", metavar="FILE.conll", action="append", default=[],
        help="what the model learnt from: score its entities and all others apart",
    )  # fmt: skip
    parser.add_argument(
        "--variants", metavar="A,B,…", type=_variants, default=(),
        help="score the same text written otherwise: lower, upper, typos, unpunctuated, alone, or all of them",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def _add_data(verbs: Verbs) -> None:
    actions = add_actions(verbs, "data", "get a known corpus, vectors or lists; check, convert or split a corpus")
    fetch = _add_verb(
        actions,
        "fetch",
        _fetch,
        "get a known corpus, vectors, clusters or names and print where they are",
        examples="  fenestra data fetch conll2003\n  fenestra data fetch glove --force",
    )
    fetch.add_argument("name", metavar="NAME", help=_FETCHED)
    fetch.add_argument("--force", action="store_true", help="get it again although it is there")
    check = _add_verb(
        actions,
        "check",
        _check,
        "say what is in a corpus and what is wrong with it, by path:line",
        collect="files",
        examples=(
            "  fenestra data check corpus.conll --labels PER,LOC,ORG\n"
            "  fenestra data check germeval.tsv --word-column 1 --tag-column 2\n"
            "  fenestra data check dev.conll test.conll --against train.conll --vectors glove"
        ),
    )
    check.add_argument("files", metavar="FILE", nargs="+", help="annotated files of any format; or NAME:SPLIT")
    check.add_argument(
        "--against", metavar="FILE", action="append", default=[], help="training data: what of it comes back in FILE"
    )
    check.add_argument("--vectors", metavar="SOURCE", help="word vectors: how many of the words they know")
    add_reading(check, "--format")
    check.add_argument("--labels", metavar="A,B,…", type=label_list, help="the labels there may be; any unless given")
    check.add_argument("--json", action="store_true", help="print JSON")
    _add_convert(actions)
    split = _add_verb(
        actions,
        "split",
        _split,
        "cut a corpus in two between documents, or between sentences where it marks none",
        examples=(
            "  fenestra data split corpus.conll 80% train.conll dev.conll\n"
            "  fenestra data split corpus.conll 110 first.conll others.conll\n"
            "  fenestra data split corpus.conll 80% train.conll dev.conll --shuffle --seed 7"
        ),
    )
    split.add_argument("file", metavar="FILE", type=Path, help="one token a line, plain or compressed")
    split.add_argument(
        "size",
        metavar="SIZE",
        type=_size,
        help="documents of the first part, or their share, 80%%; sentences, where no document is marked",
    )
    split.add_argument("first", metavar="FIRST", type=output_file, help="new file for the first part")
    split.add_argument("rest", metavar="REST", type=output_file, help="new file for the others")
    split.add_argument(
        "--shuffle", action="store_true",
        help="choose the documents of the first part at random: for a corpus that is sorted by date or topic; each "
        "file keeps their order",
    )  # fmt: skip
    split.add_argument(
        "--seed", metavar="NUMBER", type=count, help="of --shuffle: the same number chooses the same (default: 1)"
    )


def _add_convert(actions: Verbs) -> None:
    parser = _add_verb(
        actions,
        "convert",
        _convert,
        "write a corpus in another format; what a file is, its name and contents tell (docs/formats.md)",
        examples=(
            "  fenestra data convert export.jsonl train.conll\n"
            "  fenestra data convert project-1.json train.conll --from label-studio --misaligned drop\n"
            "  fenestra data convert brat/ train.parquet\n"
            "  fenestra data convert train.conllu train.conll --tag-column NE --to-scheme BIOES\n"
            "  fenestra data convert train.conll train.doccano.jsonl\n"
            "  fenestra data convert train.conll train.jsonl --to prodigy"
        ),
    )
    parser.add_argument("source", metavar="IN", type=Path, help="a file, compressed or not, or a folder")
    parser.add_argument("target", metavar="OUT", type=Path, help="a new file; for brat a new folder")
    add_reading(parser, "--from")
    parser.add_argument(
        "--to",
        metavar="FORMAT",
        choices=FORMATS,
        help="format of OUT, one of the same; by its name unless given: x.conllu, x.doccano.jsonl",
    )
    parser.add_argument(
        "--to-scheme", metavar="SCHEME", choices=["IOB2", "IOB1", "BIOES", "BILOU", "BMES", "IO"], default="IOB2",
        help="how OUT writes spans as tags, where it has tags: IOB2, IOB1, BIOES, BILOU, BMES or IO (default: IOB2)",
    )  # fmt: skip


def _add_vectors(verbs: Verbs) -> None:
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


def _train(options: argparse.Namespace) -> None:
    need("torch", "seqeval", "gensim")
    with waiting("loading torch"):
        from fenestra.training.config import load_config
        from fenestra.training.job import train

    config = load_config(options.config, options.overrides)
    try:
        with waiting("reading corpora and vectors") as wait:
            folder = train(
                config,
                options.output,
                resume=options.resume,
                overwrite=options.overwrite,
                observe=_observer(config.training.epochs, wait),
                remark=partial(complain, code=0),
            )
    except KeyboardInterrupt:
        complain(f"complete epochs are kept; go on with --output {options.output} --resume", code=130)
        raise
    say(_summary(json.loads((folder / "report.json").read_text(encoding="utf-8"))))
    say(f"checkpoint: {folder}\nreport: {folder / 'report.html'}")


def _tune(options: argparse.Namespace) -> None:
    need("torch", "seqeval", "gensim", "optuna", "tomli_w")
    with waiting("loading torch"):
        from fenestra.cli.progress import SearchProgress
    from fenestra.training.config import load_config
    from fenestra.training.tune.record import SEARCH
    from fenestra.training.tune.space import load_space
    from fenestra.training.tune.tune import BEST, PAGE, tune

    config = load_config(options.config, options.overrides)
    space = load_space(options.space, config, options.trials)
    if options.study and not options.storage:
        options.parser.error("--study names a search in a database; say which with --storage")

    def observe(done: int) -> SearchProgress:
        wait.end()
        return SearchProgress(space.study.trials, done=done)

    try:
        with waiting("reading corpora and vectors") as wait:
            report = tune(
                config,
                space,
                options.output,
                command=_tune_command(options),
                resume=options.resume,
                storage=options.storage,
                search=options.study or SEARCH,
                observe=observe,
            )
    except KeyboardInterrupt:
        complain(f"complete trials are kept; go on with --output {options.output} --resume", code=130)
        raise
    say(_best_found(report))
    say(f"configuration: {options.output / BEST}\nreport: {options.output / PAGE}")


def _tune_command(options: argparse.Namespace) -> str:
    """The command that asks for a search, whether or not it was begun before; without a password for the database."""
    from fenestra.training.tune.record import shown_url

    given = {
        "--trials": options.trials,
        "--storage": options.storage and shown_url(options.storage),
        "--study": options.study,
    }
    more = [word for name, value in given.items() if value for word in (name, value)]
    words = [options.config, options.space, *options.overrides, "--output", options.output, *more]
    return shlex.join(["fenestra", "tune", *map(str, words)])


def _best_found(report: dict[str, Any]) -> str:
    from fenestra.training.tune.space import shown

    best = report["best"]
    seeds = ", ".join(str(score["seed"]) for score in best["by_seed"])
    lines = [f"{name} = {shown(value)}" for name, value in best["values"].items()]
    heading = f"dev F1 {best['dev_f1']:.2%}, mean of seeds {seeds}: trial {best['number']} of {len(report['trials'])}"
    return "\n".join([heading, *lines])


def _observer(epochs: int, wait: Wait) -> "Callable[[Path, int], Any]":
    """Show epochs on standard error, and write them for TensorBoard; what is before and behind them is a wait."""
    from fenestra.cli.progress import TrainingProgress
    from fenestra.cli.tensorboard import EventWriter
    from fenestra.training.output import EVENTS

    @contextmanager
    def observe(work: Path, done: int) -> "Iterator[Callable[[Epoch], None]]":
        wait.end()
        with TrainingProgress(epochs, done=done) as show, EventWriter(work / EVENTS, done=done) as write:

            def watch(epoch: "Epoch") -> None:
                write(epoch)
                show(epoch)

            yield watch
        wait.begin("calibrating, measuring and writing the checkpoint")

    return observe


def _summary(report: dict[str, Any]) -> str:
    figures = [
        f"{split} F1 {evaluation['scores']['micro']['f1']:.2%} "
        f"(most frequent tag alone {report['baseline'][split]['micro']['f1']:.2%})"
        for split, evaluation in report["scores"].items()
    ]
    return f"{', '.join(figures)}; {report['verdict']['kind']}, epoch {report['best_epoch']} of {len(report['epochs'])}"


def _evaluate(options: argparse.Namespace) -> None:
    need("seqeval")
    from fenestra.training.report.evaluation import known_entities, measure, measure_variants

    with waiting("loading the model") as wait:
        tagger = load_model(options.model, options.device)
        wait.begin("reading the corpora")
        gold = read_annotated(options, options.corpora, tagger.labels, like=options.model)
        known = (
            known_entities(read_annotated(options, options.seen, tagger.labels, like=options.model).sentences)
            if options.seen
            else None
        )
        wait.begin("tagging and scoring")
        found = measure(tagger, gold.sentences, known)
        variants = measure_variants(tagger, gold.sentences, options.variants, found.scores.micro)
    say(_evaluation_text(found))
    if variants:
        say(f"\n{_variants_text(found, variants)}")
    if options.json:
        about = {"model": str(options.model), "version": tagger.version, "corpus": gold.name, "sha256": gold.sha256}
        measured = {**about, **found.as_dict(), "variants": {name: asdict(v) for name, v in variants.items()}}
        options.json.write_text(json.dumps(measured, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _evaluation_text(found: "Evaluation") -> str:
    """The figures as a person reads them in a terminal."""
    scores = found.scores
    rows = [*scores.labels.items(), ("all (micro)", scores.micro)]
    if found.familiarity:
        rows += [("seen in training", found.familiarity.seen), ("unseen", found.familiarity.unseen)]
    table = [["", "precision", "recall", "F1", "entities"]]
    table += [[name, *_shares(scores), f"{scores.support:,}"] for name, scores in rows]
    thresholds = [["score from", "precision", "recall", "F1", "kept"]]
    thresholds += [
        [f"{kept.threshold:.2f}" if kept.threshold else "all", *_shares(kept.scores), f"{kept.count:,}"]
        for kept in found.thresholds
    ]
    matrix = [["gold \\ predicted", *found.confusion.labels]]
    matrix += [
        [label, *(f"{count:,}" for count in counts)]
        for label, counts in zip(found.confusion.labels, found.confusion.counts, strict=True)
    ]
    return (
        f"{aligned(table)}\n\n"
        f"token accuracy {scores.token_accuracy:.2%} of {found.tokens:,} tokens in {found.sentences:,} sentences\n"
        f"expected calibration error {found.reliability.expected_calibration_error:.4f}, "
        f"Brier score {found.reliability.brier_score:.4f}\n\n"
        f"{aligned(thresholds)}\n\n"
        f"{aligned(matrix)}"
    )


def _variants_text(whole: "Evaluation", variants: "dict[str, Variant]") -> str:
    head = ["variant", "precision", "recall", "F1", "share of F1", "calibration error"]
    error = whole.reliability.expected_calibration_error
    table = [head, ["as it is", *_shares(whole.scores.micro), f"{1:.2%}", f"{error:.4f}"]]
    table += [
        [name, *_shares(found.scores), f"{found.share_of_f1:.2%}", f"{found.calibration_error:.4f}"]
        for name, found in variants.items()
    ]
    return aligned(table)


def _shares(scores: "LabelScore") -> list[str]:
    return [f"{value:.2%}" for value in (scores.precision, scores.recall, scores.f1)]


def _fetch(options: argparse.Namespace) -> None:
    from fenestra.training.sources import fetch

    say(str(fetch(options.name, force=options.force)))


def _check(options: argparse.Namespace) -> int:
    from fenestra.training.config import VectorsConfig
    from fenestra.training.data.check import check_corpus
    from fenestra.training.data.corpus import find_corpus
    from fenestra.training.vectors.vectors import load_vectors

    with waiting("reading the vectors") as wait:
        vectors = load_vectors(VectorsConfig(source=options.vectors)) if options.vectors else None
        wait.begin("reading the corpora")
        found = check_corpus(
            [find_corpus(name, Path()) for name in options.files],
            against=[find_corpus(name, Path()) for name in options.against],
            vectors=vectors,
            labels=options.labels,
            **reading_of(options),
        )
    say(json.dumps(found.as_dict(), ensure_ascii=False, indent=1) if options.json else str(found))
    if found.ok:
        return 0
    return complain(f"the corpus has errors, which the report lists: {found.error_count:,}", code=2)


def _convert(options: argparse.Namespace) -> None:
    from fenestra.training.data.convert import convert_corpus

    with waiting("converting"):
        done = convert_corpus(
            options.source, options.target, to=options.to, to_scheme=options.to_scheme, **reading_of(options)
        )
    complain("\n".join(f"{options.source}: {note}" for note in done.notes), code=0)
    say(str(done))


def _split(options: argparse.Namespace) -> None:
    from fenestra.training.data.split import split_corpus

    if options.seed is not None and not options.shuffle:
        options.parser.error("--seed: expected --shuffle beside it")
    seed = (1 if options.seed is None else options.seed) if options.shuffle else None
    for part in split_corpus(options.file, options.size, options.first, options.rest, seed=seed):
        say(str(part))


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


def _size(text: str) -> "Size":
    from fenestra.training.data.split import Size

    try:
        return Size.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a number such as 110 or a share such as 80%, got {text!r}"
        ) from None


def _variants(text: str) -> tuple[str, ...]:
    from fenestra.training.data.perturbations import VARIANTS

    if text == "all":
        return tuple(VARIANTS)
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in VARIANTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}, expected all, or some of {', '.join(VARIANTS)}")
    return names
