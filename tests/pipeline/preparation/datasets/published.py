"""Lays out small data sets as their publishers do, with real tiny files; ``EXAMPLES`` has one for every adapter.

Each function fills ``folder`` (which is ``data/raw/<name>``) and returns the adapter's options.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from pipeline.preparation.prepare import Tables, prepare
from pipeline.preparation.settings import PrepareSettings, Split
from tests.videos import frame_pixels, write_raw, write_video

FRAMES = 4
_made: dict[str, bytes] = {}


def video(path: Path, *, seed: int = 0) -> Path:
    """A tiny H.264 (or, by suffix, VP9 or MPEG-4) video; another seed is another size, so other bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = f"{path.suffix} {seed}"
    if key not in _made:
        codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(path.suffix, "libx264")
        write_video(path, num_frames=FRAMES, codec=codec, width=96 + 16 * (seed % 8), height=64 + 16 * (seed // 8))
        _made[key] = path.read_bytes()
    path.write_bytes(_made[key])
    return path


def raw(path: Path, *, depth: int = 8, seed: int = 0, width: int = 96, height: int = 64) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_raw(path, num_frames=2, depth=depth, width=width, height=height)
    data = bytearray(path.read_bytes())
    data[0] = seed
    path.write_bytes(data)
    return path


def image(path: Path, *, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(frame_pixels(seed, width=96, height=64)).save(path)
    return path


def bvi_hd(folder: Path) -> dict[str, Any]:
    rows = ["Original_Name,Name,dmos,encoder,distortion_level"]
    for seed, content in enumerate(["Boxing", "Music", "Sparkler"]):
        for level, dmos in ((27, -5.5), (47, 64.67)):
            name = f"{content}_96x64_30fps_HEVC_QP{level}.yuv"
            raw(folder / "HEVC" / name, seed=level + seed)
            rows.append(f"{content}_96x64_30fps.yuv,{name},{dmos},HEVC,{level}")
    name = "Boxing_96x64_30fps_SYNTH_QP27.yuv"
    raw(folder / "HEVC-SYNTH" / name, depth=10)
    rows.append(f"Boxing_96x64_30fps.yuv,{name},12.5,HEVC-SYNTH,27")
    write(folder / "dmos.csv", rows)
    return {"pix_fmt": {"HEVC-SYNTH": "yuv420p10le"}}


def waterloo_ivc_4k(folder: Path) -> dict[str, Any]:
    rows = []
    for number in (1, 5, 6, 7):
        for codec, size, level, mos in (("HEVC", "960x540", 1, 18.21), ("AV1", "1920x1080", 4, 80.0)):
            video(folder / f"{codec}/{number:02d}/{size}_{level}.mp4", seed=number + level)
            rows.append(f"{codec}, {number}, {size.split('x')[1]}p, {level}, {mos}")
    write(folder / "scores.txt", rows)
    return {}


def konvid_1k(folder: Path) -> dict[str, Any]:
    rows = ["flickr_id,mos"]
    for seed, number in enumerate((2999049224, 3150662158, 7734391518)):
        suffix = "_original_centercrop_960x540_8s" if seed else ""
        video(folder / f"KoNViD_1k_videos/{number}{suffix}.mp4", seed=seed)
        rows.append(f"{number},{1.22 + seed}")
    write(folder / "KoNViD_1k_mos.csv", rows)
    return {}


def live_vqc(folder: Path) -> dict[str, Any]:
    names = ["A001.mp4", "B002.mp4", "C003.mp4"]
    for seed, name in enumerate(names):
        video(folder / "Video" / name, seed=seed)
    savemat(folder / "data.mat", {"video_list": cells(names), "mos": np.array([[6.2], [50.0], [94.1]])})
    return {}


def youtube_ugc(folder: Path) -> dict[str, Any]:
    rows = ["vid,category,resolution,MOSFull,MOSChunk00"]
    for seed, name in enumerate(["Animation_1080P-05f8", "Gaming_720P-0fdb", "Vlog_2160P-09c9"]):
        suffix = "_crf_10_ss_00_t_20.0.mp4" if seed else ".mkv"
        video(folder / ("original_videos_h264" if seed else "") / f"{name}{suffix}", seed=seed)
        rows.append(f"{name},{name.split('_')[0]},1080,{2 + seed},3.0")
    write(folder / "mos.csv", rows)
    return {}


def cvd2014(folder: Path) -> dict[str, Any]:
    rows = ["File_name,Content,RealignmentMOS"]
    for seed, (test, scene) in enumerate([(1, "City"), (1, "Traffic"), (2, "City"), (3, "Talking")]):
        name = f"Test{test:02d}_{scene}_D01"
        video(folder / f"Test{test}/{scene}/{name}.avi", seed=seed)
        rows.append(f"{name},{scene},{-6.5 + 30 * seed}")
    write(folder / "Realignment_MOS.csv", rows)
    return {}


def lsvq(folder: Path) -> dict[str, Any]:
    rows, more = ["name,p1,mos,is_test"], ["name,mos"]
    for seed in range(5):
        name = f"yfcc-batch{seed}/{seed}"
        video(folder / f"{name}.mp4", seed=seed)
        if seed < 4:
            rows.append(f"{name},1,{2.4 + 20 * seed},{seed == 0}")
        else:
            more.append(f"{name},91.4")
    write(folder / "labels_train_test.csv", rows)
    write(folder / "labels_test_1080p.csv", more)
    return {"test": "both"}


def live_vqa(folder: Path) -> dict[str, Any]:
    names = ["pa2_25fps.yuv", "rb9_25fps.yuv", "mc16_50fps.yuv"]
    for seed, name in enumerate(names):
        raw(folder / f"{name[:2]}_Folder" / name, seed=seed)
    write(folder / "live_video_quality_seqs.txt", names)
    write(folder / "live_video_quality_data.txt", ["30.5\t9.1", "55.25\t8.0", "80.1\t7.5"])
    return {"raw": {"width": 96, "height": 64}}


def kvq(folder: Path) -> dict[str, Any]:
    for split, numbers in {"train": (1, 2, 3), "val": (4,), "test": (5,)}.items():
        rows = ["filename,cls_label,dis_label,label"]
        for number in numbers:
            video(folder / f"{split}_video/{number:04d}.mp4", seed=number)
            rows.append(f"{number:04d}.mp4,1,2,{number - 0.5}")
        write(folder / f"{split}.csv", rows)
    return {}


def vsfa_info(folder: Path) -> dict[str, Any]:
    """As MATLAB 7.3 writes it: axes reversed, cells as references to UTF-16 units."""
    names = [f"Video/{letter}001.mp4" for letter in "ABCDE"]
    for seed, name in enumerate(names):
        video(folder / name, seed=seed)
    with h5py.File(folder / "LIVE-VQCinfo.mat", "w", userblock_size=512) as file:
        file["scores"] = np.array([[10.0, 30.0, 50.0, 70.0, 90.0]])
        file["ref_ids"] = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
        file["index"] = np.array([[5.0, 1.0], [4.0, 2.0], [3.0, 3.0], [2.0, 4.0], [1.0, 5.0]])
        references = np.empty((1, len(names)), h5py.ref_dtype)
        for number, name in enumerate(names):
            units = np.frombuffer(name.encode("utf-16-le"), "<u2").reshape(-1, 1)
            references[0, number] = file.create_dataset(f"#refs#/{number}", data=units).ref
        file.create_dataset("video_names", data=references, dtype=h5py.ref_dtype)
    return {"labels": "LIVE-VQCinfo.mat", "low": 0.0, "high": 100.0, "repetition": 0}


def labels_txt(folder: Path) -> dict[str, Any]:
    for seed in range(3):
        video(folder / f"videos/with space {seed}.mp4", seed=seed + 20)
    write(folder / "labels.txt", [f"videos/with space {seed}.mp4, 8.04, -1, {1.5 + seed}" for seed in range(3)])
    return {"low": 1.0, "high": 5.0}


def csv(folder: Path) -> dict[str, Any]:
    rows = ["Datei;Note;Szene;Codec;crf;Breite;Hoehe;Rate;Bilder"]
    for seed in range(3):
        video(folder / f"clips/ä {seed}.mp4", seed=seed)
        rows.append(f"clips/ä {seed}.mp4;{10 * seed};szene {seed};h264;{20 + seed};;;;{FRAMES}")
    raw(folder / "clips/raw.yuv", depth=10)
    rows.append("clips/raw.yuv;99;szene 0;;;96;64;29.97;2")
    write(folder / "noten.csv", rows)
    columns = {"mos": "Note", "content": "Szene", "codec": "Codec", "level": "crf", "num_frames": "Bilder"}
    columns |= {"width": "Breite", "height": "Hoehe", "fps": "Rate"}
    scale = {"score_name": "DMOS", "low": 0.0, "high": 100.0, "lower_is_better": True}
    pixels = {"columns": {**columns, "pix_fmt": None}, "paths": ["{Datei}"], "labels": "noten.csv"}
    (folder / "clips/raw.yuv").rename(folder / "clips/raw_10bit.yuv")
    write(folder / "noten.csv", [row.replace("raw.yuv", "raw_10bit.yuv") for row in rows])
    return {**scale, **pixels}


def folder(folder: Path) -> dict[str, Any]:
    for seed in range(3):
        video(folder / f"a/scene{seed}_x.mp4", seed=seed)
    video(folder / "scene0_y.webm", seed=9)
    (folder / "notes.txt").write_text("no video")
    return {"content": r"(scene\d)"}


def combined(folder: Path) -> dict[str, Any]:
    parts = {name: EXAMPLES[name](folder.parent / name) or {} for name in ("bvi_hd", "konvid_1k")}
    mine = labels_txt(folder.parent / "mine")
    return {"parts": {**parts, "mine": {"dataset": "labels_txt", "folder": "raw/mine", **mine}}}


def koniq10k(folder: Path) -> dict[str, Any]:
    rows = ["image_name,c1,c2,c3,c4,c5,c_total,MOS,SD"]
    for seed in range(3):
        image(folder / f"1024x768/{seed}.jpg", seed=seed * 80)
        rows.append(f'"{seed}.jpg",0,0,25,73,7,105,{2.5 + seed / 2},0.5')
    write(folder / "koniq10k_scores_and_distributions.csv", rows)
    return {}


def kadid10k(folder: Path) -> dict[str, Any]:
    rows = ["dist_img,ref_img,dmos,var"]
    for reference in (1, 2, 3):
        for level in (1, 5):
            name = f"I{reference:02d}_01_{level:02d}.png"
            image(folder / "images" / name, seed=50 * reference + level)
            rows.append(f"{name},I{reference:02d}.png,{4.57 - level / 2},0.496")
    write(folder / "dmos.csv", rows)
    return {}


def tid2013(folder: Path) -> dict[str, Any]:
    rows = []
    for reference in (1, 2, 3):
        image(folder / f"distorted_images/i{reference:02d}_01_1.bmp", seed=60 * reference)
        rows.append(f"{5.51429 - reference:.5f} I{reference:02d}_01_1.bmp")
    write(folder / "mos_with_names.txt", rows)
    return {}


def live_iqa(folder: Path) -> dict[str, Any]:
    counts = {"jp2k": 3, "jpeg": 2}
    names = ["bikes.bmp", "caps.bmp", "caps.bmp", "lena.bmp", "bikes.bmp"]
    for seed, (kind, number) in enumerate([("jp2k", 1), ("jp2k", 2), ("jp2k", 3), ("jpeg", 1), ("jpeg", 2)]):
        image(folder / f"{kind}/img{number}.bmp", seed=40 * seed + 7)
    savemat(
        folder / "dmos.mat", {"dmos": np.array([[40.0, 0.0, 60.5, -2.6, 111.0]]), "orgs": np.array([[0, 1, 0, 0, 0]])}
    )
    savemat(folder / "refnames_all.mat", {"refnames_all": cells(names).T})
    return {"images": counts}


def prepared(root: Path, name: str, options: dict[str, Any]) -> Tables:
    """The manifest of a data set that lies below ``root``."""
    settings = PrepareSettings(
        dataset=name, options={name: options}, seed=1, split=Split(val=0.2, test=0.2), labelled_fraction=1.0
    )
    return prepare(settings, root, workers=1)


def write(path: Path, rows: list[str]) -> None:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def cells(names: list[str]) -> np.ndarray:
    """A column cell array."""
    array = np.empty((len(names), 1), object)
    array[:, 0] = names
    return array


EXAMPLES: dict[str, Callable[[Path], dict[str, Any]]] = {
    function.__name__: function
    for function in (
        bvi_hd,
        waterloo_ivc_4k,
        konvid_1k,
        live_vqc,
        youtube_ugc,
        cvd2014,
        lsvq,
        live_vqa,
        kvq,
        vsfa_info,
        labels_txt,
        csv,
        folder,
        combined,
        koniq10k,
        kadid10k,
        tid2013,
        live_iqa,
    )
}
