"""Swin V2 from coarse to fine: official sizes, its stems, and two phases, on still images and then on videos."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Swinv2Config, Swinv2ForImageClassification

from pipeline.core.manifest import write_labels, write_scales, write_videos
from pipeline.core.registry import find
from pipeline.core.settings import RuntimeSettings, SettingsError
from pipeline.preparation.prepare import prepare
from pipeline.preparation.settings import PrepareSettings, Split
from pipeline.rendering.render import render, view_policies
from pipeline.rendering.settings import RenderSettings
from pipeline.students.distillation.distill import distill
from pipeline.students.shared.model import StudentConfig, StudentError, StudentModel, create_student, load_student
from pipeline.students.shared.pretrained import PretrainedError
from stages.params import load_params
from tests.tiny_run import NUM_VIEWS, PARAMS, DataPaths, tiny_settings, write_targets, write_tiny_run

TINY = {"embed_dim": 8, "depths": [2, 1], "num_heads": [1, 2], "patch_size": 7, "window_size": 2, "width": 32}
SWIN = {"embed_dim": 8, "depths": [2, 1], "num_heads": [1, 2], "window_size": 2, "image_size": 28}
COARSE_TO_FINE = {"mos_regression": 1.0, "group_contrastive": 0.1, "group_ranking": 1.0}


def tiny(seed=0, num_frames=4, initial=None, **options):
    torch.manual_seed(seed)
    shape = (num_frames, 28, 28, 3)
    return create_student("swinv2_c2f", TINY | options, target_dim=32, clip_shape=shape, initial=initial)


@pytest.mark.parametrize(("variant", "millions"), [("T", 28.35), ("S", 49.73), ("B", 87.92)])
def test_official_sizes_have_the_official_parameters(variant, millions):
    options = {"variant": variant, "stem": "own"}
    config = StudentConfig(student="swinv2_c2f", options=options, target_dim=768, clip_shape=[8, 256, 256, 3])
    with torch.device("meta"):
        swin = StudentModel(config).network.swin
    width = swin.channels[-1]
    last_norm, classifier = 2 * width, 1000 * (width + 1)
    assert (swin.num_parameters() + last_norm + classifier) / 1e6 == pytest.approx(millions, abs=0.01)


def test_weights_do_not_depend_on_the_number_of_frames(tmp_path):
    still = tiny(num_frames=1, seed=1)
    still.save_pretrained(tmp_path)
    clip = tiny(initial=tmp_path, seed=2).eval()
    values = still.state_dict()
    assert all(torch.equal(value, values[name]) for name, value in clip.state_dict().items())
    pixels = torch.randint(0, 256, (2, 4, 28, 28, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert not torch.equal(clip(pixels).score, clip(pixels.flip(1)).score)
    with pytest.raises(StudentError, match=r"the trained student has another network: .*expected \("):
        tiny(initial=tmp_path, embed_dim=16)


def test_stems():
    spectral, cosine, own = (tiny(stem=stem).network for stem in ("spectral", "dct", "own"))
    assert spectral.swin.embeddings.patch_embeddings.projection.kernel_size == (1, 1)
    stems = [each.swin.embeddings.patch_embeddings.projection.weight for each in (cosine, own)]
    assert stems[0].shape == stems[1].shape == (8, 3, 7, 7)
    assert (stems[0].std() > 3 * stems[1].std()).item()


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match=r"depths \[2, 1\] and num_heads \[1\] must have one number for each stage"):
        tiny(num_heads=[1])
    with pytest.raises(SettingsError, match=r"widths \[8, 16\] must be multiples of num_heads \[3, 2\]"):
        tiny(num_heads=[3, 2])
    with pytest.raises(SettingsError, match="stem 'spectral' would not use the patch embedding of 'pretrained'"):
        tiny(pretrained="somewhere", stem="spectral")


def test_pretrained_weights_come_from_a_folder_and_the_log_says_so(tmp_path, capsys):
    torch.manual_seed(5)
    given = Swinv2ForImageClassification(Swinv2Config(**SWIN, patch_size=7))
    given.save_pretrained(tmp_path)
    student = tiny(pretrained=str(tmp_path))
    assert f"swinv2 begins with the weights of {tmp_path}" in capsys.readouterr().err
    expected = given.swinv2.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in student.network.swin.state_dict().items())
    with pytest.raises(PretrainedError, match="the weights in .* are not those of this swinv2"):
        tiny(pretrained=str(tmp_path), embed_dim=16)
    tiny()
    assert "swinv2 begins with random weights" in capsys.readouterr().err


def write_still_sets(root):
    """Two published image sets, ten contents each at two levels; blur lowers the score."""
    generator = np.random.default_rng(3)
    sets = {"kadid10k": root / "raw/kadid10k", "tid2013": root / "raw/tid2013"}
    (sets["kadid10k"] / "images").mkdir(parents=True)
    (sets["tid2013"] / "distorted_images").mkdir(parents=True)
    rows = {"kadid10k": ["dist_img,ref_img,dmos,var"], "tid2013": []}
    for content in range(1, 11):
        for level in (1, 5):
            noise = generator.integers(0, 256, (2, 36, 36, 3)).astype(np.float64)
            pixels = (128 + (noise - 128) * (6 - level) / 6).astype(np.uint8)
            score = 5.0 - 0.6 * level - 0.01 * content
            name = f"I{content:02d}_01_{level:02d}.png"
            Image.fromarray(pixels[0]).save(sets["kadid10k"] / "images" / name)
            rows["kadid10k"].append(f"{name},I{content:02d}.png,{score:.3f},0.5")
            name = f"i{content:02d}_01_{level}.bmp"
            Image.fromarray(pixels[1]).save(sets["tid2013"] / "distorted_images" / name)
            rows["tid2013"].append(f"{score:.5f} {name}")
    (sets["kadid10k"] / "dmos.csv").write_text("\n".join(rows["kadid10k"]) + "\n")
    (sets["tid2013"] / "mos_with_names.txt").write_text("\n".join(rows["tid2013"]) + "\n")


def cached_stills(root):
    """From the sets' files to tables, clips of one frame and targets."""
    write_still_sets(root)
    settings = PrepareSettings(
        dataset="combined",
        options={"combined": {"parts": {"kadid10k": {}, "tid2013": {}}}},
        seed=1,
        split=Split(val=0.3, test=0.1),
        labelled_fraction=1.0,
    )
    tables = prepare(settings, root, workers=1)
    paths = DataPaths(*(root / name for name in ("videos.csv", "labels.csv", "dataset.json", "clips.zarr", "t.zarr")))
    write_videos(paths.videos, tables.videos)
    write_labels(paths.labels, tables.labels)
    write_scales(paths.scales, tables.scales)
    shown = {"policy": "crop", "sampling": "uniform", "size": 28}
    view_sets = {"main": shown | {"num_frames": 4}, "stills": shown | {"num_frames": 1}}
    values = {"decoder": "auto", "short": "repeat", "views_per_video": NUM_VIEWS, "max_failed": 0}
    rendering = RenderSettings.parse(values | {"view_sets": view_sets}, "render")
    runtime = RuntimeSettings.parse(load_params(PARAMS).runtime.model_dump() | {"workers": 1}, "runtime")
    policies = view_policies(rendering, find("teachers", "internvideo2_tiny").PREPROCESSING)
    render(rendering, policies, tables.videos, data_root=root, store=paths.clips, runtime=runtime)
    write_targets(paths, kinds=["embedding_normed"])
    return paths


