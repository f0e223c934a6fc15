"""Files of a training run: written beside their place first and then moved there, so that a kill leaves the old ones.

Also safetensors, as far as it is needed here: https://github.com/huggingface/safetensors#format
"""
import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
TYPES = {name: dtype for dtype, name in NAMES.items()}
TENSOR_KEYS = ("model", "optimizer", "masks")
STATE_KEYS = {"shape", "step", *TENSOR_KEYS}
MAX_HEADER_BYTES = 100_000_000


def replace_file(path: Path, data: bytes) -> None:
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def save_state(path: Path, state: dict[str, Any]) -> None:
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        # Plain values as text: PyTorch 1.13 reads no floating-point numbers where it reads nothing but tensors.
        plain = json.dumps({name: value for name, value in state.items() if name not in TENSOR_KEYS})
        torch.save({**{name: state[name] for name in TENSOR_KEYS}, "plain": plain}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def load_state(path: Path, device: torch.device) -> dict[str, Any]:
    """A state that save_state() has written. Of PyTorch's format, which can run code, only what holds tensors is read."""
    if not path.exists():
        raise ValueError(f"{path}: expected a saved state, found no file")
    try:
        stored = torch.load(path, map_location=device, weights_only=True)
        state = {**json.loads(stored["plain"]), **{name: stored[name] for name in TENSOR_KEYS}}
        if state.keys() >= STATE_KEYS:
            return state
    except (AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError):
        pass  # an unfinished copy, or another kind of file
    raise ValueError(f"{path}: expected a state that scripts/train/train has saved, found something else")


def to_bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().flatten()
    # numpy knows no bfloat16; its bits are what the file wants.
    return (flat if flat.dtype == torch.float32 else flat.view(torch.int16)).numpy().tobytes()


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        end = at + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors are aligned
    replace_file(path, b"".join([struct.pack("<Q", len(text)), text, *map(to_bytes, tensors.values())]))


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor, in its own type. A file that contradicts itself is refused."""
    data = bytearray(path.read_bytes())
    if len(data) < 8:
        raise ValueError(f"{path}: expected a safetensors file, found {len(data)} bytes")
    (header_bytes,) = struct.unpack_from("<Q", data)
    if header_bytes > min(MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError(f"{path}: expected a header of at most {len(data) - 8} bytes, found {header_bytes}")
    try:
        header = json.loads(data[8 : 8 + header_bytes].decode())
        header.pop("__metadata__", None)
        places = {name: (TYPES[t["dtype"]], [int(n) for n in t["shape"]], *map(int, t["data_offsets"])) for name, t in header.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a header of F32, F16 and BF16 tensors, found {error!r}") from None
    tensors = {}
    for name, (dtype, shape, begin, end) in places.items():
        n = 1
        for size in shape:
            n *= size
        n_bytes = n * torch.tensor([], dtype=dtype).element_size()
        if min(shape, default=0) < 0 or begin < 0 or end - begin != n_bytes or end > len(data) - 8 - header_bytes:
            raise ValueError(f"{path}: {name}: expected {n_bytes} bytes within the file, found {begin} to {end}")
        start = 8 + header_bytes + begin
        tensors[name] = torch.frombuffer(data, dtype=dtype, count=n, offset=start).view(shape).clone() if n else torch.zeros(shape, dtype=dtype)
    return tensors
