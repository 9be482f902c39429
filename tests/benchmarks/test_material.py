"""The material of the measures is what the default settings ask for."""

from pathlib import Path

from benchmarks.material import CLIP_SHAPE, VIEW, distill_settings, write_run, write_teacher
from pipeline.core.registry import find
from pipeline.rendering.render import view_policies
from pipeline.students.data.batch import COLUMNS
from pipeline.students.data.rows import AlignedData, DataPaths
from pipeline.students.losses.shared.weighting import weighted_losses
from pipeline.teachers.extraction.targets import target_specs
from pipeline.teachers.shared.saved import load_teacher
from stages.params import load_params
from tests.imports import ROOT


def test_a_run_has_the_clips_and_targets_of_the_default_settings(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    assert distill_settings() == params.distill
    data = AlignedData(DataPaths.below(write_run(tmp_path, splits={"train": 2})), "main")
    assert view_policies(params.render, find("teachers", params.adapt.teacher).PREPROCESSING)["main"] == VIEW
    assert (data.clip_shape, data.grid) == (CLIP_SHAPE, VIEW.grid)
    real = {spec.name: spec for spec in target_specs(params.extract, load_teacher(write_teacher(tmp_path / "teacher")))}
    for name, made in data.targets.arrays.items():
        assert (made.shape, str(made.dtype)) == (real[name].shape, real[name].dtype)
    for name in weighted_losses(params.distill.losses).needs:
        assert name in COLUMNS or len(data.cached.whole(name)) == len(data.clips)
