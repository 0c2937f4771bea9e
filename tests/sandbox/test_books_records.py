"""The records of the sandbox's books: sums agree, references resolve, and the same seed makes them again."""

import time
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from codat_async.models import AccountTransaction, Company, ConnectionStatus
from codat_async.sandbox.books import REFERENCE_DATE, RESOURCES, Books, CompanyBooks
from codat_async.sandbox.books.attachments import content
from codat_async.sandbox.books.profile import SIZES

COMPANIES = 6

DOCUMENTS = ("invoices", "bills", "credit_notes", "bill_credit_notes", "direct_costs", "direct_incomes")
ORDERS = ("sales_orders", "purchase_orders")


@pytest.fixture(scope="module")
def books() -> Books:
    return Books(companies=COMPANIES)


@pytest.fixture(scope="module", params=range(COMPANIES))
def company(books: Books, request: pytest.FixtureRequest) -> CompanyBooks:
    return books.company(books.company_ids[request.param])


def ids(company: CompanyBooks, resource: str) -> set[str]:
    return {record.id for record in company.records(resource)}


def total_tax(record: Any) -> Decimal:
    tax: Decimal = record.tax_amount if hasattr(record, "tax_amount") else record.total_tax_amount
    return tax


@pytest.mark.parametrize("resource", [*DOCUMENTS, *ORDERS])
def test_lines_and_headers_add_up(company: CompanyBooks, resource: str) -> None:
    for record in company.records(resource):
        for line in record.line_items:
            assert line.sub_total == line.quantity * line.unit_amount - line.discount_amount
            assert line.total_amount == line.sub_total + line.tax_amount
        assert record.sub_total == sum(line.sub_total for line in record.line_items)
        assert total_tax(record) == sum(line.tax_amount for line in record.line_items)
        assert record.total_amount == record.sub_total + total_tax(record)
        if hasattr(record, "total_discount"):
            assert record.total_discount == sum(line.discount_amount for line in record.line_items)
        assert 1 <= len(record.line_items) <= 7


def test_tax_is_the_rate_of_the_line_to_the_nearest_cent(company: CompanyBooks) -> None:
    for record in company.records("invoices"):
        for line in record.line_items:
            exact = line.sub_total * line.tax_rate_ref.effective_tax_rate / 100
            assert abs(line.tax_amount - exact) <= Decimal("0.005")


@pytest.mark.parametrize(
    ("resource", "unpaid"),
    [("invoices", "Submitted"), ("bills", "Open")],
)
def test_what_is_due_and_the_status_follow_from_the_allocations(
    company: CompanyBooks, resource: str, unpaid: str
) -> None:
    for record in company.records(resource):
        allocated = sum(each.allocation.total_amount for each in record.payment_allocations)
        if record.status == "Void":
            assert record.amount_due == 0
            assert not allocated
            continue
        assert record.amount_due == record.total_amount - allocated
        assert record.amount_due >= 0
        if record.status == "Draft":
            assert not allocated
        elif record.amount_due == 0:
            assert record.status == "Paid"
        else:
            assert record.status == ("PartiallyPaid" if allocated else unpaid)
        if resource == "invoices":
            assert (record.paid_on_date is not None) == (record.status == "Paid")
            assert record.paid_on_date is None or record.paid_on_date >= record.issue_date


@pytest.mark.parametrize("resource", ["credit_notes", "bill_credit_notes"])
def test_remaining_credit_follows_from_the_allocations(company: CompanyBooks, resource: str) -> None:
    for note in company.records(resource):
        used = sum(each.allocation.total_amount for each in note.payment_allocations)
        if note.status == "Void":
            assert note.remaining_credit == 0
            continue
        assert note.remaining_credit == note.total_amount - used >= 0
        assert (note.status == "Paid") == (note.remaining_credit == 0)
        assert (note.allocated_on_date is not None) == bool(note.payment_allocations)


@pytest.mark.parametrize(
    ("payments", "documents", "notes", "link_type"),
    [
        ("payments", "invoices", "credit_notes", "Invoice"),
        ("bill_payments", "bills", "bill_credit_notes", "Bill"),
    ],
)
def test_payments_and_what_they_settle_say_the_same(
    company: CompanyBooks, payments: str, documents: str, notes: str, link_type: str
) -> None:
    said_by_payments: Counter[tuple[str, str, Decimal]] = Counter()
    for payment in company.records(payments):
        assert payment.total_amount == sum(line.amount for line in payment.lines)
        for line in payment.lines:
            linked = sum(link.amount for link in line.links)
            assert line.amount + linked == 0
            for link in line.links:
                if link.type == link_type:
                    said_by_payments[payment.id, link.id, -link.amount] += 1
                elif link.type == "CreditNote":
                    said_by_payments[payment.id, link.id, link.amount] += 1
    said_by_records: Counter[tuple[str, str, Decimal]] = Counter()
    for resource in (documents, notes):
        for record in company.records(resource):
            for each in record.payment_allocations:
                said_by_records[each.payment.id, record.id, each.allocation.total_amount] += 1
    assert said_by_payments == said_by_records


