"""Every way a checkpoint can be wrong or hostile ends in a CheckpointError that says what to do."""

import contextlib
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pipeline.models.internvideo2 import CheckpointError, load_checkpoint
from tests.pipeline.models.official_layouts import prefixed, small_config, small_tensors


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return small_tensors("ft_1B_k400_f8")


def refuse(path: Path, message: str, **fields: Any) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path, small_config(**{"num_classes": 7, **fields}))


def test_no_such_file(tmp_path: Path) -> None:
    refuse(tmp_path / "a.pth", r"a\.pth: no such file")
    refuse(tmp_path, r"neither model\.safetensors nor pytorch_model\.bin")


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_truncated_files(share: float, tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    for name, write in (("a.pth", torch.save), ("a.safetensors", save_file)):
        write(tensors, tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        refuse(tmp_path / name, r"truncated|not a sound|ends beyond|claims a header|claims")


@pytest.mark.parametrize("content", [b"", b"x", b"version https://git-lfs.github.com/spec/v1\n", b"\x80\x02}q\x00."])
def test_files_of_no_known_format(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    refuse(tmp_path / "a.pth", r"expected safetensors or a torch\.save zip")


class Payload:
    """Pickles to a call that leaves a mark."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("function", [os.mkdir, eval, bytearray])
def test_a_pickle_with_code_in_it_is_not_run(
    function: Callable[..., Any], tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    mark = tmp_path / "mark"
    argument: Any = {os.mkdir: str(mark), eval: f"__import__('os').mkdir({str(mark)!r})", bytearray: 2**43}[function]
    torch.save({"model": tensors, "extra": Payload(function, argument)}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"refused, its pickle names .*(mkdir|eval|bytearray)")
    assert not mark.exists()


def test_a_later_pickle_protocol_hides_nothing(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save({"extra": Payload(os.mkdir, str(tmp_path / "mark"))}, tmp_path / "a.pth", pickle_protocol=4)
    refuse(tmp_path / "a.pth", r"refused, its pickle names opcode\.STACK_GLOBAL")


def test_other_objects_are_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"holds a list, expected a dictionary")


def test_a_tensor_that_claims_terabytes_is_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    stretched = torch.zeros(1).expand(10**9, 1000)
    torch.save({"model": {**tensors, "pos_embed": stretched}}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"pos_embed claims 4000000000000 bytes, but 4 are stored")


def rewrite(path: Path, change: Callable[[bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """Writes a torch file again with another pickle."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)


def test_a_storage_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    torch.save({"cls_token": torch.zeros(123457)}, tmp_path / "a.pth")
    before, after = b"J" + struct.pack("<i", 123457), b"J" + struct.pack("<i", 2_000_000_000)
    rewrite(tmp_path / "a.pth", lambda pickled: pickled.replace(before, after))
    refuse(tmp_path / "a.pth", r"not a sound torch\.save file|claims")


def test_compressed_records_are_refused(tmp_path: Path) -> None:
    torch.save({"cls_token": torch.zeros(10**6)}, tmp_path / "a.pth")
    rewrite(tmp_path / "a.pth", bytes, zipfile.ZIP_DEFLATED)
    refuse(tmp_path / "a.pth", r"claims .* bytes, compressed or beyond the file")


def write_safetensors(path: Path, header: Any, header_bytes: int | None = None, body: bytes = b"") -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if header_bytes is None else header_bytes) + text + body)


def test_safetensors_headers_that_lie_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {}, header_bytes=2**42)
    refuse(path, r"claims a header of 4398046511104 bytes")
    tera = {"cls_token": {"dtype": "F32", "shape": [1, 1, 2**40], "data_offsets": [0, 2**42]}}
    write_safetensors(path, tera)
    refuse(path, r"cls_token ends beyond the file")
    short = {"cls_token": {"dtype": "F32", "shape": [1, 1, 2**40], "data_offsets": [0, 4]}}
    write_safetensors(path, short, body=b"\0" * 4)
    refuse(path, r"not a sound safetensors file")
    for header in (b"{not json", b'{"a": 3}', b'{"a": {}}', b'{"a": {"data_offsets": "xy"}}', b"{\xff}"):
        write_safetensors(path, header)
        refuse(path, r"not a sound safetensors file")


def test_implausibly_many_positions_are_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save({**tensors, "pos_embed": torch.zeros(1, 1 + 2**18, 64, dtype=torch.int8)}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"got 262144 position tokens")


