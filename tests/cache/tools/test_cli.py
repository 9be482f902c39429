"""``teachonce cache``: what is printed, and the exit status 0, 1 or 2."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cache.build import Pool
from cache.store import open_store
from cache.tools.cli import app
from tests.cache.store.test_verify import rewrite
from tests.cache.toy import CLIP, Teacher, build, damage, tree, units


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    pool = Pool(folder / "pool")
    build(folder / "a.zarr", units(4), teacher=Teacher(broken={"source0001": "too short"}), max_failed=1, pool=pool)
    build(folder / "b.zarr", units(2), pool=pool)
    build(folder / "damaged.zarr", units(2))
    damage(folder / "damaged.zarr/clip/c.1.0.0.0.0", "flip")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_info_shows_rows_arrays_fingerprints_and_loss(place: Path) -> None:
    done = run("info", place / "a.zarr", "--json", "--statistics", "embedding")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["rows"], told["videos"], told["failed"]) == (8, 4, {"video0001": "too short"})
    assert told["arrays"]["clip"]["fingerprint"] == CLIP.fingerprint
    assert told["arrays"]["clip"]["bytes"] == 3 * 2 * CLIP.row_bytes
    assert told["arrays"]["embedding"]["loss"]["rows"] == 6
    assert len(told["statistics"]["embedding"]["mean"]) == 24
    words = run("info", place / "a.zarr")
    assert words.exit_code == 0
    assert "failed: video0001: too short" in words.stdout
    assert '"policy": "resize"' in words.stdout


def test_verify_says_ok_or_what_is_wrong(place: Path) -> None:
    assert run("verify", place / "a.zarr").exit_code == 0
    done = run("verify", place / "damaged.zarr")
    assert done.exit_code == 1
    assert "clip/c.1.0.0.0.0" in done.stdout
    assert "video0001" in done.stdout
    told = json.loads(run("verify", place / "damaged.zarr", "--json").stdout)
    assert told["ok"] is False
    assert told["problems"][0]["array"] == "clip"
    assert json.loads(run("verify", place / "a.zarr", "--json").stdout) == {"ok": True, "problems": []}


def test_only_a_deep_verify_finds_a_forged_row_under_corrected_checksums(place: Path, tmp_path: Path) -> None:
    assert run("verify", place / "a.zarr", "--deep").exit_code == 0
    forged = Path(shutil.copytree(place / "a.zarr", tmp_path / "forged.zarr"))
    rewrite(forged, "embedding", None, lambda values: values.__setitem__(4, 0))
    assert run("verify", forged).exit_code == 0
    done = run("verify", forged, "--deep", "--json")
    assert done.exit_code == 1
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["what"] == "row 4 does not have the digest listed for it"
    assert problem["videos"] == ["video0002"]


def test_verify_of_a_folder_without_a_store_fails(tmp_path: Path) -> None:
    assert run("verify", tmp_path).exit_code == 1


def test_digest_prints_one_line(place: Path) -> None:
    done = run("digest", place / "a.zarr")
    assert done.stdout == open_store(place / "a.zarr").digest() + "\n"


def test_diff_tells_equal_from_different(place: Path) -> None:
    assert run("diff", place / "a.zarr", place / "a.zarr").exit_code == 0
    done = run("diff", place / "a.zarr", place / "b.zarr", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert {difference["video"] for difference in told["differences"]} == {"video0001", "video0002", "video0003"}
    assert "A is failed (too short), B is ok" in run("diff", place / "a.zarr", place / "b.zarr").stdout


def test_export_and_import_make_the_round_trip(place: Path, tmp_path: Path) -> None:
    assert run("export", place / "a.zarr", tmp_path / "a.h5").exit_code == 0
    assert run("import", tmp_path / "a.h5", tmp_path / "c.zarr").exit_code == 0
    assert tree(tmp_path / "c.zarr") == tree(place / "a.zarr")
    (tmp_path / "bad.h5").write_text("no")
    done = run("import", tmp_path / "bad.h5", tmp_path / "d.zarr")
    assert done.exit_code == 1
    assert "error:" in done.stderr


def test_gc_is_a_dry_run_until_told_to_delete(place: Path, tmp_path: Path) -> None:
    pool = Pool(tmp_path / "pool")
    build(tmp_path / "s.zarr", units(3), pool=pool)
    arguments = ("gc", "--pool", pool.root, "--keep", place / "b.zarr", "--unused")
    told = json.loads(run(*arguments, "--json").stdout)
    assert (told["dry_run"], told["removed"], told["remaining"]) == (True, 2, 4)
    assert "add --delete" in run(*arguments).stdout
    assert json.loads(run(*arguments, "--delete", "--json").stdout)["removed"] == 2
    assert run("gc", "--pool", pool.root, "--older-than", "30d").exit_code == 0
    assert run("gc", "--pool", pool.root, "--max-size", "20GB").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "nowhere"),
        ("info", "nowhere"),
        ("digest",),
        ("unknown",),
        ("gc",),
        ("gc", "--unused"),
        ("gc", "--older-than", "soon"),
        ("gc", "--max-size", "1PB"),
        ("import", "nowhere.h5", "x"),
    ],
)
def test_wrong_use_exits_with_two(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stderr


@pytest.mark.parametrize("verb", ["info", "digest"])
def test_a_damaged_table_exits_with_one(place: Path, tmp_path: Path, verb: str) -> None:
    (tmp_path / "zarr.json").write_bytes((place / "a.zarr/zarr.json").read_bytes())
    assert run(verb, tmp_path).exit_code == 1


def test_starting_up_loads_neither_dask_nor_h5py_nor_torch() -> None:
    program = (
        "import sys, cache.tools.cli; print(sorted({'dask', 'h5py', 'torch', 'xarray', 'dvc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
