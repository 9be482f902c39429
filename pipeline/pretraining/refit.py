"""First values for a run from a teacher that was pre-trained on fragments of another size or number."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config, load_checkpoint
from pipeline.pretraining.examples import FRAGMENT_PX, PATCH_PX

_FIELDS = tuple(name for name in InternVideo2Config.__annotations__ if name != "model_type")


def refit(initial: Path, wanted: InternVideo2Config) -> InternVideo2:
    """A model of the teacher's present geometry with the weights of an exported folder, fitted to it.

    A fragment must have as many tokens as before; fragments may be smaller or larger, fewer or more. Filters are
    resampled to the patch's present size, and every fragment begins with the former ones' mean positions.

    Args:
        initial: what ``export`` wrote, now or under another geometry.
        wanted: the present teacher.

    Raises:
        PipelineError: it differs from the present teacher in more than that.
    """
    model = load_checkpoint(initial)
    stored = model.config
    side = FRAGMENT_PX // PATCH_PX
    differing = {name for name in _FIELDS if getattr(stored, name) != getattr(wanted, name)}
    others = sorted(differing - {"image_size", "patch_size"})
    if not differing:
        return model
    if others or stored.grid[1] % side:
        got, expected = (", ".join(f"{name} {getattr(c, name)}" for name in others) for c in (stored, wanted))
        raise PipelineError(
            f"{initial} cannot begin this teacher: got {got or f'{stored.grid[1]} tokens a side'}, expected "
            f"{expected or f'a multiple of {side}'}; give a folder that `python -m benchmarks.pretrain --export` wrote "
            "for fragments of as many tokens"
        )
    state = model.state_dict()
    state["pos_embed"] = refit_positions(state["pos_embed"], stored.grid, wanted.grid, side)
    state["patch_embed.proj.weight"] = refit_filters(state["patch_embed.proj.weight"], wanted.patch_size)
    fitted = InternVideo2(wanted)
    fitted.load_state_dict(state)
    return fitted


def refit_positions(positions: Tensor, stored: tuple[int, int, int], wanted: tuple[int, int, int], side: int) -> Tensor:
    """Gives every fragment the mean of the stored ones, token by token.

    Args:
        positions: float ``1 1+t*h*w c``; the first row, of the class token, is kept.
        stored: its grid ``t h w``.
        wanted: the grid of the result, as many in time.
        side: tokens along a fragment's side.
    """
    time, rows, columns = stored
    parts = positions[:, 1:].reshape(time, rows // side, side, columns // side, side, -1)
    sites = parts.mean(dim=(1, 3)).repeat(1, wanted[1] // side, wanted[2] // side, 1)
    return torch.cat([positions[:, :1], sites.reshape(1, -1, positions.shape[-1])], dim=1)


def refit_filters(filters: Tensor, side: int) -> Tensor:
    """Resamples filters linearly to patches of ``side`` px, keeping about their response to smooth ones.

    Args:
        filters: float ``c_out c_in t h w``.
        side: height and width of the result.
    """
    resampled = F.interpolate(filters.flatten(0, 1), size=(side, side), mode="bilinear", align_corners=False)
    gain = filters.shape[-2] * filters.shape[-1] / side**2
    return (resampled * gain).reshape(*filters.shape[:3], side, side)
