"""The public workflows: they are YAML, and run the checks that the repository has."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BY_HAND = {"quick", "most", "fuzz", "soak"}
"""Sessions that take long, or whose tests are part of another one."""


def sessions() -> set[str]:
    """The names of the nox sessions."""
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(each).startswith("nox.session") for each in node.decorator_list)
    }


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_yaml(path: Path) -> None:
    """Each has jobs with steps, all of which do something."""
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load(path.read_text())
    assert workflow["jobs"]
    for job in workflow["jobs"].values():
        assert job["steps"]
        assert all("uses" in step or "run" in step for step in job["steps"])


@pytest.mark.skipif(not WORKFLOWS, reason="a source distribution has none")
def test_each_session_is_run_by_a_job() -> None:
    """None is forgotten, and none is run that there is not."""
    text = next(path for path in WORKFLOWS if path.name == "tests.yml").read_text()
    matrix = re.search(r"session:((?:\s+- \w+)+)", text)
    assert matrix is not None
    named = {*re.findall(r"- (\w+)", matrix[1]), *re.findall(r"nox -s (\w+)", text)}
    assert named == sessions() - BY_HAND
