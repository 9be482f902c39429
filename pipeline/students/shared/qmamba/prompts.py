"""Style prompts: a few vectors per stage that turn a trained model's features towards another kind of video.

``w = softmax(W·mean(F))``, ``P = Σ w_n·P_n``, ``h = GELU(V·P)``, ``F' = F·(1 + γ(h)) + β(h)``, with the mean over one
frame's positions, so that each frame chooses its own mixture. γ and β begin at 0: a prompted model says at first what
the model said without.

Ref: StylePrompt in Q-Mamba (arXiv 2406.09546). Unknown there and ours: the place (after each stage), the number of
prompts, the width of ``h``, and its activation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_BOTTLENECK = 4
"""How many times narrower ``h`` is than the features."""


class StylePrompt(nn.Module):
    """The prompts of one stage.

    Args:
        width: of the features.
        num_prompts: vectors to mix.
    """

    def __init__(self, width: int, num_prompts: int) -> None:
        super().__init__()
        hidden = width // _BOTTLENECK
        self.prompts = nn.Parameter(torch.randn(num_prompts, width))
        self.choose = nn.Linear(width, num_prompts)
        self.mix = nn.Linear(width, hidden)
        self.scale, self.shift = nn.Linear(hidden, width), nn.Linear(hidden, width)
        for layer in (self.scale, self.shift):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Turns features, ``n h w c``, into features of the same shape."""
        weights = self.choose(maps.mean((1, 2))).softmax(-1)
        hidden = F.gelu(self.mix(weights @ self.prompts))
        return maps * (1.0 + self.scale(hidden))[:, None, None] + self.shift(hidden)[:, None, None]
