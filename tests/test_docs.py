"""What the pages say is what the program does."""

import ast
import re
from pathlib import Path

import click
import pytest
from commands import COMMANDS, console_lines, parses, textvae, words

from textvae.catalogue import recipes
from textvae.cli import reference

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINES = [(page.name, line) for page in PAGES for line in console_lines(page)]
MODULES = sorted((ROOT / "textvae").rglob("*.py"))


@pytest.mark.parametrize(("name", "page"), [("cli.md", reference.command_page),
                                            ("settings.md", reference.settings_page)])
def test_a_written_page_is_fresh(name, page):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == page(), f"docs/{name} is stale: make docs"


@pytest.mark.parametrize(("page", "line"), [pair for pair in LINES if pair[1].startswith("textvae ")])
def test_a_command_of_a_page_parses(page, line):
    try:
        parses(words(line))
    except click.exceptions.Exit as stop:  # --help and --version end while they are parsed
        assert stop.exit_code == 0


@pytest.mark.parametrize("line", sorted({line for _, line in LINES if "--help" in line or "--version" in line}))
def test_a_quick_command_of_a_page_runs(line):
    assert textvae(*words(line)).code == 0


def test_other_commands_of_pages_are_known():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page, line in LINES:
        tool, *rest = line.split()
        assert tool in ("textvae", "pip") or (tool == "make" and set(rest) <= targets), f"{page}: {line}"


def test_the_pages_name_every_command_and_recipe():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `textvae (\w+)", readme, re.M) == [
        "run", "status", "show", "runs", "evaluate", "vary", "sample", "encode", "interpolate", "blend", "analogy",
        "complete", "augment", "diff", "lineage", "promote", "rollback", "pin", "unpin", "verify", "prune",
        "convert", "track", "export", "import", "push", "pull", "retrain", "watch", "schedule"]
    assert set(re.findall(r"^\| `textvae (\w+)", readme, re.M)) == set(COMMANDS)
    own = {name for name, path in recipes().items() if path.resolve().parent == ROOT / "pipelines"}
    assert own and own == set(re.findall(r"^\| `([\w-]+)` \|", readme, re.M))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = [] if not tree.body or ast.get_docstring(tree) else [path.name]
    for owner in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_")]:
        protocol = isinstance(owner, ast.ClassDef) and any(
            getattr(base, "id", getattr(getattr(base, "value", None), "id", "")) == "Protocol" for base in owner.bases)
        for node in owner.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_" and not protocol:
                bare += [] if ast.get_docstring(node) else [node.name]
    assert not bare


@pytest.mark.parametrize("path", [path for path in MODULES if "cli" not in path.parts], ids=lambda path: path.name)
def test_only_the_command_line_prints_or_exits(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("print", "exit", "sys.exit", "quit", "os._exit"), node.lineno
