"""A full or forbidden disk is told in words, wherever a library hides the refusal; other errors stay as they are."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipeline.commands import cli
from pipeline.core.errors import disk_refusal
from pipeline.core.files import refusals_unwrapped
from pipeline.models.saved_state import SavedState
from pipeline.teachers.adaptation.trunk import reserve
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost
from stages import run_stage

ROOM = 4096
TENSORS = {"x": torch.zeros(ROOM)}


@contextmanager
def little_room() -> Iterator[None]:
    """No file may grow beyond ``ROOM`` bytes; a fixture would hold pytest's own log to that, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_refusal_says_what_to_do(number: int) -> None:
    told = disk_refusal(OSError(number, os.strerror(number), "results/x"))
    assert told is not None
    assert f"{os.strerror(number)}: 'results/x'; free space or correct the permissions, and run again" in told


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "x"), ConnectionResetError(errno.ECONNRESET, "x"), OSError("x")]
)
def test_another_error_is_no_refusal(error: OSError) -> None:
    assert disk_refusal(error) is None


@pytest.mark.parametrize("run", [run_stage, lambda main: cli.main()], ids=["stage", "command"])
def test_a_refusal_ends_a_stage_and_a_command_without_a_traceback(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def main(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cli, "_application", lambda arguments: main)
    number = errno.ENOSPC
    with pytest.raises(SystemExit, match="1"):
        run(main)
    assert "No space left on device; free space" in capsys.readouterr().err
    number = errno.ENOENT
    with pytest.raises(FileNotFoundError):
        run(main)


@pytest.mark.parametrize(
    "write", [lambda path: save_file(TENSORS, path), lambda path: SavedState(path, {"x": "1"}).save(TENSORS)]
)
def test_libraries_that_write_weights_do_not_hide_a_refusal(tmp_path: Path, write: Callable[[Path], None]) -> None:
    with pytest.raises(OSError) as caught, little_room(), refusals_unwrapped():
        write(tmp_path / "weights")
    assert caught.value.errno == errno.EFBIG


def test_errors_of_another_kind_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), refusals_unwrapped():
        raise RuntimeError("shapes do not fit")


def test_a_worker_tells_of_a_refusal_without_a_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write = f"__import__('pathlib').Path({str(tmp_path / 'x')!r}).write_bytes(bytes({2 * ROOM}))"
    with little_room():
        results = dict(LocalWorkers(1, Limits(seconds=20.0)).map(eval, [write, "2"]))
    assert isinstance(results[0], Lost)
    assert results[0].reason.startswith("the disk refuses: [Errno 27] File too large; free space")
    assert results[1] == 2
    assert "Traceback" not in capfd.readouterr().err


def test_a_file_to_be_mapped_has_its_room_on_the_disk(tmp_path: Path) -> None:
    reserve(tmp_path / "tokens", 100 * ROOM)
    status = (tmp_path / "tokens").stat()
    assert status.st_size == 100 * ROOM
    assert status.st_blocks * 512 >= 100 * ROOM


def test_room_that_is_not_there_is_told_before_anything_is_mapped(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too large"), little_room():
        reserve(tmp_path / "tokens", 2 * ROOM)
