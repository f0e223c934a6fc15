"""Text files as documents, documents as a stream of tokens on disk, and batches that depend on (seed, step) only."""
import lzma
from pathlib import Path
from typing import Iterator

import numpy
import torch

from bpe import END_OF_TEXT, Tokenizer


def read_documents(path: Path) -> list[str]:
    """The documents of a text file, which may be compressed (.xz): what is between separators, stripped, if anything."""
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    stripped = (document.strip(" \t\r\n") for document in data.decode("utf-8", errors="replace").split(END_OF_TEXT))
    return [document for document in stripped if document]


def write_tokens(tokenizer: Tokenizer, documents: list[str], path: Path) -> int:
    """Stores all documents, each with the special token before it, as one array; returns how many tokens they are."""
    if tokenizer.vocab_size > 65536:
        raise ValueError(f"vocabulary: expected at most 65536 tokens, found {tokenizer.vocab_size}")
    parts = [numpy.array([0, *tokenizer.encode(document)], dtype=numpy.uint16) for document in documents]
    tokens = numpy.concatenate(parts) if parts else numpy.zeros(0, dtype=numpy.uint16)
    numpy.save(path, tokens)
    return len(tokens)


class Batches:
    """Windows of a token stream, each once an epoch, in an order and with a shift that are new in every epoch. A window
    begins with the special token, as texts do when the model is used, also where it is from the middle of a document.
    The stream lies on the device, so that of a batch only the places of its windows are copied there."""

    def __init__(self, path: Path, vocab_size: int, n_windows: int, n_tokens: int, seed: int, device: torch.device):
        stream = torch.from_numpy(numpy.load(path).astype(numpy.int64))
        self.n_windows, self.n_tokens, self.seed = n_windows, n_tokens, seed
        self.per_epoch = (len(stream) - n_tokens) // n_tokens
        if self.per_epoch < 1:
            raise ValueError(f"{path}: expected at least {2 * n_tokens} tokens, found {len(stream)}")
        if int(stream.max()) >= vocab_size:
            raise ValueError(f"{path}: expected tokens below {vocab_size}, found {int(stream.max())}")
        self.stream = stream.to(device)
        self.places = torch.arange(n_tokens, device=device)
        self.epoch = -1
        self.starts = torch.zeros(0, dtype=torch.int64)

    def start_of(self, number: int) -> int:
        epoch, index = divmod(number, self.per_epoch)
        if epoch != self.epoch:
            random = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            shift = int(torch.randint(self.n_tokens, (1,), generator=random))
            self.starts = torch.randperm(self.per_epoch, generator=random) * self.n_tokens + shift
            self.epoch = epoch
        return int(self.starts[index])

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and what follows each of them, both (n_windows, n_tokens)."""
        starts = torch.tensor([[self.start_of(step * self.n_windows + i)] for i in range(self.n_windows)])
        targets = self.stream[starts.to(self.stream.device) + self.places]
        return torch.cat([torch.zeros_like(targets[:, :1]), targets[:, :-1]], dim=1), targets


def evaluation_windows(tokenizer: Tokenizer, document: str, n_tokens: int) -> Iterator[list[int]]:
    """The windows that `colonnade perplexity --window n_tokens` scores: the special token and what is next of the text."""
    ids = tokenizer.encode(document)
    for at in range(0, len(ids), n_tokens - 1):
        yield [0, *ids[at : at + n_tokens - 1]]
