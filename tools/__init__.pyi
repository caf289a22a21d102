"""What `surefoot.tools` offers; the decorator that makes a tool of a function is `surefoot.tool`."""

from .checking import checked_call, normalised, schema_of
from .failed import ToolFailed
from .function_tool import FunctionTool
from .langchain import from_langchain
from .mcp import mcp_tools
from .mcp_server import serve_mcp
from .tool import Effect, Observed, Tool
from .workspace.commands import shell, submit
from .workspace.files import edit_file, list_files, read_file, write_file
from .workspace.searching import search

__all__ = [
    "Effect",
    "FunctionTool",
    "Observed",
    "Tool",
    "ToolFailed",
    "checked_call",
    "edit_file",
    "from_langchain",
    "list_files",
    "mcp_tools",
    "normalised",
    "read_file",
    "schema_of",
    "search",
    "serve_mcp",
    "shell",
    "submit",
    "write_file",
]
