"""The jail that a decoder is locked into before it sees a byte from outside.

Each layer that the kernel has is put on: no new privileges, no capabilities, limits (memory, open
files, no core dump), Landlock (no file can be opened) and a seccomp filter (no sockets, programs,
processes, tracing, signals to others). A kernel that lacks a layer leaves the others; `enter`
says which there are. Only the standard library and the C library are used.

Sources: the kernel's ``seccomp_filter`` and ``landlock`` documentation; system call numbers are
those of ``asm/unistd_64.h`` and ``asm-generic/unistd.h``.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

#: Bytes of address space beyond what there is when the jail is entered.
MEMORY = 3 * 2**29
#: Bytes of the largest file or memory that may be written: 75 megapixels of RGB and some more.
LARGEST = 256 * 2**20
#: Open files: its socket, what it was given and what it makes.
FILES = 16

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_BENEATH, _READ_FILE, _READ_DIR = 1, 1 << 2, 1 << 3
_LANDLOCK_CREATE_RULESET_VERSION = 1
#: Bits of file access rights by version of Landlock.
_LANDLOCK_FILE_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_CAPABILITY_VERSION_3 = 0x20080522

#: What a decoder has no business with, as (x86-64, aarch64) numbers; -1: there is no such call.
_REFUSED = {
    "open": (2, -1), "creat": (85, -1), "openat": (257, 56), "openat2": (437, 437),
    "open_by_handle_at": (304, 265),
    "truncate": (76, 45), "rename": (82, -1), "renameat": (264, 38), "renameat2": (316, 276),
    "mkdir": (83, -1), "mkdirat": (258, 34), "rmdir": (84, -1), "unlink": (87, -1),
    "unlinkat": (263, 35), "link": (86, -1), "linkat": (265, 37), "symlink": (88, -1),
    "symlinkat": (266, 36), "mknod": (133, -1), "mknodat": (259, 33), "chmod": (90, -1),
    "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, -1), "fchown": (93, 55),
    "fchownat": (260, 54), "chroot": (161, 51), "pivot_root": (155, 41), "mount": (165, 40),
    "umount2": (166, 39), "open_tree": (428, 428), "move_mount": (429, 429),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242),
    "fork": (57, -1), "vfork": (58, -1),
    "execve": (59, 221), "execveat": (322, 281), "kill": (62, 129), "tkill": (200, 130),
    "tgkill": (234, 131), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104),
    "reboot": (169, 142), "swapon": (167, 224), "personality": (135, 92),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "shmget": (29, 194),
    "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
}  # fmt: skip
#: Calls that are refused by what they are called with: threads are no processes (libwebp uses
#: two), limits are a process's own, and no signal is to be had through a file.
_CLONE, _CLONE3, _PRLIMIT, _FCNTL = (56, 220), (435, 435), (302, 261), (72, 25)
_CLONE_THREAD, _F_SETOWN, _F_SETOWN_EX = 0x10000, 8, 15
_OPENING = frozenset({"open", "openat", "openat2"})
#: Machine → (column of `_REFUSED`, AUDIT_ARCH).
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
#: x86-64 calls of the x32 kind begin here; no filter of ours knows them.
_X32 = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
#: Where a filter finds the number of a call and the lower halves of its first two arguments.
_NUMBER, _FIRST, _SECOND = 0, 16, 24
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


#: Operation, jump if true, jump if false, value.
_Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def enter(readable: Iterable[Path] = ()) -> dict[str, bool]:
    """Lock this process in, for good; which layers hold. It must have one thread.

    Files below the folders ``readable`` may be read where Landlock can see to it that no others
    are; elsewhere they may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    folders = [folder for folder in readable if folder.is_dir()]
    _limit()
    held = {"limits": True}
    held["no new privileges"] = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    held["not dumpable"] = libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
    held["no capabilities"] = _drop_capabilities(libc)
    held["Landlock"] = _shut_files(libc, folders)
    opened = _OPENING if folders and held["Landlock"] else frozenset()
    held["seccomp"] = _filter_calls(libc, opened)
    return held


