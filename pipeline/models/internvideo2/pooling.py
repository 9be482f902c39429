"""``clip_projector``: attention pooling of all tokens into one embedding."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.internvideo2.blocks import split_heads
from pipeline.models.internvideo2.config import InternVideo2Config


class CrossAttention(nn.Module):
    """Attention of one query over the tokens; the q, k, v biases are parameters beside bias-free linears."""

    def __init__(self, config: InternVideo2Config) -> None:
        super().__init__()
        dim = config.embed_dim
        self.num_heads = config.pool_num_heads
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.k_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.q = nn.Linear(dim, dim, bias=False)
        self.k = nn.Linear(dim, dim, bias=False)
        self.v = nn.Linear(dim, dim, bias=False)
        self.proj = nn.Linear(dim, config.pool_dim)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Maps queries ``b q c``, keys and values ``b n c`` to ``b q pool_dim``."""
        q = F.linear(queries, self.q.weight, self.q_bias)
        k = F.linear(keys, self.k.weight, self.k_bias)
        v = F.linear(values, self.v.weight, self.v_bias)
        q, k, v = (split_heads(x, self.num_heads) for x in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v)
        output: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return output


class AttentionPooling(nn.Module):
    """Pools with the mean of all tokens, cls included, as the query; no residual."""

    def __init__(self, config: InternVideo2Config) -> None:
        super().__init__()
        self.norm1_q = nn.LayerNorm(config.embed_dim, eps=1e-5)
        self.norm1_k = nn.LayerNorm(config.embed_dim, eps=1e-5)
        self.norm1_v = nn.LayerNorm(config.embed_dim, eps=1e-5)
        self.cross_attn = CrossAttention(config)

    def forward(self, tokens: Tensor) -> Tensor:
        """Pools tokens ``b n c`` into an embedding ``b pool_dim``."""
        query = tokens.mean(dim=1, keepdim=True)
        pooled = self.cross_attn(self.norm1_q(query), self.norm1_k(tokens), self.norm1_v(tokens))
        return pooled.squeeze(1)
