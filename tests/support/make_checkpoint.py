#!/usr/bin/env python3
"""Writes a checkpoint of random numbers in the Llama form: as large as one likes, in memory that does not depend on that.

usage: make_checkpoint.py DIRECTORY --layers N --dim N --hidden N [--vocab N]
"""
import argparse
import json
import random
import struct
from pathlib import Path

BLOCK_NUMBERS = 1 << 20
FILE_LAYERS = 8  # of one file: checkpoints of some size have several


def random_block(seed):
    """Numbers in BF16, of either sign, 0.008 to 0.03."""
    source = random.Random(seed)
    block = bytearray(2 * BLOCK_NUMBERS)
    block[0::2] = source.randbytes(BLOCK_NUMBERS)
    block[1::2] = source.randbytes(BLOCK_NUMBERS).translate(bytes(0x3c if byte < 128 else 0xbc for byte in range(256)))
    return bytes(block)


def layer_tensors(layer, dim, hidden):
    name = f"model.layers.{layer}"
    yield f"{name}.input_layernorm.weight", (dim,)
    yield f"{name}.post_attention_layernorm.weight", (dim,)
    for part in "qkvo":
        yield f"{name}.self_attn.{part}_proj.weight", (dim, dim)
    for part, shape in (("gate", (hidden, dim)), ("up", (hidden, dim)), ("down", (dim, hidden))):
        yield f"{name}.mlp.{part}_proj.weight", shape


def write_tensor(file, count, block, turn):
    """The block over and over, from another place for each tensor."""
    begin = 2 * (turn * 7919 % BLOCK_NUMBERS)
    left = 2 * count
    while left > 0:
        part = block[begin:begin + left]
        file.write(part)
        left -= len(part)
        begin = 0


def write_file(path, tensors, block, turn):
    header, place = {}, 0
    for name, shape in tensors:
        count = 1
        for size in shape:
            count *= size
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [place, place + 2 * count]}
        place += 2 * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            write_tensor(file, (end - begin) // 2, block, turn)
            turn += 1
    return {name: path.name for name in header}, place, turn


def make_checkpoint(folder, layers, dim, hidden, vocab=256):
    """Returns the bytes of its tensors."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": dim, "intermediate_size": hidden,
              "num_hidden_layers": layers, "num_attention_heads": dim // 64, "num_key_value_heads": dim // 64, "vocab_size": vocab,
              "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    outer = [("model.embed_tokens.weight", (vocab, dim)), ("model.norm.weight", (dim,)), ("lm_head.weight", (vocab, dim))]
    groups = [[tensor for layer in range(first, min(first + FILE_LAYERS, layers)) for tensor in layer_tensors(layer, dim, hidden)]
              for first in range(0, layers, FILE_LAYERS)] + [outer]
    block, turn, total, names = random_block(1), 0, 0, {}
    for index, tensors in enumerate(groups):
        path = folder / f"model-{index + 1:05}-of-{len(groups):05}.safetensors"
        found, written, turn = write_file(path, tensors, block, turn)
        names.update(found)
        total += written
    index = {"metadata": {"total_size": total}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("directory")
    for option in ("layers", "dim", "hidden"):
        parser.add_argument(f"--{option}", type=int, required=True)
    parser.add_argument("--vocab", type=int, default=256)
    given = parser.parse_args()
    print(make_checkpoint(given.directory, given.layers, given.dim, given.hidden, given.vocab), "bytes")