def test_a_wrong_nesting_names_what_is_there(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    for content in ({"state_dict": tensors}, {"net": {"model": tensors}}, {"model": {"module": tensors}}, {}):
        torch.save(content, tmp_path / "a.pth")
        refuse(tmp_path / "a.pth", r"no InternVideo2 parameters found; the file holds (state_dict|net|model|nothing)")
    torch.save({"model": 3}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"no InternVideo2 parameters found")
    torch.save(prefixed(tensors, "visual."), tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"no InternVideo2 parameters found")


def test_two_entries_for_one_parameter(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save({**tensors, "module.cls_token": tensors["cls_token"]}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"two entries are called cls_token")


@pytest.mark.parametrize(
    "name", ["cls_token", "pos_embed", "blocks.1.attn.qkv.weight", "clip_projector.cross_attn.k_bias"]
)
def test_a_missing_parameter(name: str, tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save({key: value for key, value in tensors.items() if key != name}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", rf"1 parameters are missing: {name}; .*base=")


def test_a_missing_block(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save({key: value for key, value in tensors.items() if not key.startswith("blocks.1.")}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"13 parameters are missing: blocks\.1\.norm1\.weight")


@pytest.mark.parametrize(
    "fields",
    [
        {"depth": 1},
        {"qk_norm": False},
        {"layerscale_init": 0.0},
    ],
)
def test_parameters_without_a_place(fields: dict[str, Any], tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """A shallower model would load and be wrong."""
    torch.save(tensors, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"backbone parameters have no place in the model", **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"embed_dim": 96, "num_heads": 6},
            r"shapes do not fit: cls_token is \(1, 1, 64\) in the file and \(1, 1, 96\)",
        ),
        ({"mlp_ratio": 4.0}, r"4 .*do not fit|6 shapes do not fit: blocks\.0\.mlp\.fc1\.weight"),
        ({"patch_size": 7, "image_size": 21}, r"patch_embed\.proj\.weight is \(64, 3, 1, 14, 14\)"),
        ({"pool_dim": 48}, r"clip_projector\.cross_attn\.proj\.weight"),
        ({"num_classes": 9}, r"head\.weight is \(7, 32\) in the file and \(9, 32\) .*new_head=True"),
        ({"projection": "linear", "projection_dim": 5}, r"missing: vision_proj\.weight, vision_proj\.bias"),
    ],
)
def test_shapes_that_do_not_fit(
    fields: dict[str, Any], message: str, tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    torch.save(tensors, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", message, **fields)


def test_integer_weights_are_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save({**tensors, "cls_token": tensors["cls_token"].int()}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"cls_token is torch\.int32")


def test_a_k710_head_does_not_become_k600(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    head = {"head.weight": torch.zeros(710, 32), "head.bias": torch.zeros(710)}
    torch.save({**tensors, **head}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"K600 only through a label map", num_classes=600)


def test_positions_of_no_grid(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save({**tensors, "pos_embed": torch.zeros(1, 1 + 35, 64)}, tmp_path / "a.pth")
    refuse(tmp_path / "a.pth", r"a\.pth: pos_embed: 35 tokens are neither")


def test_without_a_configuration_only_official_widths(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save(tensors, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"width 64 is no official one; known: 384 \(S14\).*pass config="):
        load_checkpoint(tmp_path / "a.pth")
    torch.save({"clip_projector.norm1_q.weight": torch.ones(64)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"cls_token is missing, which shows the architecture; .*base="):
        load_checkpoint(tmp_path / "a.pth")


def test_a_folder_that_describes_no_encoder(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    for text, message in (
        ("{", "not JSON"),
        ('{"model_type": "internvideo2", "embed_dim": 65}', "describes no InternVideo2 encoder: embed_dim=65"),
        ('{"model_type": "internvideo2", "embed_dim": "64"}', "describes no InternVideo2 encoder: embed_dim: got '64'"),
        ('{"model_type": "vit", "embed_dim": 64}', "width 64 is no official one"),
    ):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_header_is_refused_or_harmless(seed: int, tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Random bytes where the structure is: nothing but a CheckpointError may come of them."""
    chance = random.Random(seed)
    for name, write in (("a.pth", torch.save), ("a.safetensors", save_file)):
        write(tensors, tmp_path / name)
        raw = bytearray((tmp_path / name).read_bytes())
        for _ in range(chance.choice([1, 2, 8])):
            place = chance.choice([chance.randrange(9000), len(raw) - 1 - chance.randrange(4000)])
            raw[place] = chance.choice([0, 255, raw[place] ^ 1, chance.randrange(256)])
        (tmp_path / "b").write_bytes(raw)
        with contextlib.suppress(CheckpointError):
            load_checkpoint(tmp_path / "b", small_config(num_classes=7))


def test_a_plain_pickle_is_not_unpickled(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(pickle.dumps(Payload(os.mkdir, str(tmp_path / "mark"))))
    refuse(tmp_path / "a.pth", r"expected safetensors or a torch\.save zip")
    assert not (tmp_path / "mark").exists()
