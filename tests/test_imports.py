"""Imports go one way: the table of ARCHITECTURE, proved on the syntax tree of every module."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "textvae"
BASE = {"errors", "seeds", "progress"}
# Part of textvae -> the parts that it may import, at the top of a module or inside a function. Who comes later may
# import who comes earlier, never the other way round.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "seeds": set(),
    "progress": set(),
    "config": {"errors"},
    "device": {"errors"},
    "meter": {"progress"},
    "data": {"errors"},
    "readers": {"errors", "data"},
    "text": {"errors", "data"},
    "metrics": set(),
    "classifier": set(),
    "plots": set(),
    "graphs": set(),
    "nn": {"graphs", *BASE},
    "decoding": {"device", "nn", *BASE},
    "workers": {"errors"},
    "distribution": {"device", "nn", "workers", *BASE},
    "journal": {"progress"},
    "constraints": {"config", "data", "errors", "text"},
    "writing": {"classifier", "constraints", "data", "decoding", "nn", "readers", "text", *BASE},
}
MAY_IMPORT["evaluate"] = {"classifier", "config", "constraints", "data", "decoding", "device", "metrics", "nn", "plots",
                          "text", "writing", *BASE}
MAY_IMPORT["stages"] = {*MAY_IMPORT}  # glue: all of the above
MAY_IMPORT |= {
    "manifests": {"errors"},
    "store": {"errors", "manifests"},
    "holding": set(),
    "catalogue": {"config", "errors", "store"},
    "scheduling": {"errors", "store"},
    # Stages by name, when they run.
    "planning": {"config", "manifests", "store", *BASE},
    "pipeline": {"catalogue", "config", "data", "device", "distribution", "meter", "planning", "store", "workers",
                 *BASE},
    "runs": {"catalogue", "config", "workers", "holding", "manifests", "pipeline", "planning", "store", *BASE},
    "upkeep": {"holding", "manifests", "runs", "store", *BASE},
    "compare": {"data", "runs", "store", *BASE},
    "lineage": {"runs", "store", *BASE},
    "retraining": {"config", "data", "device", "evaluate", "manifests", "pipeline", "planning", "runs", "text",
                   "stages", "store", *BASE},
    "formats": {"config", "data", "manifests", "nn", "planning", "runs", "store", "text", *BASE},
    "sharing": {"catalogue", "config", "data", "manifests", "planning", "runs", "store", "text", *BASE},
    "tracking": {"data", "formats", "manifests", "planning", "runs", "sharing", "store", *BASE},
    "__init__": {"device", "runs", "store", "writing", *BASE},
}
MAY_IMPORT["cli"] = {*MAY_IMPORT}  # inside functions, but for itself
MAY_IMPORT["__main__"] = {"cli"}
# These modules are slow to import or large; numpy is allowed everywhere but in the command line.
HEAVY = {"gensim", "jax", "keras", "matplotlib", "mlflow", "onnxruntime", "pandas", "pyarrow", "scipy", "sklearn",
         "tensorflow", "torch"}
SLOW_FOR_HELP = HEAVY | {"numpy", "h5py", "jinja2", "rich", "tokenizers", "selectolax"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    """The part of textvae that a file belongs to: its module, or its folder below textvae."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that is imported, a name taken from a module as module.name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts(names: Iterator[str]) -> set[str]:
    """The parts of textvae among imported names; a name taken from textvae itself counts for the package's own."""
    found = set()
    for name in names:
        top, _, rest = name.partition(".")
        inner = rest.partition(".")[0]
        if top == "textvae":
            found.add(inner if inner in {part(path) for path in MODULES} else "__init__")
    return found


def when_imported(tree: ast.Module) -> ast.Module:
    """The module without the bodies of its functions: what runs when it is imported."""
    class Strip(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            node.body = [ast.Pass()]
            return node

        visit_AsyncFunctionDef = visit_FunctionDef

        def visit_If(self, node: ast.If) -> ast.AST:
            is_typing = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return ast.Pass() if is_typing else self.generic_visit(node)

    return Strip().visit(ast.parse(ast.unparse(tree)))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_lies_above_it(path: Path):
    own = part(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = parts(imports(tree))
    assert own in MAY_IMPORT, f"{own} is not in the table: say there what it may import"
    assert inner <= MAY_IMPORT[own] | {own}, f"{own} may not import {inner - MAY_IMPORT[own] - {own}}"
    first = {name.split(".")[0] for name in imports(when_imported(tree))}
    assert own == "nn" or not HEAVY & first, f"import {HEAVY & first} inside the functions that need it"
    if own == "cli":
        assert parts(imports(when_imported(tree))) <= {"cli", "progress"} or path.name in ("bars.py", "reference.py")
        assert first <= {"click", "textvae", *sys.stdlib_module_names}


def test_the_table_goes_one_way():
    seen: set[str] = set()
    for own, may in MAY_IMPORT.items():
        assert may <= seen, f"{own} comes before {may - seen}"
        seen.add(own)
    assert seen >= {part(path) for path in MODULES}


@pytest.mark.parametrize("path", [path for path in MODULES if part(path) == "nn"], ids=lambda path: path.name)
def test_networks_run_on_every_backend(path: Path):
    names = {name.split(".")[0] for name in imports(ast.parse(path.read_text(encoding="utf-8")))}
    assert not names & {"tensorflow", "torch", "click"}


def test_the_check_sees_a_wrong_import(tmp_path: Path):
    wrong = ast.parse("def f():\n    from textvae.cli import main\n    import keras\n")
    assert set(imports(wrong)) == {"textvae.cli.main", "keras"}
    assert not list(imports(when_imported(wrong)))


@pytest.mark.parametrize("words, said", [(["--help"], "Commands:"), (["status", "quickstart"], "evaluation"),
                                         (["runs", "quickstart"], "started (UTC)")])
def test_what_computes_nothing_imports_nothing_heavy(words, said, tmp_path):
    (tmp_path / "models" / "quickstart").mkdir(parents=True)
    code = ("import sys; from textvae.cli import main\n"
            "try: main(sys.argv[2:])\n"
            "except SystemExit: print('heavy:', *set(sys.argv[1].split(',')) & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code, ",".join(SLOW_FOR_HELP), *words], capture_output=True, text=True,
                          check=True, cwd=tmp_path)
    assert said in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split() == ["heavy:"]
