"""What has changed in a workspace, as a patch: shell scripts that run where the workspace's commands run.

The workspace is hostile.  Its own repository, if it has one, is not used: git keeps a folder of ours outside, with an index and
objects of its own, so that no setting, hook, filter or monitor of the workspace is read, and no index of the user's changed.
Attributes, which lie in the workspace, are overridden by that folder's: a patch has the bytes of the files.

Left out, as by git itself: what `.gitignore` names (unless the workspace's repository has it), folders that are repositories of
their own, empty folders, and what is neither a file nor a link.
"""

import shlex

CONFIG = """\
[core]
	repositoryformatversion = 0
	bare = false
	fileMode = true
	symlinks = true
	autocrlf = false
	compression = 0
	hooksPath = /dev/null
	attributesFile = /dev/null
	excludesFile = {excludes}
	fsmonitor = false
	untrackedCache = false
	logAllRefUpdates = false
	fsync = none
[gc]
	auto = 0
[advice]
	addEmbeddedRepo = false
"""
ATTRIBUTES = "* -text !eol !crlf !filter !ident !diff !working-tree-encoding\n"
_GIT = """\
unset $(env | sed -n 's/^\\(GIT_[A-Z0-9_]*\\)=.*/\\1/p')
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 LC_ALL=C
own={own} work={work}
export HOME="$own" XDG_CONFIG_HOME="$own"
command -v git >/dev/null || {{ echo 'git is not installed'; exit 99; }}
cd -- "$work" || exit 98
mine() {{ git --git-dir="$own" --work-tree="$work" --no-pager "$@"; }}
# What cannot be added (a file without read permission, a repository without a commit) is left out: 1 is the code for that.
add() {{ mine add -A --ignore-errors . || [ $? -eq 1 ]; }}
"""
_RECORD = """\
set -e
git init -q --bare --template= "$own" >/dev/null
printf %s {config} > "$own/config"
mkdir -p "$own/info"
printf %s {attributes} > "$own/info/attributes"
add
# The workspace's own repository says only which files it has although they are ignored.
if [ -d .git ]; then
    git --git-dir=.git -c core.fsmonitor=false -c core.hooksPath=/dev/null \\
        ls-files -z --cached --ignored --exclude-standard 2>/dev/null > "$own/ignored" || :
    mine update-index -z --add --remove --stdin < "$own/ignored" || :
fi
# The file is there once all is written down, whenever this is killed.
mine write-tree > "$own/base.new"
mv "$own/base.new" "$own/base"
"""
# A fresh index knows no times and sizes of files: none that was changed can pass for unchanged.  A git that was killed has left its lock.
_PATCH = """\
set -e
rm -f "$own/index" "$own/index.lock"
mine read-tree "$(cat "$own/base")"
add
mine diff-index --cached -p --binary --full-index --no-renames --no-ext-diff --no-textconv --no-color \\
    --src-prefix=a/ --dst-prefix=b/ --ignore-submodules=all "$(cat "$own/base")" > "$own/patch"
"""
# What is ignored stays as it is, since what set-up commands have built is; files that have not changed are not written again.
_RESTORE = """\
set -e
rm -f "$own/index.lock"
mine read-tree --reset -u "$(cat "$own/base")"
mine -c core.excludesFile=/dev/null clean -ffdq
# Pipes, sockets and devices, which git does not see.
find . -path ./.git -prune -o ! -type f ! -type d ! -type l -exec rm -f {} +
"""


def record(own: str, work: str) -> str:
    """Return a script that writes down what the folder `work` holds; `own` is a new folder of ours."""
    config = CONFIG.format(excludes=_quoted(f"{work}/.git/info/exclude"))
    settings = _RECORD.format(config=shlex.quote(config), attributes=shlex.quote(ATTRIBUTES))
    return _opening(own, work) + settings


def patch(own: str, work: str) -> str:
    """Return a script that writes what has changed since `record` to the file `patch` in `own`."""
    return _opening(own, work) + _PATCH


def restore(own: str, work: str) -> str:
    """Return a script that puts the folder `work` back to what it was at `record`, but for what its .gitignore files, and `info/exclude` in `own`, name."""
    return _opening(own, work) + _RESTORE


def _opening(own: str, work: str) -> str:
    return _GIT.format(own=shlex.quote(own), work=shlex.quote(work))


def _quoted(path: str) -> str:
    """Write a path as a value of git's configuration."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        path = path.replace(plain, escaped)
    return f'"{path}"'
