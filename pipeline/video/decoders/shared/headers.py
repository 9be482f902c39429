"""Which pictures a packet of H.264, HEVC, VP8 or VP9 shows, by its headers; and pictures of H.264 that are not there.

A packet may be one field of two, a leading picture that no decoder shows, or a hidden reference. Every H.264 picture
carries ``frame_num``, which grows by one from each reference picture to the next: a jump that the stream has not
allowed itself means that pictures are missing. FFmpeg puts old pixels in their place and flags nothing at any setting.

Ref: ITU-T H.264, 7.3.2.1, 7.3.3, 7.4.3; H.265, 7.3.1, 7.3.2.3, 8.1.3; RFC 6386, 9.1; VP9 bitstream specification, 6.2
and annex B. Left out: telling a jump of ``frame_num`` from a memory operation that sets it back, so a jump to 0 or 1
passes.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_HEADER_BYTES, _SLICE_BYTES = 512, 24
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}


class Shown(NamedTuple):
    """What a packet shows.

    Attributes:
        pictures: how many it adds; the second field of a picture adds none.
        field: whether it holds one field.
        gap: whether pictures are missing before it.
    """

    pictures: int
    field: bool = False
    gap: bool = False


def reader(codec: str, extradata: bytes | None) -> Callable[[Any], Shown] | None:
    """Reads the packets of one stream, in the order of the file; None where a packet need not be one picture.

    Args:
        codec: FFmpeg's name of the coding, not of its decoder.
        extradata: of the stream; None where it has none.
    """
    if codec in ("h264", "hevc"):
        return (_H264 if codec == "h264" else _Hevc)(extradata or b"").read
    readers = {"vp8": _vp8, "vp9": _vp9, "av1": lambda packet: Shown(1)}
    return readers.get(codec)


def _vp8(packet: Any) -> Shown:
    return Shown(bytes(packet)[0] >> 4 & 1)


def _vp9(packet: Any) -> Shown:
    """The frames of a packet, or of a superframe, at whose end their sizes stand."""
    data = bytes(packet)
    width, count = (data[-1] >> 3 & 3) + 1, (data[-1] & 7) + 1
    index = data[-2 - width * count :]
    if data[-1] & 0xE0 != 0xC0 or index[0] != data[-1]:
        return Shown(_vp9_shows(data))
    shown = at = 0
    for number in range(count):
        size = int.from_bytes(index[1 + number * width :][:width], "little")
        shown += _vp9_shows(data[at : at + size])
        at += size
    return Shown(shown)


def _vp9_shows(frame: bytes) -> int:
    bits = _Bits(frame[:2] + b"\0")
    bits.take(2)
    if bits.take(2) == 3:
        bits.take(1)
    return bits.take(1) or bits.take(2) & 1


class _Nal:
    """A stream of network abstraction layer units.

    Args:
        extradata: a configuration record, or units behind start codes.
        length_at: byte of the record that tells how long the lengths of units are.
    """

    def __init__(self, extradata: bytes, length_at: int) -> None:
        self._length_bytes, self._length_at, self._is_cut = 0, length_at, False
        self._configure(extradata)

    def _configure(self, extradata: bytes) -> None:
        if extradata[:1] != b"\1" or len(extradata) <= self._length_at + 1:
            units = self._units(extradata)
        else:
            self._length_bytes = (extradata[self._length_at] & 3) + 1
            units = self._listed(extradata)
        for unit in units:
            self._learn(unit)

    def _listed(self, record: bytes) -> Iterator[bytes]:
        raise NotImplementedError

    def _learn(self, unit: bytes) -> None:
        raise NotImplementedError

    def _units(self, data: bytes) -> Iterator[bytes]:
        if not self._length_bytes:
            yield from (unit[:_HEADER_BYTES] for unit in data.split(b"\0\0\1")[1:] if len(unit) > 2)
            return
        at = 0
        while at + self._length_bytes < len(data):
            begin = at + self._length_bytes
            at = begin + int.from_bytes(data[at:begin], "big")
            if len(unit := data[begin : min(at, begin + _HEADER_BYTES)]) > 2:
                yield unit
        self._is_cut = at > len(data)

    def _packet(self, packet: Any) -> Iterator[bytes]:
        """The units of a packet; one with other parameter sets brings them with it."""
        if packet.has_sidedata("new_extradata"):
            self._configure(bytes(packet.get_sidedata("new_extradata")))
        return self._units(bytes(packet))


def _counted(record: bytes, at: int, count: int) -> Iterator[tuple[bytes, int]]:
    """Units with lengths of two bytes, each with the place behind it."""
    for _ in range(count):
        size = int.from_bytes(record[at : at + 2], "big")
        at += 2 + size
        yield record[at - size : at], at


class _Sequence(NamedTuple):
    """What a sequence parameter set of H.264 says of slice headers."""

    number_bits: int
    gaps_allowed: bool
    separate_planes: bool
    frames_only: bool


class _H264(_Nal):
    def __init__(self, extradata: bytes) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._sequence_of: dict[int, int] = {}
        self._last: int | None = None
        self._first_field: tuple[int, int] | None = None
        super().__init__(extradata, 4)

    def _listed(self, record: bytes) -> Iterator[bytes]:
        at = 5
        for mask in (31, 255):
            count, at = record[at] & mask if at < len(record) else 0, at + 1
            for unit, behind in _counted(record, at, count):
                at = behind
                yield unit

    def _learn(self, unit: bytes) -> None:
        bits = _Bits(unit[1:])
        try:
            if unit[0] & 31 == 7:
                name, sequence = _read_sequence(bits)
                self._sequences[name] = sequence
            elif unit[0] & 31 == 8:
                name = bits.unsigned()
                self._sequence_of[name] = bits.unsigned()
        except IndexError:
            return

    def read(self, packet: Any) -> Shown:
        """What a packet shows."""
        for unit in self._packet(packet):
            if unit[0] & 31 in (1, 2, 5):
                try:
                    return self._slice(unit, packet.is_keyframe)
                except (IndexError, KeyError):
                    # A header that cannot be read says nothing here; the decoder finds what is wrong with it.
                    return Shown(1)
            self._learn(unit)
        return Shown(self._is_cut)

    def _slice(self, unit: bytes, is_keyframe: bool) -> Shown:
        bits = _Bits(unit[1 : 1 + _SLICE_BYTES])
        bits.unsigned()
        bits.unsigned()
        sequence = self._sequences[self._sequence_of[bits.unsigned()]]
        if sequence.separate_planes:
            bits.take(2)
        number = bits.take(sequence.number_bits)
        is_field = not sequence.frames_only and bool(bits.take(1))
        parity = bits.take(1) if is_field else 0
        is_second = is_field and self._first_field == (number, 1 - parity)
        self._first_field = (number, parity) if is_field and not is_second else None
        last, self._last = self._last, number
        free = last is None or is_keyframe or unit[0] & 31 == 5 or sequence.gaps_allowed or number <= 1
        gap = not free and number not in (last, ((last or 0) + 1) % (1 << sequence.number_bits))
        return Shown(int(not is_second), is_field, gap)


class _Hevc(_Nal):
    """Hides leading pictures whose references lie before the point where decoding begins, and pictures marked so."""

    def __init__(self, extradata: bytes) -> None:
        self._sets: dict[int, tuple[int, int]] = {}
        self._ended, self._skips_leading = True, False
        super().__init__(extradata, 21)

    def _listed(self, record: bytes) -> Iterator[bytes]:
        at = 23
        for _ in range(record[22]):
            count, at = int.from_bytes(record[at + 1 : at + 3], "big"), at + 3
            for unit, behind in _counted(record, at, count):
                at = behind
                yield unit

    def _learn(self, unit: bytes) -> None:
        if unit[0] >> 1 & 63 != 34:
            return
        bits = _Bits(unit[2:])
        try:
            name = bits.unsigned()
            bits.unsigned()
            bits.take(1)
            self._sets[name] = (bits.take(1), bits.take(3))
        except IndexError:
            return

    def read(self, packet: Any) -> Shown:
        """What a packet shows."""
        pictures: int | None = None
        for unit in self._packet(packet):
            kind, layer = unit[0] >> 1 & 63, (unit[0] & 1) << 5 | unit[1] >> 3
            if kind in (36, 37):
                self._ended = True
            elif kind > 31:
                self._learn(unit)
            elif layer == 0 and pictures is None:
                if 16 <= kind <= 23:
                    self._skips_leading, self._ended = kind != 21 or self._ended, False
                is_leading = kind in (8, 9) and self._skips_leading
                pictures = int(not is_leading and self._is_output(unit, kind))
        return Shown(self._is_cut if pictures is None else pictures)

    def _is_output(self, unit: bytes, kind: int) -> bool:
        bits = _Bits(unit[2 : 2 + _SLICE_BYTES])
        try:
            bits.take(2 if 16 <= kind <= 23 else 1)
            output_flag, extra_bits = self._sets[bits.unsigned()]
            bits.take(extra_bits)
            bits.unsigned()
            return not output_flag or bool(bits.take(1))
        except (IndexError, KeyError):
            return True


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
    gaps_allowed = bool(bits.take(1))
    bits.unsigned()
    bits.unsigned()
    return name, _Sequence(number_bits, gaps_allowed, separate, bool(bits.take(1)))


def _skip_scaling(bits: "_Bits", size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            value = bits.unsigned()
            following = (last + ((value + 1) // 2 if value % 2 else -(value // 2))) % 256
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
        return int(self._bits[self._at - count : self._at] or "0", 2)

    def unsigned(self) -> int:
        """An Exp-Golomb number."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + (self.take(zeros) if zeros else 0)
