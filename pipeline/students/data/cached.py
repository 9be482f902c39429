"""The teacher's cached outputs, as training and baselines read them."""

from collections.abc import Sequence

import numpy as np

from cache.store import OK, Store
from pipeline.core.errors import nearest
from pipeline.students.data.alignment import AlignmentError

TEACHER_SCORE = "teacher_score"
"""The teacher's logit, brought to the unit scale by the least-squares line on labelled training rows."""


class CachedTargets:
    """Targets by name; each name is an array of the store, or `TEACHER_SCORE`.

    Args:
        store: of the targets.
        rows: of each labelled training video, int64.
        mos: of each its opinion score on the unit scale.
    """

    def __init__(self, store: Store, rows: Sequence[np.ndarray], mos: Sequence[float]) -> None:
        self._store, self._rows, self._mos = store, rows, mos
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def width(self) -> int:
        """Width of the cached embedding that a student is to match.

        Raises:
            AlignmentError: neither ``embedding_normed`` nor ``embedding`` is cached.
        """
        for name in ("embedding_normed", "embedding"):
            if name in self._store.arrays:
                return self._store.arrays[name].shape[-1]
        raise AlignmentError("the targets hold no embedding; add 'embedding_normed' to extract.kinds")

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row of a target.

        Raises:
            AlignmentError: the store does not have it.
        """
        if name == TEACHER_SCORE:
            return self._score().shape[1:]
        if name not in self._store.arrays:
            known = sorted(self._store.arrays)
            raise AlignmentError(
                f"the targets have no {name!r}; they have {', '.join(known)}{nearest(name, known)}; "
                f"add it to extract.kinds"
            )
        return self._store.arrays[name].shape

    def whole(self, name: str) -> np.ndarray:
        """A whole target array in RAM, float32, one row per clip; NaN where the row failed.

        Raises:
            AlignmentError: the store does not have it.
        """
        if name == TEACHER_SCORE:
            return self._score()
        shape = self.shape(name)
        if name not in self._arrays:
            rows = np.flatnonzero(np.asarray(self._store.status) == OK)
            values = np.full((len(self._store), *shape), np.nan, dtype=np.float32)
            values[rows] = self._store.read(name, rows)
            self._arrays[name] = values
        return self._arrays[name]

    def rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Usable rows of a target, float32, from the store: dense tokens of a large set do not go into RAM whole."""
        if name == TEACHER_SCORE:
            return self._score()[rows]
        self.shape(name)
        return self._store.read(name, rows).astype(np.float32)

    def _score(self) -> np.ndarray:
        if TEACHER_SCORE not in self._arrays:
            logits = self.whole("logits")
            if logits.shape[1:] != (1,):
                raise AlignmentError(
                    f"the teacher has {logits.shape[-1]} outputs, which are no score; adapt it (adapt.epochs above 0) "
                    "or set the weight of the loss 'teacher_score' to 0"
                )
            if len(self._mos) < 2:
                raise AlignmentError(f"{len(self._mos)} labelled training videos; teacher scores need at least 2")
            rows, own = np.concatenate(self._rows), logits[:, 0]
            mos = np.repeat(self._mos, [len(of_video) for of_video in self._rows])
            design = np.stack([own[rows].astype(np.float64), np.ones(len(rows))], axis=1)
            line = np.linalg.lstsq(design, mos, rcond=None)[0]
            self._arrays[TEACHER_SCORE] = (own * line[0] + line[1]).astype(np.float32)
        return self._arrays[TEACHER_SCORE]
