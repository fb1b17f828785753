"""The ``fenestra`` command. The verbs ``serve``, ``tag``, ``bench`` and ``mcp`` are here, each other one is a module.

Nothing heavy is imported before a verb runs, so ``--help`` and ``--version`` answer at once.
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from fenestra.cli.arguments import (
    add_model,
    byte_count,
    entities_key,
    label_names,
    megabytes,
    output_file,
    output_place,
    port_number,
    probability,
    result_file,
    result_folder,
    whole_number,
    worker_count,
)
from fenestra.cli.compare import add_compare
from fenestra.cli.completion import ASKED, add_completion, complete
from fenestra.cli.data import add_data
from fenestra.cli.doctor import add_doctor
from fenestra.cli.evaluate import add_evaluate
from fenestra.cli.export import add_export
from fenestra.cli.label_studio import add_label_studio
from fenestra.cli.learn import add_learn
from fenestra.cli.prompt import add_try
from fenestra.cli.shell import CommandParser, Verbs, add_verb, complain, group_verbs, need, new_parser, run, say
from fenestra.cli.train import add_train
from fenestra.cli.tune import add_tune
from fenestra.cli.vectors import add_vectors
from fenestra.cli.waiting import waiting

_EXAMPLES = """\
  echo "Ada Lovelace met Charles Babbage in London." | fenestra tag -
  fenestra serve --port 8000
  fenestra train training/configs/sample.toml --output runs/sample
  fenestra evaluate --model runs/sample data/sample/test.conll"""

_GROUPS = {
    "use a model": ("serve", "tag", "try"),
    "train one, and measure it": ("train", "tune", "evaluate", "compare", "learn"),
    "data and vectors": ("data", "vectors"),
    "this machine": ("bench", "doctor", "completion"),
    "with other tools": ("mcp", "export", "label-studio"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments behind the program's name; those of the process when omitted.

    Returns:
        The exit code: 0 done; 1 the work failed; 2 bad usage, configuration or data; 130 on Ctrl-C.
    """
    parser = _parser()
    if ASKED in os.environ:
        complete(parser)
    return run(parser, argv)


def _parser() -> CommandParser:
    parser, verbs = new_parser("fenestra", "A windowed named-entity tagger: train it, measure it, serve it.", _EXAMPLES)
    _add_serve(verbs)
    _add_tag(verbs)
    add_try(verbs)
    add_train(verbs)
    add_tune(verbs)
    add_evaluate(verbs)
    add_compare(verbs)
    add_data(verbs)
    add_vectors(verbs)
    add_learn(verbs)
    _add_bench(verbs)
    _add_mcp(verbs)
    add_export(verbs)
    add_completion(verbs)
    add_doctor(verbs)
    add_label_studio(verbs)
    group_verbs(parser, verbs, _GROUPS)
    return parser


def _add_serve(verbs: Verbs) -> None:
    parser = add_verb(
        verbs,
        "serve",
        _serve,
        "answer HTTP; every FENESTRA_… setting of the environment counts, and these options before it",
        extra="serve",
        examples=(
            "  fenestra serve\n"
            "  fenestra serve --model russian\n"
            "  fenestra serve --workers auto\n"
            "  fenestra serve --model runs/sample --host 0.0.0.0 --port 8080\n"
            "  FENESTRA_MAX_BODY_BYTES=65536 fenestra serve"
        ),
    )
    add_model(parser)
    parser.add_argument("--host", metavar="H", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", metavar="P", help="TCP port to listen on; 0 takes a free one (default: 8000)")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument(
        "--workers", metavar="N", help="processes that serve on the port; auto is one for each core (default: 1)"
    )


