"""One strict loader for every official InternVideo2 checkpoint.

Nesting: ``model``, then ``module``, else flat. Prefixes stripped: ``module.``, ``backbone.``, ``encoder.``,
``vision_encoder.``. The official loaders only print what did not fit, so a wrong nesting loads nothing; here a backbone
parameter that is missing, left over or misshapen is an error.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.models.internvideo2.config import ConfigError, InternVideo2Config
from pipeline.models.internvideo2.model import InternVideo2
from pipeline.models.internvideo2.reading import CheckpointError, read_checkpoint
from pipeline.models.internvideo2.recognition import recognise_config
from pipeline.models.internvideo2.refitting import adapt_tensors

_PREFIXES = ("module.", "backbone.", "encoder.", "vision_encoder.")
_BACKBONE = ("cls_token", "pos_embed", "patch_embed.", "blocks.", "clip_projector.")
_HEADS = ("fc_norm.", "head.")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a checkpoint gave to a model.

    Attributes:
        path: the file.
        loaded: parameters taken from it.
        missing: parameters it does not have; they hold their initial value (only ``fc_norm`` and ``head``).
        unexpected: entries of the file that the model does not use.
        adapted: what was interpolated, inflated or cut on the way.
    """

    path: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    adapted: tuple[str, ...]

    @property
    def has_trained_head(self) -> bool:
        """Whether the logits mean something: the head came from the file."""
        return "head.weight" in self.loaded

    def __str__(self) -> str:
        lines = [f"{self.path}: loaded {len(self.loaded)} parameters"]
        lines += [f"  missing, at their initial value: {', '.join(self.missing) or 'none'}"]
        lines += [f"  unexpected, not used: {_shorten(self.unexpected) or 'none'}"]
        lines += [f"  {note}" for note in self.adapted]
        if "head.weight" in self.missing:
            lines += ["  the head is new: its logits mean nothing until it is trained"]
        return "\n".join(lines)


def load_checkpoint(
    path: str | Path,
    config: InternVideo2Config | None = None,
    *,
    base: str | Path | None = None,
    new_head: bool = False,
    first_blocks: bool = False,
) -> InternVideo2:
    """Loads an official checkpoint, or one that this project wrote, and prints its report to standard error.

    Fine-tuned, stage-1, stage-2, CLIP and distilled files are all read, as ``.pth``, ``.pt``, ``.bin`` or safetensors,
    or from a ``save_pretrained`` folder. Float32 weights stay in the memory map and are read when they are used; do
    not overwrite the file in place while the model lives.

    Args:
        path: the checkpoint.
        config: the model wanted. Position embeddings are interpolated to it, a tubelet of 1 is inflated, a K710 head
            gives its first 400 rows to a K400 one. None takes the official variant that has the file's width, with
            the file's frames, head and projection.
        base: the full checkpoint under a partial one, such as the stage-1 file under the CLIP file of S14, B14, L14.
        new_head: give ``head`` its initial value whatever the file has, to fine-tune on new targets.
        first_blocks: of a deeper file take the first blocks and leave the others, as a student does that begins as the
            lower half of its teacher; without it another depth is an error.

    Returns:
        The model in float32 and evaluation mode; its ``load_report`` is the :class:`LoadReport`.

    Raises:
        CheckpointError: the file is unreadable or unsafe, its nesting or width is unknown, or a backbone parameter is
            missing, left over or of another shape.
    """
    path = Path(path)
    tensors = flatten_checkpoint(read_checkpoint(path), path)
    if base is not None:
        tensors = {**flatten_checkpoint(read_checkpoint(Path(base)), Path(base)), **tensors}
    try:
        stored = stored_config(path)
    except ConfigError:
        stored = None
    if config is None:
        try:
            config = stored_config(path) or recognise_config(tensors, path)
        except ConfigError as error:
            raise CheckpointError(f"{path}: describes no InternVideo2 encoder: {error}") from error
    if new_head:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("head.")}
    with torch.device("meta"):
        model = InternVideo2(config)
    wanted = model.state_dict()
    grid = None if stored is None or stored.sep_pos_embed else stored.grid
    tensors, adapted = adapt_tensors(tensors, config, path, first_blocks=first_blocks, grid=grid)
    _check_names(tensors, wanted, path)
    _check_shapes(tensors, wanted, path)
    loaded = {name: _plain(tensors[name]) for name in wanted if name in tensors}
    missing = tuple(name for name in wanted if name not in loaded)
    _initialise(model, missing)
    model.load_state_dict({**model.state_dict(), **loaded}, assign=True)
    unexpected = tuple(sorted(set(tensors) - set(wanted)))
    model.load_report = LoadReport(str(path), tuple(loaded), missing, unexpected, tuple(adapted))
    print(model.load_report, file=sys.stderr)
    return model.requires_grad_(True).eval()


