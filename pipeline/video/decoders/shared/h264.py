"""Frames that an H.264 stream lacks: FFmpeg and decord put old pixels in their place, and say nothing.

Every picture carries ``frame_num``, which grows by one from each reference picture to the next. A jump that the stream
has not allowed itself means that pictures are missing. Only headers are read.

Ref: ITU-T H.264, 7.3.2.1 (sequence parameter set), 7.3.3 (slice header), 7.4.3 (frame_num). Left out: telling a jump
apart from a memory management operation that sets the number back, so a jump to 0 or 1 passes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.video.decoder import DecodeError

_SLICES, _SEQUENCE, _PICTURE = (1, 2, 5), 7, 8
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_HEADER_BYTES = 512
_SLICE_BYTES = 24


class _Sequence(NamedTuple):
    """What a sequence parameter set says of frame numbers."""

    number_bits: int
    gaps_allowed: bool
    separate_planes: bool


class FrameNumbers:
    """Follows the frame numbers of one stream.

    Args:
        extradata: of the stream; None where it has none.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._length_bytes = 0
        self._sequences: dict[int, _Sequence] = {}
        self._sequence_of: dict[int, int] = {}
        self._last: int | None = None
        self._packets = 0
        if extradata and extradata[0] == 1 and len(extradata) > 6:
            self._length_bytes = (extradata[4] & 3) + 1
            for unit in _listed(extradata):
                self._learn(unit)
        elif extradata:
            for unit in self._units(extradata):
                self._learn(unit)

    def check(self, packet: Any) -> None:
        """Makes sure that a picture may follow the one before; call with every packet in the order of the file.

        Args:
            packet: PyAV's, of one picture.

        Raises:
            DecodeError: pictures are missing before it.
        """
        for unit in self._units(bytes(packet) if packet.size else b""):
            if unit[0] & 31 not in _SLICES:
                self._learn(unit)
                continue
            if not self._follows(unit, packet.is_keyframe):
                raise DecodeError(f"frames are missing before packet {self._packets}")
            break
        self._packets += 1

    def _follows(self, unit: bytes, is_keyframe: bool) -> bool:
        try:
            bits = _Bits(unit[1 : 1 + _SLICE_BYTES])
            bits.unsigned()
            bits.unsigned()
            sequence = self._sequences[self._sequence_of[bits.unsigned()]]
            if sequence.separate_planes:
                bits.take(2)
            number = bits.take(sequence.number_bits)
        except (IndexError, KeyError):
            # A header that cannot be read says nothing of frame numbers; the decoder finds what is wrong with it.
            return True
        last, self._last = self._last, number
        if last is None or is_keyframe or unit[0] & 31 == 5 or sequence.gaps_allowed or number <= 1:
            return True
        return number in (last, (last + 1) % (1 << sequence.number_bits))

    def _learn(self, unit: bytes) -> None:
        try:
            bits = _Bits(unit[1 : 1 + _HEADER_BYTES])
            if unit[0] & 31 == _SEQUENCE:
                name, sequence = _read_sequence(bits)
                self._sequences[name] = sequence
            elif unit[0] & 31 == _PICTURE:
                name = bits.unsigned()
                self._sequence_of[name] = bits.unsigned()
        except IndexError:
            return

    def _units(self, data: bytes) -> Iterator[bytes]:
        if not self._length_bytes:
            starts = data.split(b"\0\0\1")
            yield from (unit for unit in starts[1:] if unit)
            return
        at = 0
        while at + self._length_bytes < len(data):
            begin = at + self._length_bytes
            at = begin + int.from_bytes(data[at:begin], "big")
            if unit := data[begin : min(at, begin + _HEADER_BYTES)]:
                yield unit


def _listed(extradata: bytes) -> Iterator[bytes]:
    """The parameter sets of an ``avcC`` box."""
    at = 5
    for mask in (31, 255):
        if at >= len(extradata):
            return
        count, at = extradata[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            if unit := extradata[at + 2 : at + 2 + size]:
                yield unit
            at += 2 + size


def _read_sequence(bits: "_Bits") -> tuple[int, _Sequence]:
    profile = bits.take(8)
    bits.take(16)
    name, separate = bits.unsigned(), False
    if profile in _HIGH_PROFILES:
        chroma = bits.unsigned()
        separate = chroma == 3 and bool(bits.take(1))
        bits.unsigned()
        bits.unsigned()
        bits.take(1)
        if bits.take(1):
            for index in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    _skip_scaling(bits, 16 if index < 6 else 64)
    number_bits = bits.unsigned() + 4
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.take(1)
        for _ in range(2):
            bits.unsigned()
        for _ in range(bits.unsigned()):
            bits.unsigned()
    bits.unsigned()
    return name, _Sequence(number_bits, bool(bits.take(1)), separate)


def _skip_scaling(bits: "_Bits", size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


class _Bits:
    """Reads a unit's bits; past the end it raises ``IndexError``."""

    def __init__(self, unit: bytes) -> None:
        plain = unit.replace(b"\0\0\3", b"\0\0")
        self._bits = bin(int.from_bytes(b"\1" + plain, "big"))[3:]
        self._at = 0

    def take(self, count: int) -> int:
        """An unsigned number of ``count`` bits."""
        self._at += count
        if self._at > len(self._bits):
            raise IndexError
        return int(self._bits[self._at - count : self._at], 2)

    def unsigned(self) -> int:
        """An Exp-Golomb number."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + (self.take(zeros) if zeros else 0)

    def signed(self) -> int:
        """A signed Exp-Golomb number."""
        value = self.unsigned()
        return (value + 1) // 2 if value % 2 else -(value // 2)
