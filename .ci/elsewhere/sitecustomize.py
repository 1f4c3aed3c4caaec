"""Linux as if it were another system. With this folder on PYTHONPATH it runs at the start of every process."""

import functools
import os

# In Python's documentation these are of Linux alone, or at least neither of macOS nor of Windows.
LINUX = (
    "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_setparam", "sched_getscheduler",
    "sched_setscheduler", "sched_rr_get_interval", "posix_fadvise", "posix_fallocate", "fdatasync", "copy_file_range",
    "splice", "eventfd", "memfd_create", "pidfd_open", "getrandom", "pipe2", "setns", "unshare", "getxattr",
    "setxattr", "listxattr", "removexattr", "getresuid", "setresuid", "getresgid", "setresgid", "O_DIRECT",
)  # fmt: skip
for name in LINUX:
    if hasattr(os, name):
        delattr(os, name)


def _is_open(path):
    try:
        state = os.stat(path)
    except (OSError, TypeError):
        return False
    for number in os.listdir("/proc/self/fd"):
        try:
            other = os.stat(int(number))
        except OSError:
            continue
        if (other.st_dev, other.st_ino) == (state.st_dev, state.st_ino):
            return True
    return False


def _refusing(call):
    """On Windows a file that is open, even in this process, can be neither renamed, replaced nor deleted."""

    @functools.wraps(call)
    def wrapped(*paths, **options):
        for path in paths:
            if _is_open(path):
                raise PermissionError(13, "The process cannot access the file because it is being used", str(path))
        return call(*paths, **options)

    return wrapped


if os.path.isdir("/proc/self/fd"):
    for name in ("rename", "replace", "remove", "unlink"):
        setattr(os, name, _refusing(getattr(os, name)))
