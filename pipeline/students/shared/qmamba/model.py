"""The hierarchical model: a stem, then stages of blocks with half the side and twice the width each.

Ref: Q-Mamba (arXiv 2406.09546); VMamba (arXiv 2401.10166) for the hierarchy. The paper gives widths 96, 96, 128 and the
parameter counts 27.99, 49.37 and 87.53 million; depths, window sides and states are ours, chosen so that parameters and
operations (4.47, 8.71 and 15.35 G at 224 px) agree. The spectral stem and ``small`` are ours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.students.shared.framewise import SpectralStem, init_by_fan_in
from pipeline.students.shared.qmamba.blocks import Block
from pipeline.students.shared.qmamba.prompts import StylePrompt


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the model is built from.

    Attributes:
        width: of the first stage; a multiple of 4.
        depths: blocks of each stage.
        patch_size: side of a patch, px.
        window: side of a window, tokens.
        num_states: per channel of a head's memory.
        stem_channels: filters of the stem; no more than there are frequencies, 3 · ``patch_size``².
    """

    width: int
    depths: tuple[int, ...]
    patch_size: int = 4
    window: int = 7
    num_states: int = 16
    stem_channels: int = 48


VARIANTS = {
    "small": Sizes(width=64, depths=(2, 2), patch_size=8, num_states=8, stem_channels=64),
    "T": Sizes(width=96, depths=(2, 2, 6, 2)),
    "S": Sizes(width=96, depths=(2, 2, 19, 2)),
    "B": Sizes(width=128, depths=(2, 2, 19, 2)),
}


class VisionMamba(nn.Module):
    """Maps frames to the features of the last stage.

    Args:
        sizes: see `Sizes`.
        num_prompts: style prompts after each stage; 0 builds none.
    """

    def __init__(self, sizes: Sizes, num_prompts: int = 0) -> None:
        super().__init__()
        head_dim = sizes.width // 4
        widths = [sizes.width * 2**number for number in range(len(sizes.depths))]
        self.width = widths[-1]
        self.stem = SpectralStem(sizes.stem_channels, sizes.patch_size)
        self.embed = nn.Conv2d(2 * sizes.stem_channels, sizes.width, 1)
        self.halvings = nn.ModuleList(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1) for width in widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    Block(width, head_dim=head_dim, num_states=sizes.num_states, window=sizes.window)
                    for _ in range(depth)
                )
            )
            for width, depth in zip(widths, sizes.depths, strict=True)
        )
        self.style = nn.ModuleList(StylePrompt(width, num_prompts) for width in widths if num_prompts)
        self.norm = nn.LayerNorm(self.width)

    def forward(self, frames: Tensor) -> Tensor:
        """Maps normalised frames, ``n 3 h w``, to features, ``n h' w' c``."""
        maps = self.embed(self.stem(frames)).permute(0, 2, 3, 1)
        for number, stage in enumerate(self.stages):
            if number:
                maps = self.halvings[number - 1](maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            maps = stage(maps)
            if len(self.style):
                maps = self.style[number](maps)
        features: Tensor = self.norm(maps)
        return features

    @torch.no_grad()
    def init_fan_in(self) -> None:
        """Draws first values with which every block says something from the first step on.

        Deviations of 1/√inputs; what a block adds is divided by the root of the number of additions.
        """
        for part in (self.embed, self.halvings, self.stages):
            init_by_fan_in(part)
        blocks = [block for stage in self.stages for block in stage.children()]
        for block in blocks:
            for layer in (block.get_submodule("mixer.leave"), block.get_submodule("fc2")):
                layer.get_parameter("weight").div_((2 * len(blocks)) ** 0.5)