def flatten_checkpoint(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Undoes the nesting and the prefixes of a checkpoint.

    Args:
        content: what the file holds.
        path: for messages.

    Returns:
        Vision parameters by their official names; of a file that also has a text tower, everything else under the
        name it had.

    Raises:
        CheckpointError: no parameters are found where an official file has them, or two get one name.
    """
    nested = next((content[key] for key in ("model", "module") if key in content), content)
    found = {str(name): value for name, value in nested.items()} if isinstance(nested, Mapping) else {}
    tensors = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    has_vision_prefix = any("vision_encoder." in name for name in tensors)
    flat: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = _strip(name, has_vision_prefix)
        if short in flat:
            raise CheckpointError(f"{path}: two entries are called {short} without their prefixes; keep one")
        flat[short] = tensor
    if not any(name.startswith(_BACKBONE) for name in flat):
        top = ", ".join(map(str, list(content)[:8])) or "nothing"
        raise CheckpointError(
            f"{path}: no InternVideo2 parameters found; the file holds {top}; expected them under 'model', under "
            f"'module' or at the top, with or without a prefix among {', '.join(_PREFIXES)}"
        )
    return flat


def _strip(name: str, has_vision_prefix: bool) -> str:
    """Strips prefixes; beside ``vision_encoder.`` a name without it belongs to another part and stays."""
    short = name
    while prefix := next((p for p in _PREFIXES if short.startswith(p)), None):
        short = short.removeprefix(prefix)
    if has_vision_prefix and "vision_encoder." not in name:
        return name.removeprefix("module.")
    return short


def stored_config(path: Path) -> InternVideo2Config | None:
    """Returns the configuration that ``save_pretrained`` wrote beside the weights, if there is one.

    Args:
        path: the folder, or the file of weights in it.

    Raises:
        CheckpointError: it is there and is not JSON.
    """
    folder = path if path.is_dir() else path.parent
    described = path.is_dir() or path.name == "model.safetensors"
    if not described or not (folder / "config.json").is_file():
        return None
    try:
        fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{folder / 'config.json'}: not JSON ({error}); write the folder again") from error
    if not isinstance(fields, dict) or fields.get("model_type") != "internvideo2" or "embed_dim" not in fields:
        return None
    config: InternVideo2Config = InternVideo2Config.from_dict(fields)
    return config


def _check_names(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    missing = [name for name in wanted if name not in tensors and not name.startswith(_HEADS)]
    if missing:
        raise CheckpointError(
            f"{path}: {len(missing)} parameters are missing: {_shorten(tuple(missing))}; a partial (CLIP) file "
            "needs base=, another architecture needs config="
        )
    surplus = [name for name in tensors if name not in wanted and name.startswith(_BACKBONE)]
    if surplus:
        raise CheckpointError(
            f"{path}: {len(surplus)} backbone parameters have no place in the model: {_shorten(tuple(surplus))}; "
            "the configuration (depth, qkv_bias, qk_norm, layerscale_init, sep_pos_embed) is not the file's"
        )


def _check_shapes(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    wrong = [
        f"{name} is {tuple(tensors[name].shape)} in the file and {tuple(meta.shape)} in the model"
        for name, meta in wanted.items()
        if name in tensors and tensors[name].shape != meta.shape
    ]
    if wrong:
        raise CheckpointError(
            f"{path}: {len(wrong)} shapes do not fit: {'; '.join(wrong[:4])}; pass the configuration of this file"
            + ("; for another number of outputs pass new_head=True" if wrong[0].startswith("head.") else "")
        )
    if odd := [name for name in wanted if name in tensors and not tensors[name].is_floating_point()]:
        raise CheckpointError(f"{path}: {odd[0]} is {tensors[odd[0]].dtype}, expected a floating-point tensor")


def _plain(tensor: Tensor) -> Tensor:
    """Returns a contiguous float32 tensor: the mapped one itself where it is that already."""
    return tensor.detach().to(torch.float32).contiguous()


def _initialise(model: InternVideo2, missing: tuple[str, ...]) -> None:
    """Gives the parameters that the file lacks an initial value that depends on nothing but their shape."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name in missing:
            owner, _, leaf = name.rpartition(".")
            module = model.get_submodule(owner)
            empty = torch.empty_like(module.get_parameter(leaf), device="cpu")
            module.register_parameter(leaf, nn.Parameter(empty))
        model.initialise(dict.fromkeys(name.rpartition(".")[0] for name in missing))


def _shorten(names: tuple[str, ...], limit: int = 12) -> str:
    listed = ", ".join(names[:limit])
    return f"{listed} and {len(names) - limit} more" if len(names) > limit else listed
