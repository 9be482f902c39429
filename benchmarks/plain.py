"""The plainest faithful InternVideo2 in torch: every formula as it is published, one eager operation after another.

Attention writes out its whole matrix. What the real model saves or loses is measured against this.

Ref: the published architecture; ``tests/pipeline/models/plain_internvideo2.py`` is the same in float64 NumPy.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.models.internvideo2.config import InternVideo2Config

Weights = Mapping[str, Tensor]


def plain_forward(pixels: Tensor, weights: Weights, config: InternVideo2Config) -> Tensor:
    """Encodes clips.

    Args:
        pixels: float ``b 3 t h w``, normalised.
        weights: by the official names.
        config: with joint position embeddings, qk-norm and LayerScale.

    Returns:
        The normed embedding ``b pool_dim``.
    """
    kernel = (config.tubelet_size, config.patch_size, config.patch_size)
    patches = functional.conv3d(
        pixels, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=kernel
    )
    tokens = patches.flatten(2).transpose(1, 2)
    tokens = torch.cat([weights["cls_token"].expand(len(tokens), -1, -1), tokens], dim=1) + weights["pos_embed"]
    for index in range(config.depth):
        tokens = _block(tokens, weights, f"blocks.{index}.", config)
    pooled = _pool(tokens, weights, config)
    return functional.layer_norm(pooled, (config.pool_dim,), weights["fc_norm.weight"], weights["fc_norm.bias"])


def _block(tokens: Tensor, weights: Weights, name: str, config: InternVideo2Config) -> Tensor:
    q, k, v = functional.linear(_rms(tokens, weights[f"{name}norm1.weight"]), weights[f"{name}attn.qkv.weight"]).chunk(
        3, dim=-1
    )
    q, k = _rms(q, weights[f"{name}attn.q_norm.weight"]), _rms(k, weights[f"{name}attn.k_norm.weight"])
    mixed = _attend(q, k, v, config.num_heads)
    mixed = functional.linear(mixed, weights[f"{name}attn.proj.weight"], weights[f"{name}attn.proj.bias"])
    tokens = tokens + mixed * weights[f"{name}ls1.gamma"]
    hidden = functional.linear(
        _rms(tokens, weights[f"{name}norm2.weight"]), weights[f"{name}mlp.fc1.weight"], weights[f"{name}mlp.fc1.bias"]
    )
    hidden = functional.gelu(hidden, approximate="tanh" if config.hidden_act == "gelu_tanh" else "none")
    out = functional.linear(hidden, weights[f"{name}mlp.fc2.weight"], weights[f"{name}mlp.fc2.bias"])
    return tokens + out * weights[f"{name}ls2.gamma"]


def _rms(tokens: Tensor, weight: Tensor) -> Tensor:
    return tokens * torch.rsqrt((tokens**2).mean(dim=-1, keepdim=True) + 1e-6) * weight


def _attend(q: Tensor, k: Tensor, v: Tensor, num_heads: int) -> Tensor:
    q, k, v = (part.unflatten(2, (num_heads, -1)).transpose(1, 2) for part in (q, k, v))
    matrix = torch.softmax(q @ k.transpose(2, 3) * q.shape[-1] ** -0.5, dim=-1)
    return (matrix @ v).transpose(1, 2).flatten(2)


def _pool(tokens: Tensor, weights: Weights, config: InternVideo2Config) -> Tensor:
    name, parts = "clip_projector.", {}
    for letter, source in (("q", tokens.mean(dim=1, keepdim=True)), ("k", tokens), ("v", tokens)):
        normed = functional.layer_norm(
            source,
            (config.embed_dim,),
            weights[f"{name}norm1_{letter}.weight"],
            weights[f"{name}norm1_{letter}.bias"],
        )
        parts[letter] = functional.linear(
            normed, weights[f"{name}cross_attn.{letter}.weight"], weights[f"{name}cross_attn.{letter}_bias"]
        )
    mixed = _attend(parts["q"], parts["k"], parts["v"], config.pool_num_heads)
    out = functional.linear(mixed, weights[f"{name}cross_attn.proj.weight"], weights[f"{name}cross_attn.proj.bias"])
    return out[:, 0]
