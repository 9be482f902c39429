"""What may be wrong around a stage: a disk without room, folders that may not be written, a clock that jumps.

Each is a text such as ``disk=5000`` that a stage's process applies to itself, and hands on to its workers.
"""

import ctypes
import os
import random
import resource
import struct
import time

PR_CAPBSET_DROP = 24
CAPABILITIES_VERSION_3 = 0x20080522
OVERRIDES = (1, 2)
"""The rights by which root passes permissions by: ``CAP_DAC_OVERRIDE`` and ``CAP_DAC_READ_SEARCH``."""


def apply(condition: str) -> None:
    """Makes one of the conditions hold from now on in this process."""
    name, _, value = condition.partition("=")
    {"disk": _full_disk, "bound": _obey_permissions, "clock": _jumping_clock}[name](int(value or 0))


def _full_disk(num_bytes: int) -> None:
    """Every file ends at so many bytes, and a write beyond them fails as it does on a full disk."""
    ceiling = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, ceiling))


def _obey_permissions(_: int) -> None:
    """Permissions bind this process, and what it starts, even if it is root's."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for right in OVERRIDES:
        # The bounding set too: root would get them back in every program that it starts.
        if libc.prctl(PR_CAPBSET_DROP, right, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "cannot give up a right of root")
    header = ctypes.create_string_buffer(struct.pack("<Ii", CAPABILITIES_VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    if libc.capget(header, data):
        raise OSError(ctypes.get_errno(), "cannot ask for the rights of root")
    rights = list(struct.unpack("<6I", data.raw))
    for word in range(3):
        rights[word] &= ~sum(1 << right for right in OVERRIDES)
    if libc.capset(header, ctypes.create_string_buffer(struct.pack("<6I", *rights))):
        raise OSError(ctypes.get_errno(), "cannot give up a right of root")


def _jumping_clock(seed: int) -> None:
    """The time of day is years ahead or behind, another each time it is asked for."""
    generator, right = random.Random(seed), time.time
    time.time = lambda: max(0.0, right() + generator.choice([-1, 1]) * 10 ** generator.uniform(0, 9))
