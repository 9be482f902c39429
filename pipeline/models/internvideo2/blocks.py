"""The pre-norm transformer block: RMSNorm, attention with qk-norm, LayerScale, MLP."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.internvideo2.config import InternVideo2Config


def split_heads(tokens: Tensor, num_heads: int) -> Tensor:
    """Reshapes ``b n c`` to ``b heads n c/heads``."""
    batch, length, dim = tokens.shape
    return tokens.reshape(batch, length, num_heads, dim // num_heads).transpose(1, 2)


class RMSNorm(nn.Module):
    """Root-mean-square norm with a weight and no bias; statistics in float32 whatever the input's dtype."""

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, tokens: Tensor) -> Tensor:
        """Normalises the last dimension.

        Args:
            tokens: ``... c``.

        Returns:
            ``... c``; cast back to the input's dtype before the weight is applied, as officially.
        """
        wide = tokens.float()
        normed = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return self.weight * normed.to(tokens.dtype)


class LayerScale(nn.Module):
    """A learnt scale per channel, multiplied in float32."""

    def __init__(self, dim: int, init: float) -> None:
        super().__init__()
        self.init = init
        self.gamma = nn.Parameter(torch.full((dim,), float(init)))

    def forward(self, tokens: Tensor) -> Tensor:
        """Scales ``... c``; the dtype stays."""
        return (tokens.float() * self.gamma.float()).to(tokens.dtype)


class DropPath(nn.Module):
    """Stochastic depth: drops a residual branch for whole samples while training.

    Ref: Huang et al., "Deep Networks with Stochastic Depth" (ECCV 2016).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Drops samples of ``b n c`` with probability ``rate`` and scales the others up to keep the mean."""
        if not self.training or self.rate == 0:
            return branch
        keep = 1 - self.rate
        mask = branch.new_empty((branch.shape[0],) + (1,) * (branch.ndim - 1)).bernoulli_(keep)
        return branch * (mask / keep)


class Attention(nn.Module):
    """Self-attention; queries and keys are normalised over the full width, before the split into heads."""

    def __init__(self, config: InternVideo2Config) -> None:
        super().__init__()
        dim = config.embed_dim
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=config.qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.q_norm: nn.Module = RMSNorm(dim) if config.qk_norm else nn.Identity()
        self.k_norm: nn.Module = RMSNorm(dim) if config.qk_norm else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        """Lets every token of ``b n c`` attend to every other; never materialises the ``n n`` matrix."""
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        q, k, v = (split_heads(x, self.num_heads) for x in (self.q_norm(q), self.k_norm(k), v))
        mixed = F.scaled_dot_product_attention(q, k, v)
        output: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return output


class Mlp(nn.Module):
    """Two linear layers with biases and a GELU between them."""

    def __init__(self, config: InternVideo2Config) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.embed_dim, config.mlp_dim)
        self.fc2 = nn.Linear(config.mlp_dim, config.embed_dim)
        self.approximate = "tanh" if config.hidden_act == "gelu_tanh" else "none"

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps ``b n c`` to ``b n c``."""
        return self.fc2(F.gelu(self.fc1(tokens), approximate=self.approximate))


class Block(nn.Module):
    """One pre-norm block: ``x + ls1(attn(norm1(x)))``, then ``x + ls2(mlp(norm2(x)))``."""

    def __init__(self, config: InternVideo2Config, drop_path_rate: float) -> None:
        super().__init__()
        dim, scale = config.embed_dim, config.layerscale_init
        self.norm1 = RMSNorm(dim)
        self.attn = Attention(config)
        self.ls1: nn.Module = LayerScale(dim, scale) if scale else nn.Identity()
        self.norm2 = RMSNorm(dim)
        self.mlp = Mlp(config)
        self.ls2: nn.Module = LayerScale(dim, scale) if scale else nn.Identity()
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps ``b n c`` to ``b n c``."""
        tokens = tokens + self.drop_path(self.ls1(self.attn(self.norm1(tokens))))
        return tokens + self.drop_path(self.ls2(self.mlp(self.norm2(tokens))))
