"""From videos to clips: what the stage ``render`` does.

One task is one video, decoded once in a worker process for all its views and view sets (``clips.py``). Rows that were
made before come from the pool. A video that cannot be rendered is a failed row with its reason.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cache.build import Pool, build_store, last_committed
from cache.store import ArraySpec, BuildReport, Failed, Job, Rows, Unit
from pipeline.core.manifest import ManifestError, Video, resolve
from pipeline.core.progress import track
from pipeline.core.settings import RuntimeSettings, SettingsError
from pipeline.rendering.clips import Clips, RenderTask, clip_fingerprint, render_video
from pipeline.rendering.policy import TeacherView, ViewPolicy
from pipeline.rendering.settings import RenderSettings, ViewSet
from pipeline.video.decoder import is_headerless, options_for
from pipeline.workers.dask import make_workers
from pipeline.workers.tasks import Limits, Lost, Mapper

_INTERPOLATION = {"squash": "bicubic"}


def view_policies(settings: RenderSettings, teacher: TeacherView | None) -> dict[str, ViewPolicy]:
    """Resolves the view sets.

    Args:
        settings: the section ``render``.
        teacher: how the teacher's clips are made; only view sets whose policy is ``teacher`` need it.

    Returns:
        Per view set, how its views are chosen.

    Raises:
        SettingsError: a key is missing or does not fit the others.
    """
    return {
        name: _resolve(f"render.view_sets.{name}", view_set, teacher) for name, view_set in settings.view_sets.items()
    }


def _resolve(where: str, view_set: ViewSet, teacher: TeacherView | None) -> ViewPolicy:
    values: dict[str, Any] = {
        "policy": view_set.policy,
        "interpolation": _INTERPOLATION.get(view_set.policy, "bilinear"),
    }
    if view_set.policy == "teacher":
        if teacher is None:
            raise SettingsError(f"{where}.policy: got teacher, but no teacher is given; name another policy")
        keys = ("policy", "sampling", "num_frames", "size", "interpolation", "antialias")
        values = {key: getattr(teacher, key) for key in keys}
        values["grid"] = teacher.fragment_grid or None
    for key in ("sampling", "num_frames", "size", "grid"):
        given = getattr(view_set, key)
        if given is not None:
            values[key] = given
        elif values.get(key) is None and (key != "grid" or values["policy"] == "fragments"):
            raise SettingsError(f"{where}.{key}: missing; the policy {view_set.policy} needs it")
    grid = values["grid"] = values.get("grid") or 1
    if values["policy"] != "fragments" and grid != 1:
        raise SettingsError(f"{where}.grid: got {grid}; only the policy fragments has a grid, leave it out")
    if values["size"] % grid:
        raise SettingsError(
            f"{where}.size: got {values['size']}; expected a multiple of grid ({grid}), "
            f"such as {grid * max(values['size'] // grid, 1)}"
        )
    return ViewPolicy(**values)


def clip_specs(settings: RenderSettings, policies: Mapping[str, ViewPolicy]) -> list[ArraySpec]:
    """Describes the arrays of the clip store, each with everything that shapes its pixels and nothing else."""
    return [
        ArraySpec(
            name,
            "uint8",
            (policy.num_frames, policy.size, policy.size, 3),
            (f"{name}_t", f"{name}_h", f"{name}_w", "c"),
            clip_fingerprint(policy, decoder=settings.decoder, short=settings.short, hdr=settings.hdr),
        )
        for name, policy in policies.items()
    ]


def clip_columns(policies: Mapping[str, ViewPolicy]) -> list[str]:
    """Names of the text columns: per view set, its views' parameters and the decoder that was used."""
    return [f"{name}_{column}" for name in policies for column in ("view", "decoder")]


def clip_units(videos: Sequence[Video], num_views: int) -> list[Unit]:
    """One unit of work per video; its rows follow from the file's bytes, and of raw video from its size and format."""
    return [Unit(video.video_id, video.sha256, _source(video), num_views) for video in videos]


