"""What a trained model says of itself: its view, scales, calibrations and domain."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pipeline.core.errors import PipelineError, nearest
from pipeline.rendering.clips import SAME_PIXELS_SINCE, clip_fingerprint
from pipeline.rendering.policy import ViewPolicy
from pipeline.students.shared.calibration import Calibration
from pipeline.students.shared.domain import Domain
from pipeline.students.shared.format import check_model_format


class ModelError(PipelineError):
    """A model that cannot be loaded, or that does not say how its clips are made."""


@dataclass(frozen=True, kw_only=True)
class ScoringRecord:
    """What a student's ``config.json`` says beside its network: how to make its clips, and what its scores mean.

    Attributes:
        policy: how its views are chosen.
        num_views: per video, as it was calibrated with.
        repeat: whether a video that is too short repeats frames.
        decoder: a file of ``pipeline/video/decoders/``.
        calibrations: data set → calibration.
        domain: where its training embeddings lie; None where it was not noted.
    """

    policy: ViewPolicy
    num_views: int
    repeat: bool
    decoder: str
    calibrations: Mapping[str, Calibration]
    domain: Domain | None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "ScoringRecord":
        """Reads a student's configuration.

        Raises:
            ModelError: it does not say how its clips are made, or they were made by other code than this.
            ModelFormatError: a newer version of TeachOnce wrote it.
        """
        check_model_format(config)
        try:
            return cls._read(config)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise ModelError(
                f"what the student says of its clips and scores cannot be read: {error}; run distill again"
            ) from None

    @classmethod
    def _read(cls, config: Mapping[str, Any]) -> Self:
        view = config.get("view") or {}
        if not {"view", "decoder", "short"} <= view.keys() or not config.get("calibrations"):
            raise ModelError("the student does not say how its clips are made and calibrated; run distill again")
        try:
            policy = ViewPolicy(**{key: value for key, value in view["view"].items() if key != "version"})
        except TypeError as error:
            raise ModelError(f"the student's view policy cannot be read: {error}; run distill again") from None
        here = clip_fingerprint(policy, decoder=view["decoder"], short=view["short"])
        if SAME_PIXELS_SINCE <= view.get("version", 0) < here["version"]:
            here["version"] = view["version"]
        if differing := sorted(key for key in view.keys() | here.keys() if view.get(key) != here.get(key)):
            raise ModelError(
                f"the student was trained on clips that other code made ({', '.join(differing)} differ); run distill "
                "again, or score with the version of TeachOnce that trained it"
            )
        return cls(
            policy=policy,
            num_views=int(config.get("num_views") or 1),
            repeat=view["short"] == "repeat",
            decoder=view["decoder"],
            calibrations=calibrations_of(config["calibrations"]),
            domain=Domain.from_dict(config["domain"]) if config.get("domain") else None,
        )

    def calibration(self, dataset: str | None) -> Calibration:
        """The calibration to a data set's scale.

        Args:
            dataset: None where the student knows only one.

        Raises:
            ModelError: there is none, or several to choose from.
        """
        known = self.calibrations
        if dataset is None and len(known) == 1:
            return next(iter(known.values()))
        if dataset is None:
            raise ModelError(f"the student knows the scales of {', '.join(known)}; say which one with --dataset")
        if dataset not in known:
            raise ModelError(
                f"no calibration for the data set {dataset!r}; known: {', '.join(known)}{nearest(dataset, known)}"
            )
        return known[dataset]


def calibrations_of(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Calibration]:
    """The stored calibrations, by data set."""
    try:
        return {name: Calibration(**fit) for name, fit in stored.items()}
    except TypeError as error:
        raise ModelError(f"the student's calibration cannot be read: {error}; run distill again") from None
