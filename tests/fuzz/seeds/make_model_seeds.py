#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets gguf_model and quantised beside itself."""
import json
import os
import random
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
RANDOM = random.Random(1)

# ggml_type: numbers of a block, bytes of a block
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24),
         "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176),
         "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18), "IQ4_XS": (23, 256, 136), "BF16": (30, 1, 2), "MXFP4": (39, 32, 17)}


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(content):
    if isinstance(content, str):
        return struct.pack("<I", 8) + string(content)
    if isinstance(content, float):
        return struct.pack("<If", 6, content)
    if isinstance(content, list):
        return struct.pack("<IIQ", 9, 8, len(content)) + b"".join(string(one) for one in content)
    return struct.pack("<II", 4, content)


def gguf(values, tensors):
    """tensors: (name, dims with the fastest first, type name)"""
    infos, data = b"", b""
    for name, dims, kind in tensors:
        number, block, size = TYPES[kind]
        infos += string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, number, len(data))
        count = 1
        for n in dims:
            count *= n
        data += RANDOM.randbytes(count // block * size)
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    head += b"".join(string(key) + value(content) for key, content in values.items()) + infos
    return head + bytes(-len(head) % 32) + data


def model(name, architecture, width, kinds, extra, tensors):
    values = {"general.architecture": architecture, "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["<unk>", "<s>", "a"],
              "tokenizer.ggml.eos_token_id": 1, "tokenizer.chat_template": "{{ messages }}"}
    sizes = {"block_count": 1, "embedding_length": width, "feed_forward_length": width, "context_length": 32, "attention.head_count": 2,
             "attention.layer_norm_rms_epsilon": 1e-5} | extra
    values |= {f"{architecture}.{key}": content for key, content in sizes.items()}
    kind = iter(kinds * 20)
    every = [("token_embd.weight", [width, 3])] + [("blk.0." + t, d) for t, d in tensors]
    every = [(t, d, next(kind) if len(d) > 1 else "F32") for t, d in every]
    write("gguf_model", name, gguf(values, every + [("output_norm.weight", [width], "F32")]))


def attention(width):
    return [(f"attn_{m}.weight", [width, width]) for m in ("q", "k", "v", "output")] + [("attn_norm.weight", [width]), ("ffn_norm.weight", [width])]


def dense(width):
    return [(f"ffn_{m}.weight", [width, width]) for m in ("gate", "up", "down")]


def experts(width):
    return [(f"ffn_{m}_exps.weight", [width, width, 2]) for m in ("gate", "up", "down")] + [("ffn_gate_inp.weight", [width, 2])]


def safetensors(tensors):
    sizes = {"F32": 4, "BF16": 2, "U8": 1, "I8": 1, "F8_E4M3": 1, "I32": 4, "I64": 8}
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        count = 1
        for n in shape:
            count *= n
        content = RANDOM.randbytes(count * sizes[dtype]) if content is None else content
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def quantised(name, config, tensors):
    write("quantised", name, json.dumps({"quantization_config": config}, separators=(",", ":")).encode() + b"\n" + safetensors(tensors))


def write(folder, name, content):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name), "wb") as file:
        file.write(content)


def compressed(weights, targets="Linear", **more):
    return {"quant_method": "compressed-tensors", "config_groups": {"g": {"targets": [targets], "weights": weights}}} | more


