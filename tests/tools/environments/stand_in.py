"""A stand-in for docker and podman: it writes down its command line, and runs what a container would run in a sandbox.

Its state is a folder named by $TMPDIR: `calls` (a line of JSON each), `root` (what the container's files are) and `running`.
Only what is run by bwrap in a process namespace of its own is run at all: commands here end everything they can see.
"""

import json
import os
import sys
from pathlib import Path

VALUED = ("--workdir", "--env")


def main() -> int:
    state = Path(os.environ["TMPDIR"])
    call = sys.argv[1:]
    with (state / "calls").open("a") as calls:
        calls.write(json.dumps([Path(sys.argv[0]).name, *call]) + "\n")
    if (state / "silent").exists():
        return said("Cannot connect to the engine. Is it running?", 1)
    if call[0] == "version":
        sys.stdout.write("29.0.0\n")
    elif call[0] == "run":
        if "no-such-image" in call:
            return said("Error response from daemon: no such image", 125)
        (state / "running").write_text(call[call.index("--name") + 1])
        sys.stdout.write("0123456789abcdef\n")
    elif call[0] == "rm":
        (state / "running").unlink()
    elif call[0] == "exec":
        execute(state, call[1:])
        return said("Error response from daemon: No such container", 1)
    return 0


def execute(state: Path, call: list[str]) -> None:
    folder = "/"
    variables = []
    while call[0].startswith("--"):
        option = call.pop(0)
        value = call.pop(0) if option in VALUED else ""
        if option == "--workdir":
            folder = value
        elif option == "--env":
            variables += ["--setenv", *value.split("=", 1)]
    if not (state / "running").exists() or (state / "running").read_text() != call.pop(0):
        return
    root = state / "root"
    mounts = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--bind", str(root / "tmp"), "/tmp"]
    mounts += ["--bind", str(root / "testbed"), "/tmp/testbed"]
    sandbox = ["--unshare-all", "--unshare-user", "--die-with-parent", *mounts, "--chdir", folder, *variables]
    os.execv(os.environ["HOME"], ["bwrap", *sandbox, "--", *call])


def said(text: str, code: int) -> int:
    sys.stderr.write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