def _add_tag(verbs: Verbs) -> None:
    parser = add_verb(
        verbs,
        "tag",
        _tag,
        "tag text in bulk, as it streams by",
        collect="files",
        examples=(
            "  fenestra tag notes.txt                         one text a line → one JSON object a line\n"
            "  fenestra tag --unit file letter.txt            the whole file as one document\n"
            "  fenestra tag --labels PER --min-score 0.8 notes.txt\n"
            "  fenestra tag --output-format conll dev.conll   one token a line → token<TAB>tag\n"
            '  fenestra tag docs.jsonl -o tagged.jsonl        {"text": …} or {"tokens": […]}; other keys are kept\n'
            "  fenestra tag corpus/ --output-folder tagged/   every file in it; goes on if it was killed\n"
            "  cat notes.txt | fenestra tag --model russian -"
        ),
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="*",
        help="what to tag: files, folders with all in them, and - for standard input; each may be compressed by gzip, "
        "bzip2, xz or zstd, a file also a zip archive of one",
    )  # fmt: skip
    add_model(parser)
    parser.add_argument(
        "--input-format", choices=["text", "conll", "jsonl", "parquet"],
        help="text, one token a line, one JSON object a line, or rows of Parquet; by the file's name unless given",
    )  # fmt: skip
    parser.add_argument(
        "--unit", choices=["line", "paragraph", "file"], default="line",
        help="what one text of a text file is: a line, all up to a blank line, or the file; what a text says of a word "
        "counts in all of it. A JSON line is a text; in a CoNLL file -DOCSTART- parts documents (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-line", metavar="BYTES", type=byte_count, default=10_000_000,
        help="longest line of text or JSON, and paragraph or file of --unit; a longer one is left out, the others go "
        "on, and the exit code is 2 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--labels", metavar="LABEL,…", type=label_names, help="keep entities of these labels only; all unless given"
    )
    parser.add_argument(
        "--min-score", metavar="SCORE", type=probability, default=0.0, help="drop entities below, 0 to 1 (default: 0)"
    )
    parser.add_argument("--output-format", choices=["jsonl", "conll"], default="jsonl", help="(default: %(default)s)")
    parser.add_argument(
        "--entities-key", metavar="NAME", type=entities_key,
        help="key of the JSON object to write the entities to, over what it held; unless given, `entities`, and an "
        "object that has it already is refused",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=output_place,
        help="file to write, complete or not at all; one that is there keeps its mode. OUT/ is --output-folder OUT",
    )  # fmt: skip
    parser.add_argument(
        "--output-folder", metavar="DIR", type=result_folder,
        help="folder to write a file for each input to, in folders like those of the inputs; made where it is missing",
    )  # fmt: skip
    parser.add_argument(
        "--bad-lines", metavar="FILE", type=result_file,
        help="go on after lines and files that cannot be tagged, and write them here, one JSON object a line: path, "
        "line, error, raw; the exit code is 2 if there were any (default: the first one ends the work)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", metavar="N", type=worker_count,
        help="processes that tag at the same time; the result is the same (default: auto, one a core, 1 on a GPU)",
    )  # fmt: skip
    parser.add_argument(
        "--cache-mb", metavar="MB", type=megabytes,
        help="most memory for what frequent words add to the network, in all processes together; changes speed and "
        "nothing of the result (default: a sixteenth of what is available, 32 to 512 MB; with several workers at least "
        "128 MB each, unless memory is short). With --engine ray it is each worker's (default: 80)",
    )  # fmt: skip
    parser.add_argument(
        "--cache-numbers", choices=("float32", "int16", "int8"), default="int16",
        help="how these sums are stored: int8 takes half the room, is faster on varied text, and changes scores by "
        "0.0002 on average, at worst by 0.1, and so one tag in ten thousand; float32 is exact (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--engine", choices=["local", "ray"], default="local",
        help="who the workers are: processes of this machine, or workers of Ray, here or on a cluster; the result is "
        "the same (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--address", metavar="ADDRESS",
        help="of --engine ray: a cluster, as auto, HOST:PORT or ray://HOST:PORT (default: Ray is started here, and "
        "ends with the work)",
    )  # fmt: skip
    _add_computing(parser)


