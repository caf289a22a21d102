"""What MkDocs does here beside its own work: a page of reference for every public face, and links into the repository."""

import ast
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
SHADOW = ROOT / "out" / "docs" / "surefoot"
"""Links to the package's own files alone: the checkout is the package, and holds virtual environments besides."""
OUTSIDE = re.compile(r"(!?)\[([^\]]+)\]\(\.\./([^)]+)\)")
LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*""")
"""What a browser would fetch from another host."""


def packages() -> list[str]:
    """Every package, as pyproject lists them."""
    found: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    return found


def names(package: str) -> list[str]:
    """What a package offers: its `__all__`, in its stub where it has one."""
    folder = ROOT.joinpath(*package.split(".")[1:])
    for name in ("__init__.pyi", "__init__.py"):
        if (folder / name).exists():
            for node in ast.parse((folder / name).read_text()).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                    return list(ast.literal_eval(node.value))
    return []


def faces() -> list[str]:
    """Every package that offers something, and the tree of errors."""
    return [package for package in packages() if names(package)] + ["surefoot.errors"]


def on_startup(command: str, dirty: bool) -> None:
    """Lay out what mkdocstrings reads, before it looks."""
    shutil.rmtree(SHADOW, ignore_errors=True)
    SHADOW.mkdir(parents=True)
    rooms = {package.split(".")[1] for package in packages() if "." in package}
    for path in [*ROOT.glob("*.py"), *ROOT.glob("*.pyi"), *(ROOT / room for room in rooms)]:
        (SHADOW / path.name).symlink_to(path)


def on_config(config: Any) -> Any:
    """Put a page for each face into the navigation."""
    config.nav.append({"Reference": [f"reference/{face}.md" for face in faces()]})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each face."""
    for face in faces():
        files.append(File.generated(config, f"reference/{face}.md", content=f"# {face}\n\n::: {face}\n"))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Name the file where a page links to one that is in the repository and not on the site; pictures come along."""

    def named(found: re.Match[str]) -> str:
        picture, text, path = found.groups()
        if not picture:
            return f"{text} (`{path}` in the repository)"
        name = f"pictures/{Path(path).name}"
        if files.get_file_from_path(name) is None:
            files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
        return f"![{text}]({name})"

    return OUTSIDE.sub(named, markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Refuse a page of reference that lacks a name of its face, and any page that is not complete by itself."""
    if page.file.src_uri.startswith("reference/"):
        face = Path(page.file.src_uri).stem
        lacking = [name for name in names(face) if f'id="{face}.{name}"' not in output]
        if lacking:
            raise PluginError(f"the reference of {face} lacks {', '.join(lacking)}")
    if foreign := LOADED.findall(output):
        raise PluginError(f"{page.file.src_uri} loads from another host: {foreign}")
    return output
