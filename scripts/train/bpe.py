"""Byte-level BPE: learns merges from counted words, encodes text, writes and reads a tokenizer.json.

The file has the form that Hugging Face's tokenizers library defines for GPT-2-like vocabularies. One special token,
id 0, begins every text and stands between documents.
"""
import heapq
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Iterable

import regex

END_OF_TEXT = "<|endoftext|>"
# GPT-2's words: a contraction, or letters, digits or signs with at most one space before them, or white space.
WORD = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
WORDS = regex.compile(WORD)

Pair = tuple[int, int]


def byte_letters() -> list[str]:
    """The letter that stands for each byte in a byte-level vocabulary: itself where it is printable, else one from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) if b in printable else chr(256 + others.index(b)) for b in range(256)]


def count_words(documents: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(WORDS.findall(document))
    return counts


def replace_pair(symbols: list[int], pair: Pair, merged: int) -> list[int]:
    out: list[int] = []
    at = 0
    while at < len(symbols):
        if at + 1 < len(symbols) and symbols[at] == pair[0] and symbols[at + 1] == pair[1]:
            out.append(merged)
            at += 2
        else:
            out.append(symbols[at])
            at += 1
    return out


def learn_merges(counts: Counter[str], n_merges: int, first_id: int) -> list[Pair]:
    """The n_merges pairs that are the most frequent, one after the other. Symbols below first_id are bytes + 1. Of equally
    frequent pairs the one with the lower ids comes first, so that the result depends on the text only."""
    words = [[b + 1 for b in word.encode()] for word in counts]
    weights = list(counts.values())
    frequency: dict[Pair, int] = defaultdict(int)
    where: dict[Pair, set[int]] = defaultdict(set)
    for index, symbols in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            frequency[pair] += weights[index]
            where[pair].add(index)
    heap = [(-n, pair) for pair, n in frequency.items()]
    heapq.heapify(heap)

    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        negative, best = heapq.heappop(heap)
        if -negative != frequency.get(best, 0):  # an old entry: the pair's frequency has changed since
            continue
        if -negative < 2:
            break
        merged = first_id + len(merges)
        merges.append(best)
        changed: set[Pair] = set()
        for index in where.pop(best):
            before, after = words[index], replace_pair(words[index], best, merged)
            words[index] = after
            for pair in zip(before, before[1:]):
                frequency[pair] -= weights[index]
                changed.add(pair)
            for pair in zip(after, after[1:]):
                frequency[pair] += weights[index]
                where[pair].add(index)
                changed.add(pair)
        for pair in changed:
            if frequency[pair] > 0:
                heapq.heappush(heap, (-frequency[pair], pair))
            else:
                frequency.pop(pair)
    return merges


class Tokenizer:
    """Ids: 0 is the special token, 1 to 256 are the bytes, then one for every merge."""

    N_FIXED = 257

    def __init__(self, merges: list[Pair]):
        self.merges = merges
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.pieces: list[bytes] = [b""] + [bytes([b]) for b in range(256)]
        for left, right in merges:
            self.pieces.append(self.pieces[left] + self.pieces[right])
        self.cache: dict[str, list[int]] = {}

    @property
    def vocab_size(self) -> int:
        return self.N_FIXED + len(self.merges)

    def encode_word(self, word: str) -> list[int]:
        symbols = [b + 1 for b in word.encode()]
        while len(symbols) > 1:
            rank, pair = min((self.ranks.get(p, len(self.merges)), p) for p in zip(symbols, symbols[1:]))
            if rank == len(self.merges):
                break
            symbols = replace_pair(symbols, pair, self.N_FIXED + rank)
        return symbols

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in WORDS.findall(text):
            known = self.cache.get(word)
            if known is None:
                known = self.cache[word] = self.encode_word(word)
            ids += known
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        return b"".join(self.pieces[i] for i in ids).decode(errors="replace")

    def names(self) -> list[str]:
        """The tokens as a tokenizer.json spells them."""
        letters = byte_letters()
        return [END_OF_TEXT] + ["".join(letters[b] for b in piece) for piece in self.pieces[1:]]

    def save(self, path: Path) -> None:
        names = self.names()
        special = {"id": 0, "content": END_OF_TEXT, "single_word": False, "lstrip": False, "rstrip": False,
                   "normalized": False, "special": True}
        first, text = {"SpecialToken": {"id": END_OF_TEXT, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
        second = [{"SpecialToken": {"id": END_OF_TEXT, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        content = {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [special], "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": WORD}, "behavior": "Isolated", "invert": False}, byte_level]},
            "post_processor": {"type": "TemplateProcessing", "single": [first, text], "pair": [first, text, *second],
                               "special_tokens": {END_OF_TEXT: {"id": END_OF_TEXT, "ids": [0], "tokens": [END_OF_TEXT]}}},
            "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": {name: i for i, name in enumerate(names)},
                      "merges": [[names[left], names[right]] for left, right in self.merges]},
        }
        path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Reads what save() has written, not every tokenizer.json."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            split, ids = content["pre_tokenizer"]["pretokenizers"][0], content["model"]["vocab"]
            made = cls([(ids[left], ids[right]) for left, right in content["model"]["merges"]])
            if split["pattern"] == {"Regex": WORD} and made.names() == sorted(ids, key=ids.__getitem__):
                return made
        except (IndexError, KeyError, TypeError, ValueError):
            pass
        raise ValueError(f"{path}: expected a tokenizer that scripts/train/prepare has made, found another kind")


def train_tokenizer(documents: Iterable[str], vocab_size: int) -> Tokenizer:
    if vocab_size < Tokenizer.N_FIXED:
        raise ValueError(f"vocabulary: expected at least {Tokenizer.N_FIXED} tokens, found {vocab_size}")
    return Tokenizer(learn_merges(count_words(documents), vocab_size - Tokenizer.N_FIXED, Tokenizer.N_FIXED))
