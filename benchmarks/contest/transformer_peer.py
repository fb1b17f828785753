"""A transformer as a contender: ``python -m benchmarks.contest.transformer_peer MATERIAL COPIES TEXTS``.

Runs in an environment of its own, with ``pip install torch transformers``. The network is BERT of the base size (110
million weights) with nine tags, as the taggers of most pages are. Its weights are random: what is timed is the same
arithmetic, and what it finds is not looked at. Its WordPiece vocabulary has the usual 29,000 pieces and is learnt from
the very texts, a list of strings in JSON, so that no word is cut into more pieces than usual. Number types and batch
sizes are tried, and the fastest is taken; texts of one batch are about as long.
"""

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForTokenClassification

from benchmarks.contest.protocol import Contender, Material, Words, arguments, serve

_PIECES, _LONGEST, _TAGS = 28_996, 512, 9
_BATCH_SIZES = (1, 4, 16)
_TRIED = 16  # texts


class Transformer(Contender):
    """An encoder with a linear layer on top."""

    def __init__(self, texts: Path) -> None:
        self._tokenizer = BertWordPieceTokenizer(lowercase=False)
        self._tokenizer.train_from_iterator(
            json.loads(texts.read_text(encoding="utf-8")), vocab_size=_PIECES, show_progress=False
        )
        self._tokenizer.enable_truncation(_LONGEST)
        self._tokenizer.enable_padding()
        torch.set_num_threads(1)
        torch.manual_seed(1)
        self._network = BertForTokenClassification(BertConfig(vocab_size=_PIECES, num_labels=_TAGS)).eval()
        self._chosen = (_BATCH_SIZES[0], False)

    def facts(self) -> dict[str, Any]:
        """Which versions, how many weights."""
        weights = sum(weight.numel() for weight in self._network.parameters())
        return {"torch": torch.__version__, "transformers": transformers.__version__, "weights": weights}

    def tune(self, way: str, items: Sequence[Any]) -> dict[str, Any]:
        """Try every batch size, with numbers of 32 and of 16 bits."""
        seconds: dict[tuple[int, bool], float] = {}
        self.raw(items[:2])
        for choice in product(_BATCH_SIZES, (False, True)):
            self._chosen = choice
            began = time.perf_counter()
            self.raw(items[:_TRIED])
            seconds[choice] = time.perf_counter() - began
        self._chosen = min(seconds, key=lambda choice: seconds[choice])
        tried = [{"batch_size": size, "bfloat16": half, "seconds": took} for (size, half), took in seconds.items()]
        return {"batch_size": self._chosen[0], "bfloat16": self._chosen[1], "tried": tried}

    def raw(self, texts: Sequence[str]) -> list[Any]:
        """Tags of pieces; a text of more pieces than the network takes is cut short."""
        size, half = self._chosen
        ordered = sorted(texts, key=len)
        found: list[Any] = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            for begin in range(0, len(ordered), size):
                encoded = self._tokenizer.encode_batch(ordered[begin : begin + size])
                logits = self._network(
                    input_ids=torch.tensor([one.ids for one in encoded]),
                    attention_mask=torch.tensor([one.attention_mask for one in encoded]),
                ).logits
                found += logits.argmax(-1).tolist()
        return found

    def tokens(self, documents: Sequence[Sequence[Words]]) -> list[Any]:
        """It is given texts."""
        raise NotImplementedError

    def tokens_one(self, words: Words) -> Any:  # noqa: ANN401 - its own affair
        """It is given texts."""
        raise NotImplementedError


def main(material: str, copies: str, texts: str) -> None:
    """Answer until standard input ends."""
    serve(lambda: Transformer(Path(texts)), Material(Path(material), int(copies)))


if __name__ == "__main__":
    main(*arguments(__doc__, "material", "copies", "texts"))
