"""A small mixture of experts in the form of Qwen3-MoE: the architecture that `config.json` calls Qwen3MoeForCausalLM.

Norm, attention with norms of query and key heads and rotary positions, norm, the best experts of a router. Embedding
and head are one matrix.
"""
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class Shape:
    dim: int
    hidden_dim: int  # neurons of an expert
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    n_experts: int
    n_active: int
    vocab_size: int
    rope_theta: float = 10000.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) <= 0:
                raise ValueError(f"{field.name}: expected more than 0, found {getattr(self, field.name)}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads: expected a multiple of n_kv_heads ({self.n_kv_heads}), found {self.n_heads}")
        if self.n_active > self.n_experts:
            raise ValueError(f"n_active: expected at most n_experts ({self.n_experts}), found {self.n_active}")
        if self.head_dim % 2:
            raise ValueError(f"head_dim: expected an even number, found {self.head_dim}")

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def norm(x: Tensor, weight: Tensor) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON) * weight


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x: (windows, heads, tokens, head_dim); the halves of a head are the two coordinates that turn."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        kv_dim = shape.n_kv_heads * shape.head_dim
        q_dim = shape.n_heads * shape.head_dim
        self.q = nn.Parameter(torch.empty(q_dim, shape.dim))
        self.k = nn.Parameter(torch.empty(kv_dim, shape.dim))
        self.v = nn.Parameter(torch.empty(kv_dim, shape.dim))
        self.o = nn.Parameter(torch.empty(shape.dim, q_dim))
        self.q_norm = nn.Parameter(torch.ones(shape.head_dim))
        self.k_norm = nn.Parameter(torch.ones(shape.head_dim))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, future: Tensor) -> Tensor:
        s, (n_windows, n_tokens, _) = self.shape, x.shape
        qkv = functional.linear(x, torch.cat([self.q, self.k, self.v]))
        heads = qkv.view(n_windows, n_tokens, s.n_heads + 2 * s.n_kv_heads, s.head_dim).transpose(1, 2)
        q, k, v = heads.split([s.n_heads, s.n_kv_heads, s.n_kv_heads], dim=1)
        q = rotate(norm(q, self.q_norm), cos, sin) * s.head_dim**-0.5
        k = rotate(norm(k, self.k_norm), cos, sin)
        group = s.n_heads // s.n_kv_heads
        # The query heads of a KV head are more rows of the same multiplication.
        q = q.reshape(n_windows, s.n_kv_heads, group * n_tokens, s.head_dim)
        scores = (q @ k.transpose(-1, -2)).view(n_windows, s.n_heads, n_tokens, n_tokens)  # (…, query, key)
        weights = (scores + future.to(scores.dtype)).softmax(-1)
        mixed = weights.view(n_windows, s.n_kv_heads, group * n_tokens, n_tokens) @ v
        mixed = mixed.view(n_windows, s.n_heads, n_tokens, s.head_dim).transpose(1, 2)
        return functional.linear(mixed.reshape(n_windows, n_tokens, -1), self.o)


class Experts(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.router = nn.Parameter(torch.empty(shape.n_experts, shape.dim))
        self.gate = nn.Parameter(torch.empty(shape.n_experts, shape.hidden_dim, shape.dim))
        self.up = nn.Parameter(torch.empty(shape.n_experts, shape.hidden_dim, shape.dim))
        self.down = nn.Parameter(torch.empty(shape.n_experts, shape.dim, shape.hidden_dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: (tokens, dim). Also the imbalance: 1 when all experts get the same share of tokens and of probability."""
        s = self.shape
        with torch.autocast(x.device.type, enabled=False):
            probability = functional.linear(x.float(), self.router).softmax(-1)  # (tokens, n_experts)
        weight, chosen = probability.topk(s.n_active, dim=-1)  # (tokens, n_active)
        weight = weight / weight.sum(-1, keepdim=True)
        if s.n_experts == 1:
            counts, order = [len(x)], torch.arange(len(x), device=x.device)
        else:
            order = chosen.flatten().argsort(stable=True)
            counts = torch.bincount(chosen.flatten(), minlength=s.n_experts).tolist()
        rows = x.index_select(0, order // s.n_active)
        outputs: list[Tensor] = []
        for expert, part in enumerate(rows.split(counts)):
            gate, up = functional.linear(part, torch.cat([self.gate[expert], self.up[expert]])).chunk(2, dim=-1)
            outputs.append(functional.linear(functional.silu(gate) * up, self.down[expert]))
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=x.device)
        out = torch.cat(outputs).index_select(0, back).view(len(x), s.n_active, s.dim)
        share = torch.tensor(counts, dtype=torch.float32, device=x.device) / len(order)
        imbalance = s.n_experts * (share * probability.mean(0)).sum()
        return (out * weight.unsqueeze(-1)).sum(1), imbalance


class Layer(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.attention_norm = nn.Parameter(torch.ones(shape.dim))
        self.attention = Attention(shape)
        self.experts_norm = nn.Parameter(torch.ones(shape.dim))
        self.experts = Experts(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, future: Tensor) -> tuple[Tensor, Tensor]:
        x = x + self.attention(norm(x, self.attention_norm), cos, sin, future)
        out, imbalance = self.experts(norm(x, self.experts_norm).flatten(0, 1))
        return x + out.view_as(x), imbalance


class Model(nn.Module):
    def __init__(self, shape: Shape, seed: int = 0):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.empty(shape.vocab_size, shape.dim))
        self.layers = nn.ModuleList([Layer(shape) for _ in range(shape.n_layers)])
        self.final_norm = nn.Parameter(torch.ones(shape.dim))
        random = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                scale = 0.02 if name == "embedding" else parameter.shape[-1] ** -0.5
                if name.endswith((".o", ".down")):  # sums of layers begin small
                    scale /= (2 * shape.n_layers) ** 0.5
                parameter.data.normal_(0, scale, generator=random)

    def projections(self) -> dict[str, nn.Parameter]:
        """What is pruned: matrices of attention and experts, (…, rows, columns). Routers, norms and the embedding are not."""
        return {name: parameter for name, parameter in self.named_parameters()
                if name.endswith((".q", ".k", ".v", ".o", ".gate", ".up", ".down"))}

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens: (windows, tokens). Logits (windows, tokens, vocab_size) and the mean imbalance of the routers."""
        n_tokens, half = tokens.shape[1], self.shape.head_dim // 2
        turns = self.shape.rope_theta ** (-torch.arange(half, device=tokens.device, dtype=torch.float32) / half)
        angles = torch.arange(n_tokens, device=tokens.device, dtype=torch.float32)[:, None] * turns
        future = torch.full((n_tokens, n_tokens), float("-inf"), device=tokens.device).triu(1)
        x = functional.embedding(tokens, self.embedding)
        imbalances = []
        for layer in self.layers:
            x, imbalance = layer(x, angles.cos(), angles.sin(), future)
            imbalances.append(imbalance)
        return functional.linear(norm(x, self.final_norm), self.embedding), torch.stack(imbalances).mean()
