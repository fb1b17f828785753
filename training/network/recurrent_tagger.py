"""A recurrent network, which teaches window networks: rows of words → an LSTM both ways → one score for each tag.

    U distinct words · C characters of the longest, with its marks · F filters · E width of e(w) · D width of a vector
    N tokens, sentences end to end · X width of what is read of a token · R sequences · L tokens of the longest
    H units in one direction · P documents · K tags

Beside the rows that a window network has, e(w) holds what a convolution finds in the characters of the word:

    c_f(w) = max over its characters of ReLU(Σ filter_f · rows of the characters around it)

Where a window network sums the rows of 2C+1 words, an LSTM reads all of a sequence, once from each end:

    x_t = [ e(w_t) ; row of how the document cases the word ; what the topic of the document says ]
    h_t = [ LSTM(x_1 … x_t) ; LSTM(x_L … x_t) ]        logits = W h_t + b

Nothing of it can be computed once for a word and kept, so it is far too slow to serve: it only teaches
(``training/fit/distillation.py``).

Sources: Ma & Hovy, ACL 2016, the network with a convolution over characters; Lample et al., NAACL 2016, with a CRF on
top; Gal & Ghahramani, NeurIPS 2016, one dropout mask for all steps of a sequence.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fenestra.model.config import ModelConfig
from fenestra.model.network.context import CASE_CLASSES
from fenestra.model.tags import tag_set
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.config import TrainingConfig
from fenestra.training.network.crf import LinearChainCRF
from fenestra.training.network.rows import CHARACTERS, Lengths, Rows, Windows
from fenestra.training.network.word_encoder import WordEncoder
from fenestra.training.vectors.quantise import VectorTable

_ELSEWHERE = 8  # width of the row of how the document cases a word
_TOPIC = 30  # width of what is read of the topic
_SHORT = 3  # sequences of less than 2⁴ tokens are of one size


class CharacterFilters(nn.Module):
    """What a convolution finds in the characters of a word."""

    def __init__(self, character: int, filters: int, width: int) -> None:
        super().__init__()
        self.rows = nn.Embedding(CHARACTERS, character, padding_idx=0)
        self.filters = nn.Conv1d(character, filters, width, padding=width // 2)

    def forward(self, character_UC: Tensor) -> Tensor:
        """The strongest answer of every filter to the characters of every word; padding is none.

        Returns:
            found_UF.
        """
        found_UFC = self.filters(self.rows(character_UC).transpose(1, 2)).relu()
        found_UF: Tensor = found_UFC.masked_fill(character_UC.eq(0)[:, None], 0.0).amax(dim=2)
        return found_UF


class BothWays(nn.Module):
    """An LSTM that reads sequences from their beginning, and one that reads them from their end.

    Sequences are read beside others of about the same length, padded to the longest; both directions read the padding
    last, when all that counts has been read, so no mask is needed. That takes half the time of packed sequences on a
    CPU, whose library has fast code for sequences of one length.
    """

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.onward = nn.LSTM(width, units, batch_first=True)
        self.returning = nn.LSTM(width, units, batch_first=True)

    def forward(self, x_NX: Tensor, sequence_R: Tensor) -> Tensor:
        """Read every sequence as if it were alone.

        Args:
            x_NX: sequences end to end.
            sequence_R: tokens of each sequence, one or more; int64, on the CPU.

        Returns:
            hidden_NH, of both directions side by side.
        """
        size_R = _size_classes(sequence_R)
        size_N = size_R.repeat_interleave(sequence_R)
        found, places = [x_NX.new_zeros(0, 2 * self.onward.hidden_size)], []
        for size in sorted(set(size_R.tolist())):
            place_N = (size_N == size).nonzero()[:, 0]
            found.append(self.read(x_NX[place_N.to(x_NX.device)], sequence_R[size_R == size]))
            places.append(place_N)
        if len(places) < 2:
            return found[-1]
        return torch.cat(found)[torch.cat(places).argsort().to(x_NX.device)]

    def read(self, x_NX: Tensor, sequence_R: Tensor) -> Tensor:
        """As :meth:`forward`, of sequences that are padded to the longest of them."""
        at_1L, length_R1 = torch.arange(int(sequence_R.max()))[None], sequence_R[:, None]
        is_token_RL = (at_1L < length_R1).to(x_NX.device)
        turned_RL = torch.where(at_1L < length_R1, length_R1 - 1 - at_1L, at_1L).to(x_NX.device)
        padded_RLX = pad_sequence(list(torch.split(x_NX, sequence_R.tolist())), batch_first=True)
        onward_RLH, _ = self.onward(padded_RLX)
        returning_RLH, _ = self.returning(_reorder(padded_RLX, turned_RL))
        found_NH: Tensor = torch.cat([onward_RLH, _reorder(returning_RLH, turned_RL)], dim=2)[is_token_RL]
        return found_NH


def _size_classes(length_R: Tensor) -> Tensor:
    """A class for each length, of which the longest is less than twice as long as the shortest: bounds the padding."""
    return length_R.double().log2().floor().long().clamp_min(_SHORT)


def _reorder(x_RLX: Tensor, place_RL: Tensor) -> Tensor:
    """Take the steps of each sequence in another order."""
    return x_RLX.gather(1, place_RL[:, :, None].expand(-1, -1, x_RLX.shape[2]))


class RecurrentTagger(WordEncoder):
    """Score every tag for every token of sequences that are read both ways."""

    def __init__(self, config: ModelConfig, lexicon: Lexicon, vectors: VectorTable) -> None:
        super().__init__(config, lexicon, vectors)
        features, recurrent = config.features, config.recurrent
        self.characters = (
            CharacterFilters(recurrent.character, recurrent.filters, recurrent.filter_width)
            if recurrent.character
            else None
        )
        self.elsewhere = nn.Embedding(CASE_CLASSES + 1, _ELSEWHERE) if features.elsewhere else None
        self.topic = nn.Linear(vectors.width, _TOPIC) if features.topic else None
        entry = self.entry + (recurrent.filters if recurrent.character else 0)
        entry += _ELSEWHERE * features.elsewhere + _TOPIC * features.topic
        widths = (entry, *(2 * units for units in config.hidden))
        self.layers = nn.ModuleList(BothWays(width, units) for width, units in zip(widths, config.hidden, strict=False))
        tags = tag_set(config.labels, config.scheme)
        self.output = nn.Linear(widths[-1], len(tags))
        self.crf = LinearChainCRF(tags, config.scheme) if config.decoder == "transitions" else None
        self.word_dropout = 0.0
        self.initialise()

    def prepare(self, options: TrainingConfig, device: torch.device) -> None:
        """Set what only training has."""
        super().prepare(options, device)
        self.word_dropout = options.word_dropout

    def initialise(self) -> None:
        """Draw the weights: Xavier's rule, orthogonal matrices from step to step, and forget gates that keep at first.

        Sources: Saxe et al., ICLR 2014; Jozefowicz et al., ICML 2015, the bias of the forget gate.
        """
        self.initialise_rows()
        for name, weight in self.layers.named_parameters():
            if "weight_hh" in name:
                for gate in weight.chunk(4):
                    nn.init.orthogonal_(gate)
            elif "weight_ih" in name:
                for gate in weight.chunk(4):
                    nn.init.xavier_uniform_(gate)
            else:  # two biases are added up: input, forget, cell and output gate
                nn.init.zeros_(weight)
                if "bias_ih" in name:
                    nn.init.ones_(weight.chunk(4)[1])
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, rows: Rows, windows: Windows, lengths: Lengths) -> Tensor:
        """Score all tags for every token.

        Args:
            rows: features of U distinct words.
            windows: of one word each: the token itself.
            lengths: where sequences begin anew.

        Returns:
            logits_NK, unnormalised; with a CRF they are the emission scores.
        """
        hidden_NX = self.read(rows, windows)
        sequence_R = lengths.sequence_R[lengths.sequence_R > 0]
        for layer in self.layers:
            hidden_NX = self.drop_hidden(layer(hidden_NX, sequence_R), sequence_R)
        logits_NK: Tensor = self.output(hidden_NX)
        return logits_NK

    def read(self, rows: Rows, windows: Windows) -> Tensor:
        """What is read of every token; returns x_NX."""
        parts = [self.encode_words(rows)]
        if self.characters is not None:
            parts.append(self.characters(rows.character_UC))
        entry_UE = self.input_dropout(torch.cat(parts, dim=1))
        parts = [self.drop_words(entry_UE[windows.word_NW[:, 0] - 1])]
        if self.elsewhere is not None:
            parts.append(self.elsewhere(windows.elsewhere_NW[:, 0]))
        if self.topic is not None:
            parts.append(self.topic(self.standardise_topics(windows.topic_PD))[windows.document_N])
        return torch.cat(parts, dim=1)

    def drop_words(self, entry_NE: Tensor) -> Tensor:
        """In training, set all that is known of some tokens to zero: their context has to tell."""
        if not self.training or not self.word_dropout:
            return entry_NE
        return entry_NE * (torch.rand(len(entry_NE), 1, device=entry_NE.device) >= self.word_dropout)

    def drop_hidden(self, hidden_NH: Tensor, sequence_R: Tensor) -> Tensor:
        """Dropout with one mask for all tokens of a sequence."""
        if not self.training or not self.hidden_dropout.p:
            return hidden_NH
        mask_RH: Tensor = self.hidden_dropout(hidden_NH.new_ones(len(sequence_R), hidden_NH.shape[1]))
        return hidden_NH * mask_RH.repeat_interleave(sequence_R.to(hidden_NH.device), dim=0)
