"""The base classes of our models: transformers', or plain ones in a process that needs no more than to run a model.

Importing transformers' model code takes longer than scoring a short video does. So ``teachonce score`` reads the saved
folder, a Hugging Face model, without it (`without_transformers`); a Python that has no transformers does so too. What a
model computes is the same to the last bit. The choice is made once in a process, by whoever imports the first model.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import transformers.initialization as init
    from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput

__all__ = ["AutoConfig", "AutoModel", "ModelOutput", "PreTrainedModel", "PretrainedConfig", "init"]
_PLAIN = "pipeline.models.plain_bases"
_HOMES = {"init": "transformers.initialization", "ModelOutput": "transformers.utils"}
"""Where transformers has what is not in its top module."""
_plain: bool | None = None


def without_transformers() -> bool:
    """Makes this process use plain base classes, unless it has imported a model already.

    Returns:
        Whether it does.
    """
    global _plain
    if _plain is None:
        _plain = True
    return _plain


def is_plain() -> bool:
    """Whether models of this process have plain base classes; settles it."""
    global _plain
    if _plain is None:
        _plain = importlib.util.find_spec("transformers") is None
    return _plain


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    plain = is_plain()
    home = importlib.import_module(_PLAIN if plain else _HOMES.get(name, "transformers"))
    return home if name == "init" and not plain else getattr(home, name)
