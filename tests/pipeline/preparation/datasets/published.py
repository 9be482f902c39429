"""Lays out small data sets as their publishers do, with real tiny files; ``EXAMPLES`` has one for every adapter.

Each function fills ``folder`` (which is ``data/raw/<name>``) and returns the adapter's options. Label files in
``excerpts/`` are rows of the publishers' own, byte for byte; what has none there is written from a description.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from pipeline.preparation.prepare import Tables, prepare
from pipeline.preparation.settings import PrepareSettings, Split
from tests.pipeline.preparation.datasets.workbook import write_workbook
from tests.videos import frame_pixels, write_raw, write_video

FRAMES = 4
EXCERPTS = Path(__file__).parent / "excerpts"
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


def excerpt(folder: Path, name: str, place: str = "") -> None:
    """Puts a publisher's rows where he has them."""
    target = folder / (place or Path(name).name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(EXCERPTS / name, target)


def files(folder: Path, names: Iterable[str]) -> None:
    """Real files that differ: still images by suffix, else videos."""
    for seed, name in enumerate(names):
        if Path(name).suffix in (".jpg", ".png", ".bmp"):
            image(folder / name, seed=20 * seed + 3)
        elif Path(name).suffix == ".yuv":
            raw(folder / name, seed=seed)
        else:
            video(folder / name, seed=seed)


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
    write(folder / "BVIHD.txt", rows)
    return {"pix_fmt": {"HEVC-SYNTH": "yuv420p10le"}}


def waterloo_ivc_4k(folder: Path) -> dict[str, Any]:
    excerpt(folder, "waterloo_ivc_4k/scores.txt")
    files(folder, [f"{codec}/01/960x540_{level}.mp4" for codec in ("HEVC", "H264") for level in (1, 2, 3, 4)])
    return {}


def konvid_1k(folder: Path) -> dict[str, Any]:
    excerpt(folder, "konvid_1k/KoNViD_1k_attributes.csv")
    names = ["8536919744.mp4", "6408325533_original_centercrop_960x540_8s.mp4", "8483400755.mp4"]
    names += ["5319047612_cut_centercrop_960x540_8s.mp4", "8724380666.mp4", "4744073127.mp4"]
    files(folder / "KoNViD_1k_videos", names)
    return {}


def live_vqc(folder: Path) -> dict[str, Any]:
    names = ["A001.mp4", "B002.mp4", "C003.mp4"]
    files(folder / "Video", names)
    savemat(folder / "data.mat", {"video_list": cells(names), "mos": np.array([[6.2], [50.0], [94.1]])})
    return {}


def youtube_ugc(folder: Path) -> dict[str, Any]:
    excerpt(folder, "youtube_ugc/original_videos_MOS.csv")
    files(folder / "original_videos/Animation/1080P", ["Animation_1080P-01b3.mkv", "Animation_1080P-05f8.mkv"])
    video(folder / "original_videos_h264/Animation_1080P-0c4f_crf_10_ss_00_t_20.0.mp4", seed=5)
    return {}


def cvd2014(folder: Path) -> dict[str, Any]:
    excerpt(folder, "cvd2014/Realignment_MOS.csv", "CVD2014_ratings/Realignment_MOS.csv")
    scenes = (("City", "City"), ("Talking_head", "Talking_Head"))
    files(
        folder, [f"Test1/{place}/Test01_{name}_D{camera:02d}.avi" for place, name in scenes for camera in range(1, 7)]
    )
    return {}


def lsvq(folder: Path) -> dict[str, Any]:
    """The publisher's rows, with the column that public copies have lost."""
    excerpt(folder, "lsvq/labels_test_1080p.csv")
    lines = (EXCERPTS / "lsvq/labels_train_test.csv").read_text(encoding="utf-8").splitlines()
    rows = [f"{lines[0]},is_test", *(f"{line},{number == 1}" for number, line in enumerate(lines[1:]))]
    write(folder / "labels_train_test.csv", rows)
    names = [line.split(",")[0] for line in lines[1:]]
    files(folder, [f"{name}.mp4" for name in (*names, "yfcc-batch1/722", "yfcc-batch1/724")])
    return {"test": "both"}


def live_vqa(folder: Path) -> dict[str, Any]:
    names = ["pa2_25fps.yuv", "rb9_25fps.yuv", "mc16_50fps.yuv"]
    files(folder, [f"{name[:2]}_Folder/{name}" for name in names])
    write(folder / "live_video_quality_seqs.txt", names)
    write(folder / "live_video_quality_data.txt", ["30.5\t9.1", "55.25\t8.0", "80.1\t7.5"])
    return {"raw": {"width": 96, "height": 64}}


def kvq(folder: Path) -> dict[str, Any]:
    excerpt(folder, "kvq/train_data.csv")
    excerpt(folder, "kvq/truth.csv")
    excerpt(folder, "kvq/test_data.csv")
    names = [f"train_video/{number:04d}.mp4" for number in range(1, 16)]
    files(folder, [*names, *(f"val_video/{number:04d}.mp4" for number in (1, 2, 3))])
    return {}


def vsfa_info(folder: Path) -> dict[str, Any]:
    """As MATLAB 7.3 writes it: axes reversed, cells as references to UTF-16 units."""
    names = [f"{letter}001.mp4" for letter in "ABCDE"]
    files(folder / "Video", names)
    with h5py.File(folder / "LIVE-VQCinfo.mat", "w", userblock_size=512) as file:
        file["scores"] = np.array([[10.0, 30.0, 50.0, 70.0, 90.0]])
        file["ref_ids"] = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
        file["index"] = np.array([[5.0, 1.0], [4.0, 2.0], [3.0, 3.0], [2.0, 4.0], [1.0, 5.0]])
        references = np.empty((1, len(names)), h5py.ref_dtype)
        for number, name in enumerate(names):
            units = np.frombuffer(f"Video/{name}".encode("utf-16-le"), "<u2").reshape(-1, 1)
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
    raw(folder / "clips/raw_10bit.yuv", depth=10)
    rows.append("clips/raw_10bit.yuv;99;szene 0;;;96;64;29,97;2")
    write(folder / "noten.csv", rows)
    columns = {"mos": "Note", "content": "Szene", "codec": "Codec", "level": "crf", "num_frames": "Bilder"}
    columns |= {"width": "Breite", "height": "Hoehe", "fps": "Rate"}
    scale = {"score_name": "DMOS", "low": 0.0, "high": 100.0, "lower_is_better": True}
    return {**scale, "columns": {**columns, "pix_fmt": None}, "paths": ["{Datei}"], "labels": "noten.csv"}


def folder(folder: Path) -> dict[str, Any]:
    files(folder, [*(f"a/scene{seed}_x.mp4" for seed in range(3)), "scene0_y.webm"])
    (folder / "notes.txt").write_text("no video")
    return {"content": r"(scene\d)"}


def combined(folder: Path) -> dict[str, Any]:
    parts = {name: EXAMPLES[name](folder.parent / name) or {} for name in ("bvi_hd", "konvid_1k")}
    mine = labels_txt(folder.parent / "mine")
    return {"parts": {**parts, "mine": {"dataset": "labels_txt", "folder": "raw/mine", **mine}}}


def koniq10k(folder: Path) -> dict[str, Any]:
    """The publisher's sets, and the scores of the same images, recomputed from their distributions."""
    excerpt(folder, "koniq10k/koniq10k_distributions_sets.csv")
    rows = ["image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,MOS_zscore"]
    for line in (EXCERPTS / "koniq10k/koniq10k_distributions_sets.csv").read_text().splitlines()[1:]:
        name, *shares = line.split(",")
        mos = sum(float(share) * grade for grade, share in enumerate(shares[:5], start=1))
        rows.append(f'"{name}",{",".join(shares[:6])},{mos:.4f},0.5,{shares[6]}')
        image(folder / "1024x768" / name, seed=len(rows) * 30)
    write(folder / "koniq10k_scores_and_distributions.csv", rows)
    return {}


def kadid10k(folder: Path) -> dict[str, Any]:
    rows = ["dist_img,ref_img,dmos,var"]
    names = [f"I{reference:02d}_01_{level:02d}.png" for reference in (1, 2, 3) for level in (1, 5)]
    files(folder / "images", names)
    write(folder / "dmos.csv", [*rows, *(f"{name},{name[:3]}.png,{4.57 - int(name[8]) / 2},0.496" for name in names)])
    return {}


def tid2013(folder: Path) -> dict[str, Any]:
    files(folder / "distorted_images", [f"i{reference:02d}_01_1.bmp" for reference in (1, 2, 3)])
    write(folder / "mos_with_names.txt", [f"{5.51429 - one:.5f} I{one:02d}_01_1.bmp" for one in (1, 2, 3)])
    return {}


def live_iqa(folder: Path) -> dict[str, Any]:
    files(folder, ["jp2k/img1.bmp", "jp2k/img2.bmp", "jp2k/img3.bmp", "jpeg/img1.bmp", "jpeg/img2.bmp"])
    scores = {"dmos_new": np.array([[40.0, 0.0, 60.5, -2.6, 111.0]]), "orgs": np.array([[0, 1, 0, 0, 0]])}
    savemat(folder / "dmos_realigned.mat", scores)
    names = ["bikes.bmp", "caps.bmp", "caps.bmp", "lena.bmp", "bikes.bmp"]
    savemat(folder / "refnames_all.mat", {"refnames_all": cells(names).T})
    return {"images": {"jp2k": 3, "jpeg": 2}}


def live_qualcomm(folder: Path) -> dict[str, Any]:
    """Nested structs, as in the publisher's file, with five of its names and scores."""
    names = ["0723_ManUnderTree_GS5_03_20150723_130016.yuv", "0723_ManUnderTree_GS6_03_20150723_130100.yuv"]
    names += ["0912_CheerLeader1_Nokia1080_20130306_17_46_21_Pro.yuv", "0912_Cheerleader1_iphone_IMG_0184.yuv"]
    names += ["0911nightScene_note4_20150911_193809.yuv"]
    kinds = ("Artifacts", "Color", "Exposure", "Focus", "Sharpness", "Stabilization")
    described = {
        "vidNames": cells(names),
        "distortionType": np.array([[1], [1], [5], [5], [1]], np.uint8),
        "distortionNames": cells(kinds),
    }
    scores = {
        "unBiasedMOS": np.array([[52.56657483], [57.28880925], [40.0], [50.0], [36.5467235]]),
        "biasedMOS": np.array([[59.07210877], [55.97298577], [41.0], [51.0], [37.0]]),
    }
    savemat(folder / "qualcommSubjectiveData.mat", {"qualcommVideoData": described, "qualcommSubjectiveData": scores})
    files(folder, [f"{'Sharpness' if name.startswith('0912') else 'Artifacts'}/{name}" for name in names])
    return {"raw": {"width": 96, "height": 64}}


def maxwell(folder: Path) -> dict[str, Any]:
    excerpt(folder, "maxwell/val_labels.txt")
    excerpt(folder, "maxwell/MaxWell_val.csv")
    write(folder / "train_labels.txt", ["0001.mp4, 1.057142857, 1.142857143, 1.057142857"])
    files(folder / "videos", ["0000.mp4", "0012.mp4", "0014.mp4", "0015.mp4", "0001.mp4"])
    return {}


def live_yt_gaming(folder: Path) -> dict[str, Any]:
    excerpt(folder, "live_yt_gaming/metadata.csv")
    games = ["ARKSuvivalEvolved-001", *(f"AgeEmpires-00{number}" for number in (1, 4, 5, 6))]
    files(folder / "mp4", [f"{name}.mp4" for name in (*games, "AnimalCrossing-006", "AnimalCrossing-007")])
    return {}


def live_challenge(folder: Path) -> dict[str, Any]:
    names = ["t1.bmp", "t2.bmp", "3.bmp", "4.bmp", "1153.JPG"]
    (folder / "Data").mkdir(parents=True, exist_ok=True)
    savemat(folder / "Data/AllImages_release.mat", {"AllImages_release": cells(names)})
    savemat(folder / "Data/AllMOS_release.mat", {"AllMOS_release": np.array([[50.0, 60.0, 63.9634, 25.3353, 80.5]])})
    files(folder / "Images", ["3.bmp", "4.bmp", "1153.jpg"])
    return {}


def spaq(folder: Path) -> dict[str, Any]:
    header = ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]
    names = [f"0000{number}.jpg" for number in (1, 2, 3)]
    rows = [[name, 35.2 + number, 60, 55.5, 58, 40, 41.25] for number, name in enumerate(names)]
    write_workbook(folder / "Annotations/MOS and Image attribute scores.xlsx", {"Sheet1": [header, *rows]})
    files(folder / "TestImage", names)
    return {}