def not_dumpable() -> None:
    """Let no other process of this user look into this one's memory (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_with_parent() -> None:
    """End when the thread that began this process does (Linux)."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was faster
        os._exit(0)


def limit_time(seconds: float) -> None:
    """``seconds`` of processor time from now on, rounded up."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    # The kernel counts whole seconds, and ends the process at the first tick after them.
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + 1, hard=False)


def memory_taken() -> int:
    """Bytes of address space that there are now. In the jail this cannot be asked."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE


def limit_memory(size: int) -> None:
    """``size`` bytes of address space altogether."""
    _lower(resource.RLIMIT_AS, size, hard=False)


def _limit() -> None:
    limit_memory(memory_taken() + MEMORY)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, LARGEST)
    _lower(resource.RLIMIT_NOFILE, FILES)


def _lower(limit: int, value: int, *, hard: bool = True) -> None:
    _, most = resource.getrlimit(limit)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(limit, (value, value if hard else most))


def _drop_capabilities(libc: ctypes.CDLL) -> bool:
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    return bool(libc.capset(header, bytes(24)) == 0)


def _shut_files(libc: ctypes.CDLL, readable: Iterable[Path]) -> bool:
    """No file but those below ``readable`` can be opened, none made or removed, and on newer
    kernels no port be reached."""
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    if version < 1:
        return False
    files = (1 << _LANDLOCK_FILE_BITS.get(version, 16)) - 1
    network = 3 if version >= 4 else 0  # bind and connect
    scopes = 3 if version >= 6 else 0  # sockets without a file, signals
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("=QQQ", files, network, scopes)[:size]
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        for folder in readable:
            beneath = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("=Qi", _READ_FILE | _READ_DIR, beneath)
            libc.syscall(_LANDLOCK_ADD_RULE, rules, _BENEATH, rule, 0)
            os.close(beneath)
        return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _filter_calls(libc: ctypes.CDLL, allowed: frozenset[str]) -> bool:
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    program = _program(*machine, allowed)
    instructions = ctypes.create_string_buffer(program)
    filters = _Program(len(program) // 8, ctypes.addressof(instructions))
    done = libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filters), 0, 0)
    return bool(done == 0)


def _program(column: int, architecture: int, allowed: frozenset[str]) -> bytes:
    """The filter: other architectures' calls end the process, refused ones answer EPERM."""
    refused = (row[column] for name, row in _REFUSED.items() if name not in allowed)
    numbers = sorted(number for number in refused if number >= 0)
    code: list[_Instruction] = [
        (_LOAD, 0, 0, 4),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
    ]
    code += [(_LOAD, 0, 0, _NUMBER)]
    if column == 0:
        code += [(_JUMP_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    refuse, allow = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    code += _when(_CLONE[column], (_LOAD, 0, 0, _FIRST), (_JUMP_BITS, 1, 0, _CLONE_THREAD),
                  refuse, allow)  # fmt: skip
    # Its arguments are in memory, which a filter does not see: the C library then uses clone.
    code += _when(_CLONE3[column], (_RETURN, 0, 0, _ERRNO | errno.ENOSYS))
    code += _when(_PRLIMIT[column], (_LOAD, 0, 0, _FIRST), (_JUMP_EQUAL, 1, 0, 0), refuse, allow)
    code += _when(_FCNTL[column], (_LOAD, 0, 0, _SECOND), (_JUMP_EQUAL, 1, 0, _F_SETOWN),
                  (_JUMP_EQUAL, 0, 1, _F_SETOWN_EX), refuse, allow)  # fmt: skip
    for left, number in _counted_down(numbers):
        code.append((_JUMP_EQUAL, left + 1, 0, number))
    code += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _when(number: int, *then: _Instruction) -> list[_Instruction]:
    """``then``, which ends the filter, for one call; every other goes on behind it."""
    return [(_JUMP_EQUAL, 0, len(then), number), *then]


def _counted_down(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Each with how many follow it: how far it is to the end."""
    return [(len(numbers) - 1 - index, number) for index, number in enumerate(numbers)]
