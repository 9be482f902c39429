import subprocess
from dataclasses import replace

from pipeline.reporting import load_run
from pipeline.reporting.panels import identity


def git(root, *arguments):
    subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        check=True,
        capture_output=True,
    )


def test_revision_says_when_code_differs(tmp_path):
    assert identity.git_revision(tmp_path / "nowhere") is None
    (tmp_path / "params.yaml").write_text("a: 1\n")
    (tmp_path / "notes").write_text("1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    clean = identity.git_revision(tmp_path)
    assert len(clean) == 40
    (tmp_path / "notes").write_text("2\n")
    assert identity.git_revision(tmp_path) == clean
    (tmp_path / "params.yaml").write_text("a: 2\n")
    assert identity.git_revision(tmp_path) == f"{clean} with uncommitted changes to code or settings"


def test_digests_and_fingerprint_are_those_of_the_stores(run_root):
    run = load_run(run_root)
    digests = identity.digests(run)
    assert list(digests) == ["data/clips.zarr", "data/targets.zarr", "models/student/model.safetensors"]
    assert digests["data/clips.zarr"] == run.clips.digest()
    fingerprint = identity.teacher_fingerprint(run)
    assert fingerprint["architecture.name"] == "internvideo2_tiny"
    assert fingerprint["weights"] == "ab" * 32


def test_flattened_sorts_and_joins():
    assert identity.flattened({"b": [1, 2], "a": {"y": None, "x": 1}}) == {"a.x": "1", "a.y": "None", "b": "1, 2"}


def test_versions_begin_with_python():
    versions = identity.versions()
    assert next(iter(versions)) == "Python"
    assert "numpy" in versions


def test_a_students_teacher_is_told_once_unless_it_is_another(run_root):
    run = load_run(run_root)
    own = run.targets.fingerprint["embedding"]
    same = replace(run, student={"student": "x", "provenance": {"teacher": own, "losses": {"mos": 1.0}}})
    assert identity.student_settings(same) == {
        "student": "x",
        "provenance.losses.mos": "1.0",
        "provenance.teacher": "the one with the fingerprint shown here",
    }
    other = replace(run, student={"provenance": {"teacher": {**own, "weights": "cd" * 32}}})
    assert identity.student_settings(other)["provenance.teacher.weights"] == "cd" * 32
