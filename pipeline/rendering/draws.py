"""Draws that depend on what they are for, never on what was drawn before.

The words come from Philox, a counter-based generator: the key is the video's digest, the counter says which view and
which purpose. Only its raw words are used, with integer arithmetic of our own, since numpy promises its distributions
for one build only. What was drawn is stored beside the pixels, so a view is replayed from parameters, not from a seed.

Ref: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import numpy as np

_KEY_HEX_DIGITS = 32


class Draws:
    """A stream of draws.

    Args:
        digest: at least 32 hexadecimal digits, such as the SHA-256 of a video file.
        view: number of the view.
        purpose: what is drawn; the streams of two purposes have nothing in common.
    """

    def __init__(self, digest: str, *, view: int, purpose: int) -> None:
        counter = [0, purpose, view, 0]
        self._words = np.random.Philox(key=int(digest[:_KEY_HEX_DIGITS], 16), counter=counter)

    def below(self, limit: int) -> int:
        """A whole number in 0 … ``limit`` - 1, each as likely up to one part in 2^64 / ``limit``.

        Args:
            limit: at least 1.
        """
        return (int(self._words.random_raw()) * limit) >> 64

    def between(self, low: int, high: int) -> int:
        """A whole number in ``low`` … ``high``, both included."""
        return low + self.below(high - low + 1)
