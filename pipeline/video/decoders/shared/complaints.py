"""Listens to what a decoder prints on standard error, where it reports damage that it conceals."""

import os
import re
import tempfile
from types import TracebackType
from typing import Self

from pipeline.video.decoder import DecodeError

_COMPLAINT = re.compile(rb"\[[\w,]+ @ 0x")
_MOST_SAID_BYTES = 1 << 20


class Complaints:
    """While entered, standard error (the file descriptor) is listened to; what is no complaint is passed on.

    A decoder works ahead in threads of its own, so listening goes on between its calls too. One at a time.

    Args:
        speaker: name of the decoder, for messages.
    """

    def __init__(self, speaker: str) -> None:
        self._speaker = speaker
        self._heard: list[bytes] = []

    def __enter__(self) -> Self:
        self._said = tempfile.TemporaryFile()
        self._read_bytes = 0
        self._error_output = os.dup(2)
        os.dup2(self._said.fileno(), 2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.dup2(self._error_output, 2)
        try:
            self._listen()
        finally:
            os.close(self._error_output)
            self._said.close()
        if kind is None:
            self.refuse()

    def refuse(self) -> None:
        """Raises when there was a complaint.

        Raises:
            DecodeError: with the first complaint.
        """
        if not self._said.closed:
            self._listen()
        if self._heard:
            first = self._heard[0].decode("utf-8", "replace").strip()
            raise DecodeError(f"{self._speaker} reports damage: {re.sub(r' @ 0x[0-9a-f]+', '', first)}")

    def _listen(self) -> None:
        text = os.pread(self._said.fileno(), _MOST_SAID_BYTES, self._read_bytes)
        self._read_bytes += len(text)
        for line in text.splitlines(keepends=True):
            if _COMPLAINT.match(line):
                self._heard.append(line)
            else:
                os.write(self._error_output, line)
