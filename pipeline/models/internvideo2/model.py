"""The InternVideo2 encoder with the official parameter names, in plain PyTorch.

Ref: Wang et al., "InternVideo2" (ECCV 2024); the fine-tuned model of the official single-modality code. Attention is
``scaled_dot_product_attention`` throughout, so no flash-attn, apex or GPU is needed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pipeline.core.errors import PipelineError
from pipeline.models.bases import AutoModel, ModelOutput, PreTrainedModel, init
from pipeline.models.internvideo2.blocks import Block, LayerScale, RMSNorm
from pipeline.models.internvideo2.config import InternVideo2Config
from pipeline.models.internvideo2.pooling import AttentionPooling, CrossAttention
from pipeline.models.internvideo2.positions import sincos, sincos_2d, sincos_3d


class ClipShapeError(PipelineError, ValueError):
    """Pixels, tokens or layers that the model at hand was not built for."""


@dataclass
class InternVideo2Output(ModelOutput):
    """Every level of one forward, by name.

    Attributes:
        tokens: ``b 1+n c``, cls first, the last block's output; there is no final norm.
        embedding: ``b pool_dim``, the output of ``clip_projector``.
        embedding_normed: ``b pool_dim``, after ``fc_norm``.
        logits: ``b num_classes``, before any softmax; None without a head.
        projected: ``b projection_dim``, before any L2 normalisation; None without a projection.
        layers: ``b k c``, for each chosen block the mean of its output tokens, cls included; None if none was chosen.
        seen: int64 ``m``, ascending: which of the n tokens ``tokens`` holds after cls; None where it holds all.
    """

    tokens: Tensor | None = None
    embedding: Tensor | None = None
    embedding_normed: Tensor | None = None
    logits: Tensor | None = None
    projected: Tensor | None = None
    layers: Tensor | None = None
    seen: Tensor | None = None


def distillation_layers(depth: int, count: int, interval: float) -> list[int]:
    """Lists the blocks whose outputs the official distillation aligns: ``depth - 1 - int(i * interval)``, ascending."""
    return sorted(depth - 1 - int(i * interval) for i in range(count))


class PatchEmbed(nn.Module):
    """Cuts a clip into tubelets and embeds each linearly."""

    def __init__(self, config: InternVideo2Config) -> None:
        super().__init__()
        kernel = (config.tubelet_size, config.patch_size, config.patch_size)
        self.proj = nn.Conv3d(3, config.embed_dim, kernel_size=kernel, stride=kernel)

    def forward(self, pixels: Tensor) -> Tensor:
        """Maps ``b 3 t h w`` to ``b t' h'*w' c``, row-major in space."""
        return self.proj(pixels.to(self.proj.weight.dtype)).flatten(3).permute(0, 2, 3, 1)


