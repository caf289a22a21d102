"""What the documentation shows is executed: every python block of a page, in order, in one namespace."""

import ast
import importlib
import inspect
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import surefoot

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ROOMS = ("agents", "cli", "models", "orchestration", "serving", "tools", "voting")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
WALKED = ROOT / "docs" / "first-task.md"
"""Its blocks are files, which begin with their names, and commands with lines of what they print."""
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of the test's own, for the embedded Redis."""
    path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SUREFOOT_HOME", str(path))
    return path


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page != WALKED and BLOCK.search(page.read_text())],
    ids=lambda p: p.name,
)
def test_the_examples_of_a_page_run(page: Path, home: Path) -> None:
    code = "\n".join(BLOCK.findall(page.read_text()))
    done = subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []


def test_every_page_is_found_from_the_first_one_and_is_on_the_site() -> None:
    index, site = (ROOT / "docs" / "index.md").read_text(), (ROOT / "mkdocs.yml").read_text()
    pages = [page.name for page in PAGES[1:] if page.name != "index.md"]
    assert [name for name in pages if f"]({name})" not in index or f" {name}\n" not in site] == []


def test_the_first_task_goes_as_its_page_says(home: Path) -> None:
    """Each console line is typed, in order; it prints the lines below it, among others."""
    done = None
    for kind, block in re.findall(r"^```(python|console)\n(.*?)^```", WALKED.read_text(), re.M | re.S):
        if kind == "python":
            (home / block.split()[1]).write_text(block)
            continue
        for line in block.splitlines():
            if line.startswith("$ "):
                path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
                done = subprocess.run(
                    line[2:],
                    shell=True,
                    cwd=home,
                    env={**os.environ, "PATH": path, "COLUMNS": "200"},
                    capture_output=True,
                    text=True,
                    timeout=120,
                )
                assert "Traceback" not in done.stderr
            else:
                assert done is not None and line in done.stdout + done.stderr


def said_in(folder: Path) -> list[str]:
    """Every text in the code, with a NUL in place of what is put in."""
    found = []
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_the_sentences_of_the_troubleshooting_page_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    sentences = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(sentences) == len(re.findall(r"^\| [^-y]", page, re.MULTILINE)) > 30
    code = [text for room in ROOMS for text in said_in(ROOT / room)]
    for sentence in sentences:
        form = re.compile(".*".join(map(re.escape, sentence.split("..."))), re.DOTALL)
        assert any(form.search(text) for text in code), sentence


def test_the_text_for_machines_has_the_form_of_llmstxt_org_and_its_links_lead_somewhere() -> None:
    """A title, a summary, then sections that are lists of links with what they are about."""
    title, _, summary, *rest = (ROOT / "llms.txt").read_text().splitlines()
    assert re.fullmatch("# surefoot", title) and summary.startswith("> ")
    sections = "\n".join(rest).split("\n## ")[1:]
    links = [
        re.fullmatch(r"- \[[^]]+\]\(([^)]+)\): .+", line)
        for s in sections
        for line in s.split("\n")[2:]
        if line
    ]
    assert all(links)
    targets = [link[1] for link in links if link]
    assert [target for target in targets if not (ROOT / target).exists()] == []
    assert [page.name for page in PAGES[1:] if f"docs/{page.name}" not in targets] == []


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "examples").glob("*.py"))], ids=lambda p: p.name)
def test_what_a_page_or_an_example_imports_is_in_a_public_face(page: Path) -> None:
    """A face is a package with an `__all__`; modules inside are not for users.  Recipes of training have no face."""
    text = page.read_text()
    tree = ast.parse(text if page.suffix == ".py" else "\n".join(BLOCK.findall(text)))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and re.match(r"surefoot(?!\.training)\b", node.module or ""):
            face = importlib.import_module(node.module or "")
            assert hasattr(face, "__path__")
            faces = {path.parent.name for path in Path(face.__path__[0]).glob("*/__init__.pyi")}
            assert {name.name for name in node.names} <= {*face.__all__, *faces}


def test_the_page_of_settings_is_what_the_code_says() -> None:
    """If this fails: `python docs/configuration.py`."""
    written = runpy.run_path(str(ROOT / "docs" / "configuration.py"))["page"]()
    assert (ROOT / "docs" / "configuration.md").read_text() == written
    taken = {*inspect.signature(surefoot.run).parameters, *inspect.signature(surefoot.resume).parameters}
    variables = re.compile(r"(SUREFOOT|OPENAI|VLLM|XDG|HF)_[A-Z_]+")
    read = {text for room in ROOMS for text in said_in(ROOT / room) if variables.fullmatch(text)}
    assert [name for name in {*read, *taken} - {"settings"} if f"`{name}`" not in written] == []


async def test_the_notebook_runs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its cells, one after the other, in one namespace; as in a notebook they may await at the top level."""
    notebook = json.loads((ROOT / "examples" / "09_watching.ipynb").read_text())
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), cell["id"], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if (waited := eval(code, names)) is not None:
                await waited
    said = capsys.readouterr().out
    assert "decided: 6" in said and "solved: True" in said
