"""What the process of a loop's own code may still ask of the system: memory, time, and the pipes that it has.

Linux alone, without privileges: a seccomp filter (`man 2 seccomp`) that answers every system call but a few with
EPERM, on all threads and for good, and limits (`man 2 setrlimit`). No file can be opened after that, so that neither
the app's environment under /proc nor anybody's credentials on disk can be read; no socket, no process, no thread.
Numbers of the calls: Linux, arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import math
import platform
import struct
import sys

PERMITTED = {  # name: (x86_64, aarch64); no number: the machine has no such call
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}
_MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
"""Column above, the kernel's name of the machine (AUDIT_ARCH), number of seccomp itself."""
_LOAD, _EQUAL, _ANSWER = 0x20, 0x15, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
_PDEATHSIG, _NO_NEW_PRIVILEGES, _FILTER, _ALL_THREADS = 1, 38, 1, 1
_SIGKILL = 9


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def available() -> bool:
    """Whether walls can be built on this machine at all; whether its kernel lets us shows when they are."""
    return sys.platform == "linux" and platform.machine() in _MACHINES


def end_with_parent() -> None:
    """The process is killed when the thread that began it is gone."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, _SIGKILL)


def limit(memory_mb: int, seconds: int) -> None:
    """Memory and time of the processor; no file may grow, no process may be begun, no core is written."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    time = math.ceil(used.ru_utime + used.ru_stime) + seconds
    for what, most, beyond in (
        (resource.RLIMIT_DATA, memory_mb * 1024 * 1024, 0),
        (resource.RLIMIT_CPU, time, 1),  # told by SIGXCPU; a second later the system kills
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
    ):
        resource.setrlimit(what, (most, most + beyond))


def close() -> None:
    """From here on the process can only compute. OSError where the kernel refuses: then nothing may be run."""
    column, machine, seccomp = _MACHINES[platform.machine()]
    numbers = [pair[column] for pair in PERMITTED.values() if pair[column] is not None]
    code = [_step(_LOAD, 4), _step(_EQUAL, machine, 1, 0), _step(_ANSWER, _KILL), _step(_LOAD, 0)]
    for number in numbers:
        code += [_step(_EQUAL, number or 0, 0, 1), _step(_ANSWER, _ALLOW)]
    code.append(_step(_ANSWER, _REFUSE))
    content = ctypes.create_string_buffer(b"".join(code))
    program = _Program(len(code), ctypes.cast(content, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if libc.syscall(seccomp, _FILTER, _ALL_THREADS, ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_so, if_not, value)