model("llama", "llama", 32, ["F32", "F16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4", "IQ4_NL", "BF16"], {}, attention(32) + dense(32))
model("super_blocks", "qwen2", 256, ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"], {},
      [(f"{m}.weight", [256, 2]) for m in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate")])
model("mixtral", "llama", 32, ["Q8_0"], {"expert_count": 2, "expert_used_count": 1}, attention(32) + experts(32))
model("gpt_oss", "gpt-oss", 32, ["MXFP4"], {"expert_count": 2, "expert_used_count": 1, "attention.sliding_window": 8},
      attention(32) + experts(32) + [("ffn_gate_exps.bias", [32, 2]), ("ffn_up_exps.bias", [32, 2]), ("attn_sinks.weight", [2])])

model("deepseek", "deepseek2", 32, ["Q8_0"],
      {"expert_count": 2, "expert_used_count": 1, "expert_gating_func": 2, "expert_feed_forward_length": 32, "expert_shared_count": 1,
       "attention.kv_lora_rank": 32, "attention.key_length_mla": 48, "attention.value_length_mla": 32, "rope.dimension_count": 16},
      [("attn_norm.weight", [32]), ("ffn_norm.weight", [32]), ("attn_q.weight", [32, 96]), ("attn_kv_a_mqa.weight", [32, 48]),
       ("attn_kv_a_norm.weight", [32]), ("attn_k_b.weight", [32, 32, 2]), ("attn_v_b.weight", [32, 32, 2]), ("attn_output.weight", [64, 32]),
       ("exp_probs_b.bias", [2])] + experts(32))
model("bert", "bert", 32, ["F16"], {"attention.layer_norm_epsilon": 1e-12, "pooling_type": 2},
      [(f"attn_{m}.{end}", [32, 32] if end == "weight" else [32]) for m in ("q", "k", "v", "output") for end in ("weight", "bias")] +
      [("attn_output_norm.weight", [32]), ("layer_output_norm.weight", [32]), ("ffn_up.weight", [32, 32]), ("ffn_down.weight", [32, 32])])

shape = struct.pack("<QQ", 4, 16)
quantised("int8", compressed({"num_bits": 8, "strategy": "channel"}), {"m.weight": ("I8", [4, 16], None), "m.weight_scale": ("F32", [4, 1], None)})
quantised("groups", compressed({"num_bits": 8, "strategy": "group", "group_size": 4}, "re:m.*"), {
    "m.weight": ("I8", [4, 16], None), "m.weight_scale": ("BF16", [4, 4], None), "m.weight_zero_point": ("I8", [4, 4], None),
    "m.weight_g_idx": ("I32", [16], struct.pack("<16i", *([0, 1, 2, 3] * 4)))})
quantised("packed", compressed({"num_bits": 4, "strategy": "group", "group_size": 8}), {
    "m.weight_packed": ("I32", [4, 2], None), "m.weight_shape": ("I64", [2], shape), "m.weight_scale": ("F32", [4, 2], None),
    "m.weight_zero_point": ("I32", [1, 2], None)})
quantised("packed_across", compressed({"num_bits": 3, "strategy": "channel"}, version="0.18.0"), {
    "m.weight_packed": ("I32", [4, 2], None), "m.weight_shape": ("I64", [2], shape), "m.weight_scale": ("F32", [4, 1], None)})
quantised("sparse_int8", compressed({"num_bits": 8, "strategy": "channel"}), {
    "m.shape": ("I64", [2], shape), "m.compressed": ("I8", [4], None), "m.bitmask": ("U8", [4, 2], bytes([1, 0, 0, 2, 4, 0, 0, 8])),
    "m.row_offsets": ("I64", [4], struct.pack("<4q", 0, 1, 2, 3)), "m.weight_scale": ("F32", [4, 1], None)})
quantised("two_of_four", {"quant_method": "compressed-tensors"}, {
    "m.shape": ("I64", [2, 1], shape), "m.compressed": ("BF16", [4, 8], None), "m.bitmask": ("U8", [4, 2], bytes([0x39, 0x69] * 4))})
quantised("fp8", {"quant_method": "fp8", "weight_block_size": [3, 5]}, {"m.weight": ("F8_E4M3", [4, 16], None), "m.weight_scale_inv": ("F32", [2, 4], None)})
quantised("mxfp4", {"quant_method": "mxfp4"}, {"e.gate_up_proj_blocks": ("U8", [2, 4, 1, 16], None), "e.gate_up_proj_scales": ("U8", [2, 4, 1], None)})