def csiq(folder: Path) -> dict[str, Any]:
    """The publisher's sheet begins in the fourth row and column."""
    header = ["", "", "", "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
    kinds = [("1600", 1, "noise", 1, 0.062), ("1600", 3, "jpeg 2000", 2, 0.4), ("elk", 5, "blur", 5, 0.95)]
    rows = [["", "", "", name, index, kind, level, 0.06, dmos] for name, index, kind, level, dmos in kinds]
    write_workbook(
        folder / "csiq.DMOS.xlsx", {"read me": [["DMOS of CSIQ"]], "all_by_image": [["x"], [], [], header, *rows]}
    )
    files(folder / "dst_imgs", ["awgn/1600.AWGN.1.png", "jpeg2000/1600.jpeg2000.2.png", "blur/elk.BLUR.5.png"])
    return {}


def pipal(folder: Path) -> dict[str, Any]:
    (folder / "Train_Label").mkdir(parents=True, exist_ok=True)
    for reference, score in (("A0102", "1477.3469"), ("A0103", "1251.7129")):
        rows = [f"{reference}_00_00.bmp,{score}", f"{reference}_03_01.bmp,{float(score) - 100:.4f}"]
        write(folder / f"Train_Label/{reference}.txt", rows)
        files(folder / "Train_Dist", [f"{reference}_00_00.bmp", f"{reference}_03_01.bmp"])
        image(folder / f"Train_Dist/{reference}_00_00.bmp", seed=int(reference[1:]))
        image(folder / f"Train_Dist/{reference}_03_01.bmp", seed=int(reference[1:]) + 40)
    return {}


def flive(folder: Path) -> dict[str, Any]:
    names = ["blur_dataset/motion0044.jpg", "voc_emotic_ava/AVA__149.jpg", "EE371R/cj23478+019.jpg"]
    scores = ["75.44372347614072", "70.5", "59.64871868"]
    rows = [f"{name},{score}" for name, score in zip(names, scores, strict=True)]
    (folder / "labels_image.csv").write_text("\r\n".join(["name,mos", *rows]) + "\r\n")
    write(folder / "labels=640_padded.csv", ["name_image,is_valid", f"{names[0]},False", f"{names[1]},True"])
    write(folder / "labels640.csv", ["mos_image,name_image", f"59.64871868,{names[2]}"])
    files(folder / "database", names)
    return {}


def live_yt_hfr(folder: Path) -> dict[str, Any]:
    excerpt(folder, "live_yt_hfr/LIVEHFR_MOS.csv")
    files(folder, [f"1Runner_crf_0_{fps}fps.webm" for fps in (24, 30, 60, 82, 98)])
    return {}


def konvid_150k(folder: Path) -> dict[str, Any]:
    excerpt(folder, "konvid_150k/k150kb_scores.csv")
    write(folder / "k150ka_scores.csv", ["video_name,video_score", "a1.mp4,3.4", "a2.mp4,2.8"])
    numbers = (10007436115, 10007901796, 10041796874, 10044664624)
    files(folder, [*(f"k150kb_extracted/orig_{number}_540_5s.mp4" for number in numbers)])
    video(folder / "k150ka_extracted/a1.mp4", seed=6)
    video(folder / "k150ka_extracted/a2.mp4", seed=7)
    return {}


def finevd(folder: Path) -> dict[str, Any]:
    excerpt(folder, "finevd/FINEVD_metadata.csv")
    numbers = (1357553287, 1382276868, 1471695573, 1480614099)
    files(folder / "videos_all/videos_all_videos", [f"0_00_00_{number}.mp4" for number in numbers])
    return {}


def t2vqa_db(folder: Path) -> dict[str, Any]:
    prompts = ['a cat; "quoted, asleep', "a dog, running", 'a cat; "quoted, asleep']
    rows = [f"000{number}.mp4|{prompt}|{40.5 + number}" for number, prompt in enumerate(prompts)]
    write(folder / "info.txt", rows)
    files(folder / "videos", ["0000.mp4", "0001.mp4", "0002.mp4"])
    return {}


def prepared(root: Path, name: str, options: dict[str, Any]) -> Tables:
    """The manifest of a data set that lies below ``root``."""
    settings = PrepareSettings(
        dataset=name, options={name: options}, seed=1, split=Split(val=0.2, test=0.2), labelled_fraction=1.0
    )
    return prepare(settings, root, workers=1)


def write(path: Path, rows: list[str]) -> None:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def cells(names: Iterable[str]) -> np.ndarray:
    """A column cell array."""
    listed = list(names)
    array = np.empty((len(listed), 1), object)
    array[:, 0] = listed
    return array


_PUBLISHED = (bvi_hd, waterloo_ivc_4k, konvid_1k, live_vqc, youtube_ugc, cvd2014, lsvq, live_vqa, kvq, koniq10k)
_PUBLISHED += (kadid10k, tid2013, live_iqa, live_qualcomm, maxwell, live_yt_gaming, live_challenge, spaq, csiq, pipal)
_PUBLISHED += (flive, live_yt_hfr, konvid_150k, finevd, t2vqa_db)
EXAMPLES: dict[str, Callable[[Path], dict[str, Any]]] = {
    function.__name__: function for function in (*_PUBLISHED, vsfa_info, labels_txt, csv, folder, combined)
}
