"""The settings of a run: ``params.yaml``, one section per stage, read into frozen and validated models.

Every key has its value in ``params.yaml``; what a key means, its unit and its range stand here, beside its type. An
unknown key is an error that names the nearest known one. The section ``runtime`` holds what changes no result, and no
stage tracks it.
"""

from pathlib import Path
from typing import Self

from pydantic import model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.core.errors import nearest
from pipeline.core.settings import RuntimeSettings, Section, SettingsError
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.preparation.settings import PrepareSettings
from pipeline.rendering.settings import RenderSettings
from pipeline.reporting.settings import ReportSettings
from pipeline.students.distillation.settings import DistillSettings
from pipeline.teachers.adaptation.settings import AdaptSettings
from pipeline.teachers.extraction.settings import ExtractSettings


class Params(Section):
    """The whole of ``params.yaml``."""

    prepare: PrepareSettings
    render: RenderSettings
    adapt: AdaptSettings
    extract: ExtractSettings
    distill: DistillSettings
    evaluate: EvaluateSettings
    report: ReportSettings
    runtime: RuntimeSettings

    @model_validator(mode="after")
    def _view_sets_exist(self) -> Self:
        known = list(self.render.view_sets)
        for stage in ("adapt", "extract", "distill"):
            view_set = getattr(self, stage).view_set
            if view_set not in known:
                raise ValueError(
                    f"{stage}.view_set is {view_set!r}, which render.view_sets does not make; "
                    f"it makes {', '.join(known)}{nearest(view_set, known)}"
                )
        return self


def load_params(path: Path | str = "params.yaml") -> Params:
    """Reads and validates the settings, with DVC's reader: YAML 1.2, safe, no key twice.

    Raises:
        SettingsError: the file is missing, is not YAML, or has a value that is not allowed; every problem is listed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}; run inside a TeachOnce project") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text") from None
    try:
        values = YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{path}{where}: not valid YAML: {error.problem}") from None
    except (YAMLError, ValueError, RecursionError, TypeError) as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise SettingsError(
            f"{path}: got {type(values).__name__}; "
            f"expected one mapping with the sections {', '.join(Params.model_fields)}"
        )
    return Params.parse(values, "")
