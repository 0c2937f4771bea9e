"""What help(), an editor and the page of operations say of each operation."""

import ast
import re
from inspect import getdoc
from pathlib import Path

import pytest

from codat_async import Codat, facts
from codat_async.codec import records
from codat_async.operations.base import Operation
from codat_async.resources import catalogue
from tools import resource_stub, sync_stub

CATALOGUE = {each.label: each for each in catalogue()}


@pytest.mark.parametrize("label", CATALOGUE)
def test_every_operation_has_a_line(label: str) -> None:
    """It is the first paragraph of help(), one sentence or two, and the last word on what it is for."""
    operation = CATALOGUE[label]
    line = facts.fact(label, operation.model, operation.body_model)
    assert line.endswith(".")
    assert "{" not in line
    assert (getdoc(operation) or "").split("\n\n")[0] == line


def test_lines_name_operations_that_exist() -> None:
    """None is left of an operation that was renamed."""
    assert facts._FACTS.keys() <= CATALOGUE.keys()
    assert facts._NOUNS.keys() <= {each.resource for each in CATALOGUE.values()}
    assert facts._VERBS.keys() <= {each.name for each in CATALOGUE.values()}


@pytest.mark.parametrize("label", [label for label in CATALOGUE if label.endswith(".list")])
def test_fields_of_a_query_are_fields_of_the_record(label: str) -> None:
    """By their names on the wire; dots lead into objects."""
    operation = CATALOGUE[label]
    line = facts.fact(label, operation.model)
    named = re.findall(r"``([\w.]+)``", line.partition("compares")[2])
    assert len(named) >= 3
    assert {each.partition(".")[0] for each in named} <= set(records._attribute_names(operation.model))


def test_lines_of_invoices() -> None:
    """What can be filtered, and what must be there."""
    assert facts.fact("invoices.list", CATALOGUE["invoices.list"].model).startswith(
        "What customers were invoiced, paid or not; ``query`` compares ``status``, "
    )
    body = CATALOGUE["bills.create"].body_model
    assert "``issue_date``, ``status``, ``sub_total``, ``tax_amount``" in facts.fact(
        "bills.create", body, body
    )
    assert facts.fact("loans.list", body) == ""


def test_a_resource_says_what_it_is() -> None:
    """help(codat.invoices), and each group of the catalogue."""
    codat = Codat("key")
    assert codat.invoices.__doc__ == "What customers were invoiced: owed to the company."
    for operation in CATALOGUE.values():
        assert getattr(codat, operation.resource).__doc__


def test_stub_of_the_catalogue_is_what_the_generator_makes() -> None:
    """Each operation is a method with its line; run ``python -m tools.resource_stub`` after a change."""
    text = resource_stub.STUB.read_text()
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(resource_stub.make_stub()))


@pytest.mark.parametrize("stub", [resource_stub.STUB, sync_stub.STUB], ids=["async", "sync"])
def test_editors_show_the_line(stub: Path) -> None:
    """Every method of the stubs has it."""
    methods = {
        f"{owner.name.lstrip('_').lower()}.{method.name}": " ".join((ast.get_docstring(method) or "").split())
        for owner in ast.parse(stub.read_text()).body
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    missing = {
        label
        for label, each in CATALOGUE.items()
        if methods.get(label.replace("_", "", label.partition(".")[0].count("_"))) != _line(each)
    }
    assert missing == set()


def _line(operation: Operation) -> str:
    return facts.fact(operation.label, operation.model, operation.body_model)
