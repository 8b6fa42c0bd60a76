"""A kernel that answers one call as some file system does; for this process alone, and until it ends."""

import ctypes
import errno
import platform
import struct

_FSYNC = {"x86_64": 74, "aarch64": 82}
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2  # source: prctl(2)
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # source: seccomp(2)


def refuse_fsync(code: int = errno.EINVAL) -> None:
    """From now on `fsync` says that it is not for this kind of file, as on SMB shares and some FUSE file systems."""
    load, equals, give = 0x20, 0x15, 0x06  # source: linux/filter.h
    program = b"".join(
        struct.pack("HBBI", *line)
        for line in (
            (load, 0, 0, 0),  # which call it is
            (equals, 0, 1, _FSYNC[platform.machine()]),
            (give, 0, 0, _ERRNO | code),
            (give, 0, 0, _ALLOW),
        )
    )
    lines = ctypes.create_string_buffer(program)
    whole = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(lines))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SECCOMP, _FILTER, whole, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel takes no filter")