@pytest.mark.slow
def test_phase_one_learns_from_two_image_sets_and_phase_two_begins_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = {"student": "swinv2_c2f", "options": {"swinv2_c2f": TINY}, "learning_rate": 0.003}
    stills = tiny_settings(**common, view_set="stills", losses=COARSE_TO_FINE, epochs=6)
    first = distill(stills, cached_stills(tmp_path / "images"), device="cpu", scratch=tmp_path / "one")
    assert first.student.config.clip_shape == [1, 28, 28, 3]
    assert set(first.student.calibrations()) == {"kadid10k", "tid2013"}
    assert first.metrics["val_srcc"] > 0.5
    first.student.save_pretrained(tmp_path / "stills")

    videos = write_tiny_run(tmp_path / "videos")
    results = {}
    for name, initial in (("begun", str(tmp_path / "stills")), ("anew", None)):
        settings = tiny_settings(**common, losses=COARSE_TO_FINE, initial=initial, epochs=1)
        results[name] = distill(settings, videos, device="cpu", scratch=tmp_path / name)
    begun, anew = results["begun"], results["anew"]
    assert begun.student.config.clip_shape == [4, 28, 28, 3]
    assert begun.metrics["val_srcc"] > max(0.5, anew.metrics["val_srcc"])
    assert {"initial"} == set(begun.student.config.provenance["digests"]) - set(
        anew.student.config.provenance["digests"]
    )
    begun.student.save_pretrained(tmp_path / "videos/student")
    loaded, pixels = load_student(tmp_path / "videos/student"), torch.zeros(1, 4, 28, 28, 3, dtype=torch.uint8)
    assert torch.equal(loaded(pixels).score, begun.student(pixels).score)
