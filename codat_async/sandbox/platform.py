"""Answers the Platform API around the books: companies, connections, settings and refreshes."""

import secrets
from collections.abc import Mapping
from typing import Any

from codat_async import models
from codat_async.models import Company, Connection, ConnectionStatus, DataType
from codat_async.operations.base import data_type_of
from codat_async.sandbox.books import RESOURCES
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.reads import Reads, find
from codat_async.sandbox.replies import ApiError, Reply, json_reply, now
from codat_async.sandbox.state import CompanyState, State
from codat_async.sandbox.syncs import ACCOUNTING_TYPES

_NOTHING = Reply(status=204, content_type=None)
_TOKEN_LIFETIME = 86400
_MOST_FINDINGS = 50


class Platform:
    """The handlers of the Platform API's operations."""

    def __init__(self, state: State, reads: Reads) -> None:
        self._state = state
        self._reads = reads
        self._made = 0

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by ``resource.name``."""
        return {
            "companies.list": self._companies,
            "companies.create": self._create_company,
            "companies.get": lambda call: json_reply(self._company(call).company),
            "companies.replace": self._replace_company,
            "companies.update": self._update_company,
            "companies.delete": self._delete_company,
            "companies.add_product": self._add_product,
            "companies.remove_product": self._remove_product,
            "companies.refresh_product_data": self._refresh_product,
            "companies.get_access_token": self._access_token,
            "companies.get_sync_settings": self._sync_settings,
            "companies.set_sync_settings": self._set_sync_settings,
            "connections.list": lambda call: self._reads.page(call, self._company(call).connections),
            "connections.create": self._create_connection,
            "connections.get": lambda call: json_reply(self._connection(call)),
            "connections.delete": self._delete_connection,
            "connections.unlink": self._unlink,
            "connections.update_authorization": self._authorise,
            "refresh_data.all": self._refresh_all,
            "refresh_data.by_data_type": self._refresh_one,
            "refresh_data.get": lambda call: json_reply(self._company(call).syncs.status()),
            "refresh_data.list_pull_operations": lambda call: self._reads.page(
                call, self._company(call).syncs.history
            ),
            "refresh_data.get_pull_operation": self._pull_operation,
            "company_info.refresh": self._refresh_info,
            "read_data.get_validation_results": self._validation_results,
        }

    def _company(self, call: Call) -> CompanyState:
        return self._state.company(call.company_id)

    def _connection(self, call: Call) -> Connection:
        return self._company(call).connection(call.ids["connectionId"])

    def _new_id(self) -> str:
        self._made += 1
        return self._state.new_id(f"made/{self._made}")

    def _companies(self, call: Call) -> Reply:
        tags, query = call.parameters.get("tags"), call.parameters.get("query")
        if query and "pageSize" not in call.parameters:
            raise ApiError(400, "pageSize is required with a query.")
        if tags:
            narrowing = "&&".join(f"tags.{pair.strip()}" for pair in tags.split(","))
            call.parameters["query"] = f"{{{query}}}&&{narrowing}" if query else narrowing
        return self._reads.page(call, self._state.companies)

    def _create_company(self, call: Call) -> Reply:
        wanted = call.decode(models.CompanyRequest)
        company_id = self._new_id()
        company = Company(
            id=company_id,
            name=_named(wanted.name),
            description=wanted.description,
            tags=wanted.tags,
            redirect=f"https://link.codat.io/company/{company_id}",
            created=now(),
            created_by_user_name="Sandbox",
            products=[],
            data_connections=[],
        )
        self._state.add(company)
        return json_reply(company)

    def _replace_company(self, call: Call) -> Reply:
        wanted = call.decode(models.CompanyRequest)
        return self._change_company(
            call, name=_named(wanted.name), description=wanted.description, tags=wanted.tags
        )

    def _update_company(self, call: Call) -> Reply:
        wanted = call.decode(models.CompanyUpdateRequest)
        if wanted.name is not None:
            _named(wanted.name)
        fields = {"name": wanted.name, "description": wanted.description, "tags": wanted.tags}
        return self._change_company(
            call, **{name: value for name, value in fields.items() if value is not None}
        )

    def _change_company(self, call: Call, **fields: Any) -> Reply:
        company = self._company(call).company
        for name, value in fields.items():
            setattr(company, name, value)
        self._state.companies.changed()
        return json_reply(company)

    def _delete_company(self, call: Call) -> Reply:
        self._state.remove(call.company_id)
        return _NOTHING

    def _add_product(self, call: Call) -> Reply:
        self._remove_product(call)
        company = self._company(call).company
        company.products = [*(company.products or ()), call.ids["productIdentifier"]]
        return _NOTHING

    def _remove_product(self, call: Call) -> Reply:
        company = self._company(call).company
        product = call.ids["productIdentifier"]
        self._change_company(call, products=[each for each in company.products or () if each != product])
        return _NOTHING

    def _refresh_product(self, call: Call) -> Reply:
        data_types = list(ACCOUNTING_TYPES)
        if call.payload:
            asked = call.decode(models.ProductRefreshRequest).data_types
            if asked is not None:
                data_types = [_data_type(each) for each in asked]
        company = self._company(call)
        connection = company.linked()
        for each in data_types:
            if not company.syncs.is_running(each):
                company.syncs.queue(each, connection)
        return Reply(status=202, content_type=None)

    def _access_token(self, call: Call) -> Reply:
        self._company(call)
        token = secrets.token_urlsafe(32)
        return json_reply(
            models.CompanyAccessToken(access_token=token, expires_in=_TOKEN_LIFETIME, token_type="Bearer")
        )

    def _sync_settings(self, call: Call) -> Reply:
        company = self._company(call)
        return json_reply(company.sync_settings or _default_settings(company.id))

    def _set_sync_settings(self, call: Call) -> Reply:
        company = self._company(call)
        wanted: models.CompanySyncSettings = call.decode(models.CompanySyncSettings)
        if wanted.settings is None or wanted.overrides_defaults is None or wanted.company_id is None:
            raise ApiError(400, "companyId, settings and overridesDefaults must be set.")
        if wanted.company_id != company.id:
            raise ApiError(400, "The companyId of the settings is not that of the address.")
        company.sync_settings = wanted
        return _NOTHING

    def _create_connection(self, call: Call) -> Reply:
        company = self._company(call)
        # The published SDK sends the key's text alone; the API's documents show an object.
        wanted = call.decode(models.ConnectionRequest | str | None)
        key = wanted.platform_key if isinstance(wanted, models.ConnectionRequest) else wanted
        connection_id = self._new_id()
        connection = Connection(
            id=connection_id,
            integration_id=self._state.new_id(f"integration/{key}"),
            integration_key=key or "gbol",
            source_id=self._state.new_id(f"source/{key}"),
            source_type=models.SourceType.ACCOUNTING,
            platform_name="Sandbox platform",
            link_url=f"https://link.codat.io/companies/{company.id}/connections/{connection_id}/start",
            status=ConnectionStatus.PENDING_AUTH,
            created=now(),
        )
        company.connections.add(connection)
        company.connections_changed()
        self._state.events.connection("created", company.company, connection)
        return json_reply(connection)

    def _delete_connection(self, call: Call) -> Reply:
        company = self._company(call)
        connection = self._connection(call)
        company.connections.records.remove(connection)
        company.connections_changed()
        self._state.events.connection("deleted", company.company, connection)
        return Reply(content_type=None)

    def _unlink(self, call: Call) -> Reply:
        wanted = call.decode(models.UpdateConnectionStatus)
        if wanted.status is not None and not wanted.status.is_known:
            raise ApiError(400, f"'{wanted.status[:50]}' is not a status of a connection.")
        return self._set_status(call, wanted.status)

    def _authorise(self, call: Call) -> Reply:
        call.decode(dict[str, Any] | None)
        return self._set_status(call, ConnectionStatus.LINKED)

    def _set_status(self, call: Call, status: ConnectionStatus | None) -> Reply:
        company, connection = self._company(call), self._connection(call)
        if status == ConnectionStatus.LINKED:
            company.link(connection)
        elif status is not None:
            company.unlink(connection, status)
        return json_reply(connection)

    def _refresh_all(self, call: Call) -> Reply:
        company = self._company(call)
        company.sync_all(company.linked())
        return _NOTHING

    def _refresh_one(self, call: Call) -> Reply:
        company, data_type = self._company(call), _data_type(call.ids["dataType"])
        connection_id = call.parameters.get("connectionId")
        connection = company.connection(connection_id) if connection_id else company.linked()
        return json_reply(company.syncs.queue(data_type, connection))

    def _refresh_info(self, call: Call) -> Reply:
        company = self._company(call)
        pull = company.syncs.queue(DataType.COMPANY, company.linked())
        names = set(models.Dataset.__struct_fields__) & set(models.PullOperation.__struct_fields__)
        return json_reply(models.Dataset(**{name: getattr(pull, name) for name in names}))

    def _pull_operation(self, call: Call) -> Reply:
        return json_reply(self._found(call))

    def _found(self, call: Call) -> models.PullOperation:
        pull: models.PullOperation = find(
            self._company(call).syncs.history, "pull operations", call.ids["datasetId"]
        )
        return pull

    def _validation_results(self, call: Call) -> Reply:
        company, pull = self._company(call), self._found(call)
        errors, warnings = [], []
        if pull.status == models.DatasetStatus.VALIDATION_ERROR:
            errors.append(_finding("", "DatasetIsConsistent", "The data set could not be validated."))
        elif pull.is_completed and company.books is not None:
            for resource in RESOURCES:
                if data_type_of(resource) == pull.data_type:
                    for record in company.collection(resource).records:
                        if not _adds_up(record):
                            message = "The line items do not add up to the sub total."
                            warnings.append(_finding(record.id, "LineItemsAddUp", message))
        return json_reply(models.Validation(errors=errors, warnings=warnings[:_MOST_FINDINGS]))


def _adds_up(record: Any) -> bool:
    lines, sub_total = getattr(record, "line_items", None), getattr(record, "sub_total", None)
    if not lines or sub_total is None or any(line.sub_total is None for line in lines):
        return True
    return bool(sum(line.sub_total for line in lines) == sub_total)


def _finding(item_id: str, rule_id: str, message: str) -> models.ValidationItem:
    return models.ValidationItem(
        rule_id=rule_id, item_id=item_id, message=message, validator_name="SandboxValidator"
    )


def _named(name: str) -> str:
    if not name.strip():
        raise ApiError(400, "A company must have a name.")
    return name


def _data_type(name: str) -> DataType:
    data_type = DataType(name)
    if data_type not in ACCOUNTING_TYPES:
        raise ApiError(404, f"Datatype '{name[:50]}' is not supported by the company's platform.")
    return data_type


def _default_settings(company_id: str) -> models.CompanySyncSettings:
    return models.CompanySyncSettings(
        company_id=company_id,
        overrides_defaults=False,
        settings=[
            models.SyncSetting(
                data_type=data_type,
                fetch_on_first_link=True,
                sync_schedule=24,
                sync_order=place,
                months_to_sync=24,
                is_locked=False,
            )
            for place, data_type in enumerate(ACCOUNTING_TYPES)
        ],
    )
