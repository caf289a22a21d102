"""Our tools as an MCP server over stdio, in the folder that is named."""

import asyncio
import sys
from pathlib import Path

import surefoot
from surefoot.tools import edit_file, read_file, serve_mcp, shell
from surefoot.tools.environments import Environment
from surefoot.tools.environments.local import Local


@surefoot.tool(effect="irreversible", repeatable=True)
def shout(word: str, world: Environment) -> str:
    sys.stdout.write("this is no message of the protocol\n")
    return f"{word.upper()} in {world.name}"


if __name__ == "__main__":
    asyncio.run(serve_mcp([shell, read_file, edit_file, shout], Local(Path(sys.argv[1]), trusted=True)))
