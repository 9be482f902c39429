"""The plainest InternVideo2: the published formulas in float64 NumPy, sharing no line with the model it checks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

Array = np.ndarray


@dataclass(frozen=True)
class Shape:
    """What the formulas need beyond the weights themselves."""

    depth: int
    num_heads: int
    pool_num_heads: int
    patch_size: int
    tubelet_size: int
    tanh_gelu: bool
    time: int
    side: int


def rms_norm(x: Array, weight: Array) -> Array:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * weight


def layer_norm(x: Array, weight: Array, bias: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def gelu(x: Array, tanh: bool) -> Array:
    if tanh:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def attend(q: Array, k: Array, v: Array, num_heads: int) -> Array:
    """One sample: q (m c), k and v (n c) to (m c), one head at a time, with the whole attention matrix."""
    size = q.shape[1] // num_heads
    heads = []
    for head in range(num_heads):
        part = slice(head * size, (head + 1) * size)
        scores = q[:, part] @ k[:, part].T / math.sqrt(size)
        weights = np.exp(scores - scores.max(1, keepdims=True))
        heads.append(weights / weights.sum(1, keepdims=True) @ v[:, part])
    return np.concatenate(heads, axis=1)


def patch_tokens(pixels: Array, sd: Mapping[str, Array], shape: Shape) -> Array:
    """One sample: pixels (3 t h w) to tokens (n c), one patch at a time."""
    weight, bias = sd["patch_embed.proj.weight"], sd["patch_embed.proj.bias"]
    tubelet, size = shape.tubelet_size, shape.patch_size
    tokens = []
    for t in range(shape.time):
        for row in range(shape.side):
            for column in range(shape.side):
                cube = pixels[
                    :,
                    t * tubelet : (t + 1) * tubelet,
                    row * size : (row + 1) * size,
                    column * size : (column + 1) * size,
                ]
                tokens.append((weight * cube).sum((1, 2, 3, 4)) + bias)
    return np.stack(tokens)


def positions(sd: Mapping[str, Array], shape: Shape) -> Array:
    if "pos_embed" in sd:
        return sd["pos_embed"][0]
    rows = [sd["pos_embed_cls"][0, 0]]
    for t in range(shape.time):
        for site in range(shape.side**2):
            rows.append(sd["pos_embed_spatial"][0, site] + sd["pos_embed_temporal"][0, t])
    return np.stack(rows)


def block(x: Array, sd: Mapping[str, Array], name: str, shape: Shape) -> Array:
    dim = x.shape[1]
    qkv = rms_norm(x, sd[f"{name}norm1.weight"]) @ sd[f"{name}attn.qkv.weight"].T + sd.get(f"{name}attn.qkv.bias", 0.0)
    q, k, v = qkv[:, :dim], qkv[:, dim : 2 * dim], qkv[:, 2 * dim :]
    if f"{name}attn.q_norm.weight" in sd:
        q, k = rms_norm(q, sd[f"{name}attn.q_norm.weight"]), rms_norm(k, sd[f"{name}attn.k_norm.weight"])
    mixed = attend(q, k, v, shape.num_heads) @ sd[f"{name}attn.proj.weight"].T + sd[f"{name}attn.proj.bias"]
    x = x + mixed * sd.get(f"{name}ls1.gamma", 1.0)
    hidden = rms_norm(x, sd[f"{name}norm2.weight"]) @ sd[f"{name}mlp.fc1.weight"].T + sd[f"{name}mlp.fc1.bias"]
    out = gelu(hidden, shape.tanh_gelu) @ sd[f"{name}mlp.fc2.weight"].T + sd[f"{name}mlp.fc2.bias"]
    return x + out * sd.get(f"{name}ls2.gamma", 1.0)


def pool(x: Array, sd: Mapping[str, Array], shape: Shape) -> Array:
    name = "clip_projector."
    query = x.mean(0, keepdims=True)
    parts = {}
    for letter, source in (("q", query), ("k", x), ("v", x)):
        normed = layer_norm(source, sd[f"{name}norm1_{letter}.weight"], sd[f"{name}norm1_{letter}.bias"])
        parts[letter] = normed @ sd[f"{name}cross_attn.{letter}.weight"].T + sd[f"{name}cross_attn.{letter}_bias"]
    mixed = attend(parts["q"], parts["k"], parts["v"], shape.pool_num_heads)
    return (mixed @ sd[f"{name}cross_attn.proj.weight"].T + sd[f"{name}cross_attn.proj.bias"])[0]


def plain_forward(pixels: Array, weights: Mapping[str, Array], shape: Shape) -> dict[str, Array]:
    """Runs pixels (b 3 t h w) through every level; ``block.i`` is the residual stream after block i."""
    sd = {name: np.asarray(value, dtype=np.float64) for name, value in weights.items()}
    levels: dict[str, list[Array]] = {}
    for sample in np.asarray(pixels, dtype=np.float64):
        x = np.concatenate([sd["cls_token"][0], patch_tokens(sample, sd, shape)]) + positions(sd, shape)
        levels.setdefault("block_in", []).append(x)
        for index in range(shape.depth):
            x = block(x, sd, f"blocks.{index}.", shape)
            levels.setdefault(f"block.{index}", []).append(x)
        embedding = pool(x, sd, shape)
        normed = layer_norm(embedding, sd["fc_norm.weight"], sd["fc_norm.bias"])
        levels.setdefault("embedding", []).append(embedding)
        levels.setdefault("embedding_normed", []).append(normed)
        levels.setdefault("logits", []).append(normed @ sd["head.weight"].T + sd["head.bias"])
    return {name: np.stack(rows) for name, rows in levels.items()}


def linear_resample(values: Array, wanted: int) -> Array:
    """Resamples (t ...) along its first axis, pixel centres aligned, edges repeated."""
    stored, rows = len(values), []
    for i in range(wanted):
        place = max((i + 0.5) * stored / wanted - 0.5, 0.0)
        low = int(place)
        high, share = min(low + 1, stored - 1), place - low
        rows.append((1 - share) * values[low] + share * values[high])
    return np.stack(rows)


def cubic_resample(values: Array, wanted: int) -> Array:
    """Resamples (n ...) along its first axis with Keys's cubic, a = -0.75, edges repeated."""

    def kernel(distance: float) -> float:
        d, a = abs(distance), -0.75
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0

    stored, rows = len(values), []
    for i in range(wanted):
        place = (i + 0.5) * stored / wanted - 0.5
        low = math.floor(place)
        taps = range(low - 1, low + 3)
        rows.append(sum(kernel(place - tap) * values[min(max(tap, 0), stored - 1)] for tap in taps))
    return np.stack(rows)


def resample_positions(pos_embed: Array, stored: tuple[int, int], wanted: tuple[int, int]) -> Array:
    """Resamples a joint position embedding (1+t*s*s c) from (frames, side) to (frames, side): time, then space."""
    grid = pos_embed[1:].reshape(stored[0], stored[1], stored[1], -1)
    if wanted[0] != stored[0]:
        grid = linear_resample(grid, wanted[0])
    if wanted[1] != stored[1]:
        grid = np.swapaxes(cubic_resample(np.swapaxes(grid, 0, 1), wanted[1]), 0, 1)
        grid = np.moveaxis(cubic_resample(np.moveaxis(grid, 2, 0), wanted[1]), 0, 2)
    return np.concatenate([pos_embed[:1], grid.reshape(-1, pos_embed.shape[1])])
