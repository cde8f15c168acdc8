"""The layers of the package: imports point down only, and importing it stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mmssl"
LEVELS = [
    {"", "errors", "config", "files", "memory", "progress"},
    {"functional"},
    {"media"},
    {"data", "views", "models"},
    {"objectives", "retrieval", "propagation", "zeroshot"},
    {"training", "evaluation"},
    {"report"},
    {"stages"},
    {"cli", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}


def layer(module: str) -> str:
    """`mmssl.media.video` -> `media`; `mmssl` -> an empty string."""
    return [*module.split("."), ""][1]


def imports(path: Path) -> set[str]:
    """Every module of this package that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "mmssl" else {node.module}
            )
    return {name for name in found if name.split(".")[0] == "mmssl"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    own = "" if parts == ("__init__",) else parts[0]
    assert own in LEVEL, f"{own} has no place among the layers"
    for module in imports(path):
        other = layer(module)
        upwards = LEVEL.get(other, 0) > LEVEL[own]
        sideways = LEVEL.get(other, 0) == LEVEL[own] and other != own and LEVEL[own] > 0
        assert not upwards, f"{path.name} ({own}) imports {module}, a layer above it"
        assert not sideways, f"{path.name} ({own}) imports {module}, a layer beside it"


def test_only_media_imports_codecs_and_only_retrieval_imports_faiss() -> None:
    owners = {"av": "media", "decord": "media", "soundfile": "media", "faiss": "retrieval"}
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                assert owners.get(name.split(".")[0], own) == own, f"{path} imports {name}"


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after a statement."""
    script = f"import sys; {statement}; print(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return set(done.stdout.split())


def test_importing_the_package_is_light() -> None:
    heavy = {"av", "decord", "faiss", "matplotlib", "numba", "open_clip", "sklearn", "timm", "torchvision"}
    assert not loaded_by("import mmssl") & (heavy | {"torch"})
    assert not loaded_by("import mmssl.cli") & (heavy | {"torch"})
    assert "av" in loaded_by("import mmssl.media.video"), "the check sees what is imported"