def _source(video: Video) -> str:
    """Digest of what a video's pixels follow from: its bytes, and, where these say nothing of it, their layout."""
    if not is_headerless(video.path):
        return video.sha256
    layout = f"{video.sha256} {video.width}x{video.height} {video.pix_fmt}"
    return hashlib.sha256(layout.encode()).hexdigest()


def render(
    settings: RenderSettings,
    policies: Mapping[str, ViewPolicy],
    videos: Sequence[Video],
    *,
    data_root: Path,
    store: Path,
    runtime: RuntimeSettings,
    pool: Pool | None = None,
) -> BuildReport:
    """Writes the clip store, decoding only what neither the pool nor the last committed store has.

    Args:
        settings: the section ``render``.
        policies: from ``view_policies``.
        videos: the manifest.
        data_root: the folder that the manifest's paths are relative to.
        store: the store to write.
        runtime: workers, scheduler and limits; they change no byte of the store.
        pool: where finished rows are stored; None finds the project's.

    Raises:
        TooManyFailedError: more videos failed than ``render.max_failed``; all others are in the pool.
    """
    if not videos:
        raise ManifestError("videos.csv has no videos; run prepare with a data set that has some")
    limits = Limits(
        seconds=runtime.decode_timeout_seconds,
        memory_bytes=runtime.decode_memory_bytes,
        cpu_seconds=2 * runtime.decode_timeout_seconds,
    )
    workers = make_workers(runtime.scheduler, num_workers=runtime.workers, limits=limits)
    by_id = {video.video_id: video for video in videos}
    return build_store(
        store,
        kind="clips",
        specs=clip_specs(settings, policies),
        units=clip_units(videos, settings.views_per_video),
        columns=clip_columns(policies),
        compute=lambda jobs: _compute(jobs, workers, settings, policies, by_id, data_root, runtime.workers),
        pool=pool or Pool.locate(),
        adopt=[last_committed(store)],
        max_failed=settings.max_failed,
    )


def _compute(
    jobs: Sequence[Job],
    workers: Mapper,
    settings: RenderSettings,
    policies: Mapping[str, ViewPolicy],
    videos: Mapping[str, Video],
    data_root: Path,
    cores: int,
) -> Iterator[tuple[Job, Rows | Failed]]:
    """Renders jobs; a core without a video of its own helps to decode another's."""
    tasks: list[RenderTask] = []
    threads = max(cores // max(len(jobs), 1), 1)
    asked: list[Job] = []
    with track("render", len(jobs)) as advance:
        for job in jobs:
            video = videos[job.unit.video_id]
            try:
                path = resolve(data_root, video.path)
            except ManifestError as error:
                yield job, Failed(str(error))
                advance()
                continue
            asked.append(job)
            tasks.append(make_task(path, video, {name: policies[name] for name in job.arrays}, settings, threads))
        for index, result in workers.map(render_video, tasks):
            yield asked[index], _rows(result)
            advance()


def make_task(
    path: Path, video: Video, policies: Mapping[str, ViewPolicy], settings: RenderSettings, threads: int = 1
) -> RenderTask:
    """What a worker process needs to render one video; ``threads`` decode it, and change no pixel."""
    return RenderTask(
        path=path,
        digest=video.sha256,
        num_frames=video.num_frames,
        policies=dict(policies),
        num_views=settings.views_per_video,
        decoder=settings.decoder,
        repeat=settings.short == "repeat",
        options=replace(
            options_for(video.path, video.width, video.height, video.fps, video.pix_fmt),
            threads=threads,
            refuse_hdr=settings.hdr == "refuse",
        ),
    )


def _rows(result: Clips | str | Lost) -> Rows | Failed:
    if isinstance(result, Clips):
        return Rows(result.arrays, result.columns)
    return Failed(result.reason if isinstance(result, Lost) else result)
