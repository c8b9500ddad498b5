"""The system call filter: a classic BPF program that denies what no build, test or analyzer needs, for x86_64 and aarch64.

Everything else is allowed (a default-deny list breaks with each new libc). What is denied: making or joining namespaces,
mounting, loading kernel code, keyrings, io_uring, userfaultfd, bpf, perf, tracing other processes, file handles, the clock,
swap, quotas, unusual socket families and pushing characters into terminals. Reference: moby's default profile.
"""

from __future__ import annotations

import errno
import functools
import struct

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
ARCHITECTURES = {"x86_64": X86_64, "aarch64": AARCH64}

DENIED: dict[str, tuple[int | None, int | None]] = {
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "open_tree_attr": (467, 467),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "create_module": (174, None),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "nfsservctl": (180, 42),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "get_mempolicy": (239, 236),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "set_mempolicy_home_node": (450, 450),
}
"""Name to its numbers on x86_64 and aarch64 (None: absent there). Each answers EPERM."""

CLONE, CLONE3 = (56, 220), (435, 435)
SOCKET, SOCKETPAIR, IOCTL, PERSONALITY = (41, 198), (53, 199), (16, 29), (135, 92)
NAMESPACE_FLAGS = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (route only)."""
NETLINK, NETLINK_ROUTE = 16, 0
TERMINAL_PUSHES = (0x5412, 0x541C)
"""TIOCSTI, TIOCLINUX."""
PERSONALITIES = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)

ALLOW, KILL = 0x7FFF0000, 0x80000000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCH, ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data; an argument's low half comes first on both (little-endian) architectures."""


def refuse(number: int) -> int:
    """The verdict "fail with this errno"."""
    return 0x00050000 | number


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _when(code: int, value: int, verdict: int) -> bytes:
    """If the loaded word compares true, end with the verdict; else go on."""
    return _op(code, value, 0, 1) + _op(RETURN, verdict)


def _on_call(number: int, body: bytes) -> bytes:
    """Run `body` for one system call only; `body` may load arguments, for the number is loaded again behind it."""
    body += _op(LOAD, NUMBER)
    return _op(EQUAL, number, 0, len(body) // 8) + body


def _argument(index: int) -> bytes:
    return _op(LOAD, ARGUMENTS + 8 * index)


def _only(values: tuple[int, ...], verdict: int) -> bytes:
    """End with the verdict unless the loaded word is one of `values`."""
    ops = [_op(EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)]
    return b"".join(ops) + _op(RETURN, verdict)


@functools.cache
def program(machine: str) -> bytes:
    """Return the filter as an array of struct sock_filter for `machine` (os.uname().machine). KeyError if unknown."""
    arch = ARCHITECTURES[machine]
    which = 0 if arch == X86_64 else 1
    denied = refuse(errno.EPERM)
    absent = refuse(errno.ENOSYS)
    family = refuse(errno.EAFNOSUPPORT)
    parts = [_op(LOAD, ARCH), _op(EQUAL, arch, 1, 0), _op(RETURN, KILL), _op(LOAD, NUMBER)]
    if arch == X86_64:
        parts.append(_when(AT_LEAST, 0x40000000, absent))  # the x32 calls, whose numbers would pass by the list
    parts.append(_when(EQUAL, CLONE3[which], absent))  # its flags lie in memory; libc falls back to clone
    for numbers in DENIED.values():
        number = numbers[which]
        if number is not None:
            parts.append(_when(EQUAL, number, denied))
    parts.append(_on_call(CLONE[which], _argument(0) + _when(ANY_BIT, NAMESPACE_FLAGS, denied)))
    route_only = _argument(2) + _only((NETLINK_ROUTE,), family)
    netlink = _op(EQUAL, NETLINK, 0, len(route_only) // 8) + route_only
    parts.append(_on_call(SOCKET[which], _argument(0) + _only(FAMILIES, family) + netlink))
    parts.append(_on_call(SOCKETPAIR[which], _argument(0) + _only(FAMILIES, family)))
    pushes = b"".join(_when(EQUAL, request, denied) for request in TERMINAL_PUSHES)
    parts.append(_on_call(IOCTL[which], _argument(1) + pushes))
    parts.append(_on_call(PERSONALITY[which], _argument(0) + _only(PERSONALITIES, denied)))
    parts.append(_op(RETURN, ALLOW))
    return b"".join(parts)
