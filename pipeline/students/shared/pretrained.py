"""Sizes and weights of transformers' models, from a folder or the Hugging Face hub; no code is loaded from either."""

import pickle
import sys
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from pipeline.core.errors import PipelineError

_MOST_MISSING = 0.1
"""Share of a model's values that a file may lack: norms are few, blocks are many."""
_SHOWN = 5


class PretrainedError(PipelineError):
    """Pre-trained weights that cannot be had, or are another network's."""


def read_config(name: str, where: str) -> PretrainedConfig:
    """The configuration that lies beside pre-trained weights.

    Args:
        name: a folder written by ``save_pretrained``, or a name on the hub.
        where: the setting that names it, for messages.

    Raises:
        PretrainedError: there is none.
    """
    return _read(AutoConfig, name, where)


def take_pretrained(model: PreTrainedModel, name: str, where: str) -> None:
    """Gives a model pre-trained weights, and says on standard error which.

    What the file lacks, such as norms that only a backbone has, keeps its values and is named.

    Args:
        model: gets the weights.
        name: as for `read_config`.
        where: likewise.

    Raises:
        PretrainedError: there are none, or most of the model's are not there in these shapes.
    """
    loaded, info = _read(
        type(model), name, where, config=model.config, output_loading_info=True, ignore_mismatched_sizes=True
    )
    missing = sorted(map(str, info["missing_keys"]))
    misfits = sorted(str(key[0] if isinstance(key, tuple) else key) for key in info["mismatched_keys"])
    own = model.state_dict()
    if misfits or sum(own[key].numel() for key in missing) > _MOST_MISSING * model.num_parameters():
        raise PretrainedError(
            f"{where}: the weights in {name} are not those of this {model.config.model_type}: "
            f"{len(missing)} missing, such as {', '.join(missing[:_SHOWN]) or 'none'}; {len(misfits)} of another "
            f"shape, such as {', '.join(misfits[:_SHOWN]) or 'none'}; give the sizes that its config.json has"
        )
    model.load_state_dict({key: own[key] if key in missing else value for key, value in loaded.state_dict().items()})
    new = f"; not in it and so new: {', '.join(missing)}" if missing else ""
    print(f"distill: {model.config.model_type} begins with the weights of {name}{new}", file=sys.stderr)


def say_random(model: PreTrainedModel) -> None:
    """Says on standard error that a model begins from nothing."""
    print(f"distill: {model.config.model_type} begins with random weights", file=sys.stderr)


def _read(kind: Any, name: str, where: str, **options: Any) -> Any:
    try:
        return kind.from_pretrained(name, **options)
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError, SafetensorError) as error:
        raise PretrainedError(
            f"{where}: got {name!r}, which is no folder with a transformers model, nor could it be had from the hub "
            f"({str(error).splitlines()[0]}); download it where there is a network (hf download) and give the folder, "
            "or set it to null for random weights"
        ) from None
