"""What two processes with one mini-batch between them would gain in training (torch's DistributedDataParallel, gloo).

    python -m benchmarks.large_corpus /tmp/large --tokens 1_000_000
    python -m benchmarks.two_processes /tmp/large/job.toml --updates 80 --rounds 3

Each round makes as many updates by one process with one thread, by two such processes that have half of each batch, and
by one process with two threads. Beside the tokens a second stands the CPU time of an update, of the busier process: it
says what each would take with a core of its own, where others use the machine as well.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from fenestra.model.tags import tag_set
from fenestra.training.config import RunConfig, load_config
from fenestra.training.fit.batches import Batch, Sampling, TaggedStream
from fenestra.training.fit.loop import Progress, seed_epoch
from fenestra.training.fit.losses import make_loss
from fenestra.training.job import begin, prepare, read, used_vectors, words_of
from fenestra.training.network.rows import Lengths
from fenestra.training.vectors.vectors import load_vectors

_FIRST = 5  # updates that are not counted
_WAYS = {"one process": (1, 1), "two processes": (2, 1), "one process, two threads": (1, 2)}
"""How many processes, and threads of each."""


class Timed(NamedTuple):
    """Some updates of one process."""

    seconds: float
    cpu: float
    tokens: int


def updates(
    config: RunConfig, progress: Progress, train: TaggedStream, number: int, rank: int, processes: int, store: str
) -> Timed:
    """Make updates as one of some processes."""
    network, options = progress.network, config.training
    network.prepare(options, torch.device("cpu"))
    counts_K = torch.bincount(train.gold_T, minlength=len(tag_set(config.model.labels, config.model.scheme)))
    loss_of, forward = make_loss(options, counts_K, network.crf), network
    if processes > 1:
        distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=processes)
        forward = DistributedDataParallel(network)

    def update(batch: Batch) -> int:
        logits_NK = forward(batch.rows, batch.windows, Lengths(batch.length_S, batch.sequence_R))
        progress.optimizer.zero_grad()
        loss_of(logits_NK, batch.gold_N, batch.length_S).backward()
        progress.optimizer.step()
        progress.updates += 1
        progress.average.update(network, progress.updates)
        return len(batch.gold_N)

    mine = islice(_batches(config, train, processes), rank, None, processes)
    for batch in islice(mine, _FIRST):
        update(batch)
    begun, cpu = time.monotonic(), time.process_time()
    tokens = sum(update(batch) for batch in islice(mine, number))
    return Timed(time.monotonic() - begun, time.process_time() - cpu, tokens)


def _batches(config: RunConfig, train: TaggedStream, processes: int) -> Iterator[Batch]:
    rng = seed_epoch(config.seed, 1)
    runs = train.shuffled(rng, Sampling(join=config.training.join_sentences))
    return train.batches(runs, config.training.batch_tokens // processes, rng, config.training.isolate_sentences)


def timed(config: RunConfig, progress: Progress, train: TaggedStream, number: int, way: str) -> tuple[float, float]:
    """Tokens a second, and the CPU seconds of an update of the busier process, in copies of this process."""
    processes, threads = _WAYS[way]
    fork = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[Timed] = fork.Queue()

    def work(rank: int, store: str) -> None:
        torch.set_num_threads(threads)
        answers.put(updates(config, progress, train, number, rank, processes, store))

    with tempfile.TemporaryDirectory() as folder:
        workers = [fork.Process(target=work, args=(rank, f"{folder}/store")) for rank in range(processes)]
        for worker in workers:
            worker.start()
        found = [answers.get(timeout=3600) for _ in workers]
        for worker in workers:
            worker.join()
    speed = sum(one.tokens for one in found) / max(one.seconds for one in found)
    return speed, max(one.cpu for one in found) / number


def main() -> None:
    """Print the median of each way over all rounds, and its gain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    parser.add_argument("overrides", metavar="section.key=value", nargs="*")
    parser.add_argument("--updates", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_intermixed_args()
    config = load_config(options.job, options.overrides)
    torch.set_num_threads(1)
    corpora = read(config)
    inputs = prepare(config, corpora, load_vectors(used_vectors(config), words_of(corpora)))
    progress, train, _ = begin(config, inputs, torch.device("cpu"))
    rounds = [
        {way: timed(config, progress, train, options.updates, way) for way in _WAYS} for _ in range(options.rounds)
    ]
    base: tuple[float, float] | None = None
    for way in _WAYS:
        speed, cpu = (statistics.median(one[way][place] for one in rounds) for place in (0, 1))
        base = base or (speed, cpu)
        print(
            f"{way:26} {speed:9,.0f} tokens/s, gain {speed / base[0]:.2f}; "
            f"{1000 * cpu:6.1f} ms of CPU an update, gain by it {base[1] / cpu:.2f}"
        )


if __name__ == "__main__":
    main()