def test_references_resolve(company: CompanyBooks) -> None:
    by_field = {
        "account_ref": "accounts",
        "bank_account_ref": "bank_accounts",
        "customer_ref": "customers",
        "supplier_ref": "suppliers",
        "item_ref": "items",
        "tax_rate_ref": "tax_rates",
        "payment_method_ref": "payment_methods",
        "journal_ref": "journals",
    }
    by_list = {"tracking_category_refs": "tracking_categories", "category_refs": "tracking_categories"}
    by_data_type = {name.replace("_", ""): name for name in RESOURCES}
    known = {resource: ids(company, resource) for resource in RESOURCES}
    seen: Counter[str] = Counter()

    def check(value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                check(each)
            return
        if not isinstance(value, msgspec.Struct):
            return
        for name in value.__struct_fields__:
            inner = getattr(value, name)
            if inner is None:
                continue
            if name in by_field:
                assert inner.id in known[by_field[name]], (name, inner)
                seen[name] += 1
            elif name in by_list:
                assert all(each.id in known[by_list[name]] for each in inner)
                seen[name] += len(inner)
            elif name == "purchase_order_refs":
                assert all(each.id in known["purchase_orders"] for each in inner)
                seen[name] += len(inner)
            elif getattr(inner, "data_type", None) is not None:
                assert inner.id in known[by_data_type[inner.data_type.lower()]], (name, inner)
                seen[name] += 1
            else:
                if name == "payment" and inner.id is not None:
                    assert inner.id in known["payments"] | known["bill_payments"]
                check(inner)

    for resource in RESOURCES:
        check(company.records(resource))
    assert set(by_field) | set(by_list) | {"purchase_order_refs", "record_ref", "contact_ref"} <= set(seen)


def test_ids_are_unique(company: CompanyBooks) -> None:
    for resource in RESOURCES:
        assert len(ids(company, resource)) == len(company.records(resource)) > 0


def test_dates_lie_before_the_reference_date_and_in_order(company: CompanyBooks) -> None:
    for resource in RESOURCES:
        for record in company.records(resource):
            assert record.modified_date.tzinfo is not None
            assert record.modified_date >= record.source_modified_date
            issued = getattr(record, "issue_date", None) or getattr(record, "date_", None)
            if issued is not None:
                assert issued.tzinfo is None
                assert issued.date() <= REFERENCE_DATE
    spread = {record.issue_date.year for record in company.records("invoices")}
    assert spread == {2023, 2024, 2025, 2026}


def test_only_drafts_and_void_documents_are_deleted() -> None:
    books = Books(companies=1, size=600)
    company = books.company(books.company_ids[0])
    for resource in ("invoices", "bills", "credit_notes", "bill_credit_notes"):
        deleted = [record for record in company.records(resource) if record.is_deleted]
        assert 0 < len(deleted) < 60
        assert {record.status for record in deleted} <= {"Draft", "Void"}


def test_one_company_has_ids_that_need_escaping(books: Books) -> None:
    talkative = books.company(books.company_ids[2])
    text = "".join(ids(talkative, "invoices"))
    assert set("/#?% é&+") <= set(text)
    assert all("/" not in each for each in ids(books.company(books.company_ids[0]), "invoices"))


def test_some_amounts_have_many_digits(company: CompanyBooks) -> None:
    amounts = [line.unit_amount for order in company.records("sales_orders") for line in order.line_items]
    amounts += [line.unit_amount for each in company.records("invoices") for line in each.line_items]
    assert any(-amount.as_tuple().exponent > 4 for amount in amounts)


def test_company_connection_and_info_belong_together(company: CompanyBooks, books: Books) -> None:
    assert company.company.id in books.company_ids
    assert company.company.data_connections == list(company.connections)
    assert company.connections[0].status is ConnectionStatus.LINKED
    assert company.info.company_name == company.company.name
    assert company.info.base_currency == company.records("accounts")[-1].currency
    assert msgspec.json.decode(msgspec.json.encode(company.company), type=Company) == company.company


def test_some_companies_have_a_second_connection_and_trade_abroad(books: Books) -> None:
    each = [books.company(company_id) for company_id in books.company_ids]
    assert {len(company.connections) for company in each} == {1, 2}
    assert len({company.info.base_currency for company in each}) == 3
    currencies = [{invoice.currency for invoice in company.records("invoices")} for company in each]
    assert {len(names) for names in currencies} == {1, 2}


def test_tracking_categories_form_trees(company: CompanyBooks) -> None:
    tree = company.tracking_category_tree(company.records("tracking_categories")[0].id)
    assert tree.sub_categories
    assert all(each.parent_id == tree.id for each in tree.sub_categories)
    assert tree.sub_categories[0].sub_categories
    with pytest.raises(KeyError):
        company.tracking_category_tree("none")


def test_unknown_names_raise(books: Books) -> None:
    company = books.company(books.company_ids[0])
    with pytest.raises(KeyError):
        company.records("unicorns")
    with pytest.raises(KeyError):
        company.bank_transactions("none")
    with pytest.raises(KeyError):
        books.company("none")
    with pytest.raises(ValueError, match="unicorns"):
        Books(sizes={"unicorns": 3})


# --- attachments -----------------------------------------------------------------------------


def test_a_few_records_have_files_of_the_size_they_say(company: CompanyBooks) -> None:
    held = [company.attachments("invoices", each.id) for each in company.records("invoices")]
    files = [file for files in held for file in files]
    assert 0 < len(files) < len(held) / 2
    for file in files:
        held_bytes = content(file)
        assert len(held_bytes) == file.file_size
        assert held_bytes == content(file)
        if file.content_type == "application/pdf":
            start = int(held_bytes.rpartition(b"startxref\n")[2].split()[0])
            assert held_bytes[start:].startswith(b"xref")


def test_the_files_of_a_record_are_kept_and_new_records_have_none(books: Books) -> None:
    company = books.company(books.company_ids[0])
    assert company.attachments("bills", "new") == []
    company.attachments("bills", "new").append(company.attachments("bills", "other"))  # type: ignore[arg-type]
    assert len(company.attachments("bills", "new")) == 1
    with pytest.raises(KeyError):
        company.attachments("unicorns", "1")


# --- sizes, speed, determinism ---------------------------------------------------------------


def dump(company: CompanyBooks, resources: list[str]) -> dict[str, bytes]:
    return {resource: msgspec.json.encode(company.records(resource)) for resource in resources}


def test_the_same_seed_gives_the_same_bytes_in_any_order() -> None:
    for index in range(3):
        one, two = Books(), Books()
        assert one.company_ids == two.company_ids
        forward = dump(one.company(one.company_ids[index]), list(RESOURCES))
        backward = dump(two.company(two.company_ids[index]), list(reversed(RESOURCES)))
        assert forward == backward


def test_another_seed_gives_other_books() -> None:
    one, two = Books(seed=1), Books(seed=2)
    assert not set(one.company_ids) & set(two.company_ids)
    first, second = (books.company(books.company_ids[0]) for books in (one, two))
    assert first.company.name != second.company.name
    assert dump(first, ["invoices"]) != dump(second, ["invoices"])


def test_a_company_is_the_same_among_few_and_among_many() -> None:
    few, many = Books(companies=1), Books(companies=50)
    company_id = few.company_ids[0]
    assert dump(few.company(company_id), ["bills"]) == dump(many.company(company_id), ["bills"])


def test_generated_records_do_not_depend_on_what_was_written_before() -> None:
    plain, written = (books.company(books.company_ids[0]) for books in (Books(), Books()))
    written.records("customers").clear()
    written.records("items").pop()
    assert dump(plain, ["invoices"]) == dump(written, ["invoices"])


def test_a_size_is_met_by_every_type_that_is_long() -> None:
    books = Books(companies=2, size=25)
    for company_id in books.company_ids:
        company = books.company(company_id)
        for resource in SIZES:
            assert len(company.records(resource)) == 25, resource


@pytest.mark.parametrize("resource", SIZES)
def test_the_size_of_one_type_is_met_and_leaves_the_others_alone(resource: str) -> None:
    books = Books(companies=1, size=20, sizes={resource: 230})
    company = books.company(books.company_ids[0])
    assert len(company.records(resource)) == 230
    other = "suppliers" if resource == "customers" else "customers"
    assert len(company.records(other)) == 20


@pytest.mark.parametrize("size", [0, 1, 2])
def test_tiny_books_still_hold_together(size: int) -> None:
    books = Books(companies=3, size=size)
    for company_id in books.company_ids:
        company = books.company(company_id)
        for resource in RESOURCES:
            assert len(company.records(resource)) >= 0
        sheet = company.statements.balance_sheet(1, 1).reports[0]
        assert sheet.equity is not None
        assert sheet.net_assets == sheet.equity.value


def test_many_companies_cost_nothing_until_they_are_used() -> None:
    started = time.perf_counter()
    books = Books(companies=1000)
    assert time.perf_counter() - started < 1
    started = time.perf_counter()
    assert len({books.company(company_id).company.id for company_id in books.company_ids}) == 1000
    assert time.perf_counter() - started < 2


def test_asking_for_customers_makes_nothing_else() -> None:
    books = Books(companies=1, sizes={"invoices": 10_000_000, "customers": 5})
    assert len(books.company(books.company_ids[0]).records("customers")) == 5


def test_a_thousand_invoices_are_quick() -> None:
    books = Books(companies=1, sizes={"invoices": 1000})
    started = time.perf_counter()
    assert len(books.company(books.company_ids[0]).records("invoices")) == 1000
    assert time.perf_counter() - started < 0.5


def test_a_list_is_always_the_same_one(books: Books) -> None:
    company = books.company(books.company_ids[0])
    for resource in RESOURCES:
        assert company.records(resource) is company.records(resource)
    assert isinstance(company.records("account_transactions")[0], AccountTransaction)