def _add_bench(verbs: Verbs) -> None:
    parser = add_verb(
        verbs,
        "bench",
        _bench,
        "measure tokens per second, latency and load time of a model",
        examples=(
            "  fenestra bench data/sample/test.conll\n  fenestra bench --model runs/sample notes.txt --json bench.json"
        ),
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="sentences: one token a line (.conll), or one text a line"
    )
    add_model(parser)
    parser.add_argument(
        "--repeats", metavar="N", type=whole_number, default=5, help="passes over the file (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="OUT", type=output_file, help="also write the figures as JSON")
    _add_computing(parser)


def _add_mcp(verbs: Verbs) -> None:
    parser = add_verb(
        verbs,
        "mcp",
        _mcp,
        "answer a language model's tools over the Model Context Protocol: tag_entities and explain",
        extra="mcp",
        examples=(
            "  fenestra mcp                                   for a client that starts it\n"
            "  fenestra mcp --model runs/sample\n"
            "  fenestra mcp --transport http --port 8765      at http://127.0.0.1:8765/mcp"
        ),
    )
    add_model(parser)
    parser.add_argument(
        "--transport", choices=("stdio", "http"), default="stdio",
        help="standard input and output, or streamable HTTP at /mcp (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--host", metavar="H", default="127.0.0.1", help="of http: address (default: %(default)s)")
    parser.add_argument(
        "--port", metavar="P", type=port_number, default=8000,
        help="of http: TCP port; 0 takes a free one (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--allowed-host", metavar="NAME", action="append", default=[],
        help="of http: a name that clients may use besides the loopback and H, each by an option of its own",
    )  # fmt: skip
    parser.add_argument(
        "--max-chars", metavar="N", type=whole_number, default=100_000,
        help="most characters of a text (default: %(default)s)",
    )  # fmt: skip


def _add_computing(parser: CommandParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument(
        "--threads",
        metavar="N",
        type=whole_number,
        default=1,
        help="of the CPU, in each process (default: %(default)s)",
    )


def _serve(options: argparse.Namespace) -> int:
    from fenestra.app.server import serve
    from fenestra.app.settings import Settings

    given = {name: getattr(options, name) for name in ("model", "host", "port", "device", "workers")}
    return serve(Settings.read(**given))


def _tag(options: argparse.Namespace) -> int:
    # NumPy's threads start when it is imported: more of them than --threads would compete with the workers, and a
    # process that has more than one thread is not forked.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(options.threads))
    from fenestra.cli.bulk.writing import Wanted
    from fenestra.cli.tag import RAY_CACHE_MB, Cluster, cache_mb, tag_files
    from fenestra.model.bundled import bundled_model
    from fenestra.model.engine.cores import usable_cores
    from fenestra.model.engine.gpu import resolve_device
    from fenestra.model.tagger import Tagger

    if not options.files:
        options.parser.error("expected FILE; - is standard input")
    if options.output and options.output_folder:
        options.parser.error("-o and --output-folder: expected one of them")
    output, output_folder = options.output or (None, options.output_folder)
    if options.address is not None and options.engine != "ray":
        options.parser.error("--address: of a cluster of Ray; expected --engine ray beside it")
    cluster = None
    if options.engine == "ray":
        options.extra = "ray"
        need("ray")
        cluster = Cluster(options.address, options.threads)
    device = "cpu" if cluster and options.device == "auto" else resolve_device(options.device)
    workers = options.workers
    if workers is None and options.address is None:
        workers = 1 if device != "cpu" else max(usable_cores() // options.threads, 1)
    if cluster:
        cache = RAY_CACHE_MB if options.cache_mb is None else options.cache_mb
    else:
        cache = cache_mb(workers or 1) if options.cache_mb is None else options.cache_mb / (workers or 1)
    with waiting("loading the model"):
        tagger = Tagger.load(
            options.model or bundled_model(), device=device, threads=options.threads,
            cache_numbers=options.cache_numbers, cache_mb=cache,
        )  # fmt: skip
    left_out = tag_files(
        tagger,
        options.files,
        input_format=options.input_format,
        output_format=options.output_format,
        output=output,
        output_folder=output_folder,
        unit=options.unit,
        max_bytes=options.max_line,
        wanted=Wanted(options.labels, options.min_score),
        entities_key=options.entities_key,
        bad_lines=options.bad_lines,
        workers=workers,
        cluster=cluster,
        complain=lambda message: complain(message, code=2),
        note=lambda message: complain(message, code=0),
    )
    if left_out and options.bad_lines:
        complain(f"{left_out:,} bad line{'s' * (left_out != 1)} left out; they are in {options.bad_lines}", code=2)
    return 2 if left_out else 0


def _mcp(options: argparse.Namespace) -> None:
    need("mcp")
    from fenestra.integrations.mcp.tools import new_server
    from fenestra.integrations.mcp.transports import serve_http, serve_stdio
    from fenestra.model.bundled import bundled_model
    from fenestra.model.tagger import Tagger

    server = new_server(Tagger.load(options.model or bundled_model()), max_chars=options.max_chars)
    if options.transport == "stdio":
        return serve_stdio(server)
    return serve_http(
        server, options.host, options.port, allowed_hosts=options.allowed_host, max_chars=options.max_chars,
        announce=lambda url: complain(f"Model Context Protocol at {url}", code=0),
    )  # fmt: skip


def _bench(options: argparse.Namespace) -> None:
    from fenestra.cli.bench import bench, render
    from fenestra.model.bundled import bundled_model

    figures = bench(
        options.model or bundled_model(),
        options.file,
        repeats=options.repeats,
        device=options.device,
        threads=options.threads,
    )
    say(render(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
