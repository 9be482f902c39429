"""The store cannot rot: code that shapes values changes only together with its ``VERSION``."""

import shutil
from pathlib import Path

import pytest

from pipeline.core.code import code_digests
from pipeline.rendering import clips, policy
from pipeline.rendering.render import clip_specs, view_policies
from pipeline.teachers.extraction import targets
from pipeline.teachers.extraction.targets import target_specs
from pipeline.teachers.shared.saved import load_teacher
from pipeline.video import colour, resampling
from tests import value_code
from tests.imports import ROOT
from tests.pipeline.rendering.test_render import settings_with
from tests.pipeline.teachers.extraction.test_extract import SETTINGS, write_teacher
from tests.resuming import change
from tests.value_code import EXEMPT, OWNERS, changes, current, reachable, written


def test_code_that_shapes_values_is_what_its_version_stands_for() -> None:
    assert not changes(written(), current())


def test_every_module_that_writing_a_store_loads_is_in_an_owned_or_an_exempt_room() -> None:
    rooms = [*(room for owned in OWNERS.values() for room in owned), *EXEMPT]
    holders = {name: [room for room in rooms if name == room or name.startswith(f"{room}/")] for name in reachable()}
    unclear = {name: found for name, found in holders.items() if len(found) != 1}
    assert not unclear, f"say in tests/value_code.py which rooms these belong to, or why none does: {unclear}"
    used = {room for found in holders.values() for room in found}
    assert not (gone := {room for room in {*rooms} - used if not room.startswith("cache/")}), gone


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the rooms, which may be changed."""
    for rooms in OWNERS.values():
        for name in code_digests(*rooms):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(("kind", "room"), [(kind, room) for kind, rooms in OWNERS.items() for room in rooms])
def test_a_change_in_any_room_asks_for_a_version_of_its_kind(copied: Path, kind: str, room: str) -> None:
    before, file = current(), change(copied, room)
    (found,) = changes(before, current(copied))
    assert found.startswith(f"{file} changed, and shape the values of {kind}: raise VERSION in one of ")
    assert all(name in found for name in before[kind]["versions"])


def test_a_raised_version_asks_for_the_table_alone(copied: Path) -> None:
    path = copied / "pipeline/video/colour.py"
    version = current()["clips"]["versions"]["pipeline/video/colour.py"]
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f"VERSION = {version}", f"VERSION = {version + 1}"), encoding="utf-8")
    assert changes(current(), current(copied)) == [
        "a VERSION of clips is not that of the table: run `python -m tests.value_code`"
    ]


def test_only_what_code_does_counts(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        (tmp_path / "module.py").write_text(text, encoding="utf-8")
        return code_digests("module.py", root=tmp_path)["module.py"]

    plain = digest("def scale(x, y=None):\n    return x * 255.0 + 1\n")
    assert digest('"""A."""\n\ndef scale(x, y = None):\n  "B."\n  # C\n  return (x *\n   255.0) + 1\n') == plain
    different = (
        "def scale(x, y=None):\n    return x * 255.0 + 2\n",
        "def scale(x, y=None):\n    return x * 255 + 1\n",
        "def scale(x, y=None):\n    return x * (255.0 + 1)\n",
        "def scale(x, y=0):\n    return x * 255.0 + 1\n",
        "def scale(x, y):\n    return x * 255.0 + 1\n",
        "def scale(x, y=None):\n    return None\n",
        "def scale(x, y=None):\n    return\n",
    )
    assert len({plain, *map(digest, different)}) == 1 + len(different)


@pytest.mark.parametrize("module", [policy, resampling, colour, clips])
def test_a_raised_version_of_pixels_changes_the_clips_recipe(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def recipe() -> str:
        settings = settings_with()
        return clip_specs(settings, view_policies(settings, None))[0].recipe

    before = recipe()
    monkeypatch.setattr(module, "VERSION", 1000)
    assert recipe() != before


def test_a_raised_version_of_targets_changes_every_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_teacher(tmp_path)
    before = {spec.recipe for spec in target_specs(SETTINGS, load_teacher(tmp_path))}
    monkeypatch.setattr(targets, "VERSION", 1000)
    assert before.isdisjoint(spec.recipe for spec in target_specs(SETTINGS, load_teacher(tmp_path)))


def test_the_table_is_not_rewritten_over_a_version_that_was_not_raised(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(value_code, "ROOT", copied)
    monkeypatch.setattr(value_code.current, "__defaults__", (copied,))
    monkeypatch.setattr(value_code.written, "__defaults__", (copied,))
    (copied / "tests").mkdir()
    assert value_code.main(["--same-values"]) == 0
    assert value_code.main([]) == 0
    with (copied / "pipeline/rendering/draws.py").open("a", encoding="utf-8") as file:
        file.write("_ADDED = 1\n")
    before = (copied / value_code.TABLE).read_bytes()
    assert value_code.main([]) == 1
    assert "raise VERSION in one of pipeline/rendering/clips.py" in capsys.readouterr().err
    assert (copied / value_code.TABLE).read_bytes() == before
    assert value_code.main(["--same-values"]) == 0
    assert (copied / value_code.TABLE).read_bytes() != before