class InternVideo2(PreTrainedModel):
    """The video encoder; ``state_dict()`` has the official fine-tuned model's keys and shapes.

    ``config.projection`` adds ``vision_proj`` or ``vision_align``, which the fine-tuned files do not have.
    """

    config_class = InternVideo2Config
    base_model_prefix = ""
    main_input_name = "pixels"
    supports_gradient_checkpointing = True
    _no_split_modules = ("Block",)
    _supports_sdpa = True

    def __init__(self, config: InternVideo2Config) -> None:
        super().__init__(config)
        time, rows, columns = config.grid
        dim, sites = config.embed_dim, rows * columns
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        if config.sep_pos_embed:
            self.pos_embed_spatial = nn.Parameter(torch.zeros(1, sites, dim))
            self.pos_embed_temporal = nn.Parameter(torch.zeros(1, time, dim))
            self.pos_embed_cls = nn.Parameter(torch.zeros(1, 1, dim))
        else:
            self.pos_embed = nn.Parameter(torch.zeros(1, 1 + time * sites, dim))
        self.patch_embed = PatchEmbed(config)
        last = max(config.depth - 1, 1)
        self.blocks = nn.ModuleList(Block(config, config.drop_path_rate * i / last) for i in range(config.depth))
        self.clip_projector = AttentionPooling(config)
        self.fc_norm = nn.LayerNorm(config.pool_dim, eps=1e-5)
        self.fc_dropout = nn.Dropout(config.head_dropout)
        self.head: nn.Module | None = nn.Linear(config.pool_dim, config.num_classes) if config.num_classes else None
        self.vision_proj: nn.Module | None = None
        self.vision_align: nn.Module | None = None
        if config.projection == "linear":
            self.vision_proj = nn.Linear(config.pool_dim, config.projection_dim)
        elif config.projection == "norm_linear":
            self.vision_align = nn.Sequential(
                nn.LayerNorm(config.pool_dim), nn.Linear(config.pool_dim, config.projection_dim)
            )
        self.gradient_checkpointing = False
        self.num_frozen_blocks: int | None = None
        self.post_init()

    def forward(self, pixels: Tensor, layers: Sequence[int] = (), token_share: float = 1.0) -> InternVideo2Output:
        """Encodes clips.

        Args:
            pixels: float ``b 3 t h w``, normalised, with the configuration's frames and size.
            layers: indices of the blocks whose mean-pooled tokens are wanted too, in 0 .. depth-1, in any order.
            token_share: share of the n tokens that the trainable blocks see, the same for all clips of the batch, drawn
                from torch's default generator; a frozen trunk sees all ("PatchDropout", arXiv 2208.07220).

        Returns:
            Every level the model has; see :class:`InternVideo2Output`.

        Raises:
            ClipShapeError: the pixels' shape or a layer index is not the model's.
        """
        depth = self.config.depth
        if wrong := [i for i in layers if not 0 <= i < depth]:
            raise ClipShapeError(f"layers: got {wrong}, expected block indices in 0 .. {depth - 1}")
        boundary = self.num_frozen_blocks
        if boundary is None:
            return self._finish(self.embed_patches(pixels), 0, layers, {}, token_share)
        pooled: dict[int, Tensor] = {}
        tokens = self._trunk(pixels, layers, pooled)
        return self._finish(tokens, boundary, layers, pooled, token_share)

    def forward_trunk(self, pixels: Tensor) -> Tensor:
        """Runs the frozen part alone, without a graph, so that its output can be stored and used again.

        Args:
            pixels: float ``b 3 t h w``, normalised.

        Returns:
            Tokens ``b 1+n c`` that enter the first trainable block.

        Raises:
            ClipShapeError: the trunk is not frozen (see :meth:`freeze_trunk`), or the pixels' shape is not the model's.
        """
        self._boundary()
        return self._trunk(pixels, (), {})

    def forward_from(self, tokens: Tensor, layers: Sequence[int] = (), token_share: float = 1.0) -> InternVideo2Output:
        """Runs the trainable part on tokens that :meth:`forward_trunk` returned.

        Args:
            tokens: float ``b 1+n c``.
            layers: blocks whose mean-pooled tokens are wanted too; only trainable ones.
            token_share: as of :meth:`forward`.

        Raises:
            ClipShapeError: the trunk is not frozen, the tokens' shape is not the model's, or a layer lies in the trunk.
        """
        boundary = self._boundary()
        expected = (1 + self.config.num_patches, self.config.embed_dim)
        if tokens.ndim != 3 or tuple(tokens.shape[1:]) != expected:
            raise ClipShapeError(f"tokens: got {tuple(tokens.shape)}, expected (b, {expected[0]}, {expected[1]})")
        if wrong := [i for i in layers if not boundary <= i < self.config.depth]:
            raise ClipShapeError(
                f"layers: got {wrong}, expected block indices in {boundary} .. {self.config.depth - 1}; "
                "for those of the frozen trunk call the model on pixels"
            )
        return self._finish(tokens, boundary, layers, {}, token_share)

    def embed_patches(self, pixels: Tensor) -> Tensor:
        """Maps pixels ``b 3 t h w`` to the tokens ``b 1+n c`` that enter the first block."""
        config = self.config
        expected = (3, config.num_frames, config.image_size, config.image_size)
        if pixels.ndim != 5 or tuple(pixels.shape[1:]) != expected:
            raise ClipShapeError(
                f"pixels: got shape {tuple(pixels.shape)}, expected (b, {', '.join(map(str, expected))}) as b c t h w; "
                "render such clips, or load the checkpoint with a configuration of this frame count and size"
            )
        patches = self.patch_embed(pixels).flatten(1, 2)
        tokens = torch.cat([self.cls_token.expand(patches.shape[0], -1, -1), patches], dim=1)
        return tokens + self._positions()

    def freeze_trunk(self, num_trainable_blocks: int) -> None:
        """Freezes the patch and position embeddings and all but the last blocks; pooling, norm and head stay trainable.

        The frozen part then runs without a graph, in evaluation mode even while training.

        Args:
            num_trainable_blocks: how many of the last blocks train, 0 .. depth.

        Raises:
            ClipShapeError: the model has fewer blocks.
        """
        depth = self.config.depth
        if not 0 <= num_trainable_blocks <= depth:
            raise ClipShapeError(f"num_trainable_blocks: got {num_trainable_blocks}, expected 0 .. {depth}")
        self.requires_grad_(True)
        self.num_frozen_blocks = depth - num_trainable_blocks
        for parameter in self.parameters(recurse=False):
            parameter.requires_grad_(False)
        self.patch_embed.requires_grad_(False)
        for block in self.blocks[: self.num_frozen_blocks]:
            block.requires_grad_(False)
        self.train(self.training)

    def checkpoint_activations(self, enabled: bool = True) -> None:
        """Recomputes each block in the backward pass instead of keeping its activations."""
        self.gradient_checkpointing = enabled

    def unfreeze(self) -> None:
        """Makes every parameter trainable again."""
        self.num_frozen_blocks = None
        self.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> "InternVideo2":
        """Sets training mode; frozen blocks stay in evaluation mode."""
        super().train(mode)
        for block in self.blocks[: getattr(self, "num_frozen_blocks", None) or 0]:
            block.eval()
        return self

    def _boundary(self) -> int:
        if self.num_frozen_blocks is None:
            raise ClipShapeError("the trunk is not frozen; call freeze_trunk(num_trainable_blocks) first")
        return self.num_frozen_blocks

    def _trunk(self, pixels: Tensor, layers: Sequence[int], pooled: dict[int, Tensor]) -> Tensor:
        with torch.no_grad():
            return self._run(self.embed_patches(pixels), range(self._boundary()), layers, pooled)

    def _run(self, tokens: Tensor, blocks: range, layers: Sequence[int], pooled: dict[int, Tensor]) -> Tensor:
        """Runs some blocks; of the wanted ones only the mean token is stored, in ``pooled``."""
        for index in blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                tokens = checkpoint(self.blocks[index], tokens, use_reentrant=False)
            else:
                tokens = self.blocks[index](tokens)
            if index in layers:
                pooled[index] = tokens.float().mean(dim=1)
        return tokens

    def _finish(
        self, tokens: Tensor, boundary: int, layers: Sequence[int], pooled: dict[int, Tensor], token_share: float
    ) -> InternVideo2Output:
        seen = None
        if token_share < 1.0:
            count = tokens.shape[1] - 1
            seen = torch.randperm(count)[: max(1, round(token_share * count))].sort().values.to(tokens.device)
            tokens = torch.cat([tokens[:, :1], tokens[:, 1 + seen]], dim=1)
        tokens = self._run(tokens, range(boundary, self.config.depth), layers, pooled)
        embedding = self.clip_projector(tokens)
        normed = self.fc_norm(embedding)
        projection = self.vision_align if self.vision_proj is None else self.vision_proj
        return InternVideo2Output(
            tokens=tokens,
            embedding=embedding,
            embedding_normed=normed,
            logits=None if self.head is None else self.head(self.fc_dropout(normed)),
            projected=None if projection is None else projection(embedding),
            layers=torch.stack([pooled[i] for i in layers], dim=1) if len(layers) else None,
            seen=seen,
        )

    def _positions(self) -> Tensor:
        if not self.config.sep_pos_embed:
            return self.pos_embed
        time, rows, columns = self.config.grid
        spatial = self.pos_embed_spatial.repeat(1, time, 1)
        temporal = self.pos_embed_temporal.repeat_interleave(rows * columns, dim=1)
        return torch.cat([self.pos_embed_cls, spatial + temporal], dim=1)

    def initialise(self, names: Iterable[str]) -> None:
        """Gives the named submodules their initial values, from torch's default generator."""
        for name in names:
            self._init_weights(self.get_submodule(name))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Gives one module the official initial value; values that were loaded are left alone by ``init``."""
        if isinstance(module, nn.Linear):
            init.trunc_normal_(module.weight, std=0.02 * 0.001 if module is self.head else 0.02)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Conv3d):
            module.reset_parameters()
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, RMSNorm):
            init.ones_(module.weight)
        elif isinstance(module, LayerScale):
            init.constant_(module.gamma, module.init)
        elif isinstance(module, CrossAttention):
            for bias in (module.q_bias, module.k_bias, module.v_bias):
                init.zeros_(bias)
        elif module is self:
            self._init_own_weights()

    def _init_own_weights(self) -> None:
        config, device = self.config, self.cls_token.device
        init.trunc_normal_(self.cls_token, std=0.02)
        time, rows, columns = config.grid
        if config.sep_pos_embed:
            steps = torch.arange(time, dtype=torch.float64, device=device)
            init.copy_(self.pos_embed_spatial, sincos_2d(rows, columns, config.embed_dim, device)[None].float())
            init.copy_(self.pos_embed_temporal, sincos(steps, config.embed_dim)[None].float())
            init.zeros_(self.pos_embed_cls)
        else:
            init.copy_(self.pos_embed, sincos_3d(config.grid, config.embed_dim, device)[None].float())
        for index, block in enumerate(cast("list[Block]", list(self.blocks))):
            depth_scale = (2.0 * (index + 1)) ** 0.5
            for linear in (block.attn.proj, block.mlp.fc2):
                init.trunc_normal_(linear.weight, std=0.02 / depth_scale, a=-2 / depth_scale, b=2 / depth_scale)


AutoModel.register(InternVideo2Config, InternVideo2)
