"""What `surefoot.tools.workspace` offers."""

from .commands import shell, submit, told
from .files import edit_file, list_files, read_file, write_file
from .normal_forms import normal_command, normal_path
from .searching import search

__all__ = [
    "edit_file",
    "list_files",
    "normal_command",
    "normal_path",
    "read_file",
    "search",
    "shell",
    "submit",
    "told",
    "write_file",
]
