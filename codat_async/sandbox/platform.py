"""Answers the Platform API around the books: companies, connections, settings and refreshes."""

import secrets
from collections.abc import Mapping
from typing import Any

from codat_async import models
from codat_async.models import Company, Connection, ConnectionStatus, DataType
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.errors import ApiError
from codat_async.sandbox.reads import Reads
from codat_async.sandbox.replies import Reply, json_reply, now
from codat_async.sandbox.state import ACCOUNTING_TYPES, CompanyState, World

__all__ = ["Platform"]

_NOTHING = Reply(status=204, content_type=None)
_TOKEN_LIFETIME = 86400


class Platform:
    """The handlers of the Platform API's operations."""

    def __init__(self, world: World, reads: Reads) -> None:
        self._world = world
        self._reads = reads
        self._made = 0

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by ``resource.name``."""
        return {
            "companies.list": lambda call: self._companies(call),
            "companies.create": self._create_company,
            "companies.get": lambda call: json_reply(self._world.company(call.company_id).company),
            "companies.replace": self._replace_company,
            "companies.update": self._update_company,
            "companies.delete": self._delete_company,
            "companies.add_product": self._add_product,
            "companies.remove_product": self._remove_product,
            "companies.refresh_product_data": self._refresh_product,
            "companies.get_access_token": self._access_token,
            "companies.get_sync_settings": self._sync_settings,
            "companies.set_sync_settings": self._set_sync_settings,
            "connections.list": lambda call: self._reads.page(call, self._state(call).connections),
            "connections.create": self._create_connection,
            "connections.get": lambda call: json_reply(self._connection(call)),
            "connections.delete": self._delete_connection,
            "connections.unlink": self._unlink,
            "connections.update_authorization": self._authorise,
            "refresh_data.all": self._refresh_all,
            "refresh_data.by_data_type": self._refresh_one,
            "refresh_data.get": lambda call: json_reply(dict(self._state(call).data_status())),
            "refresh_data.list_pull_operations": lambda call: self._reads.page(call, self._state(call).pulls),
            "refresh_data.get_pull_operation": self._pull_operation,
            "company_info.refresh": self._refresh_info,
            "read_data.get_validation_results": self._validation_results,
        }

    def _state(self, call: Call) -> CompanyState:
        return self._world.company(call.company_id)

    def _connection(self, call: Call) -> Connection:
        return self._state(call).connection(call.ids["connectionId"])

    def _new_id(self) -> str:
        self._made += 1
        return self._world.new_id(f"made/{self._made}")

    # --- companies ---------------------------------------------------------------------

    def _companies(self, call: Call) -> Reply:
        tags = call.parameters.get("tags")
        if tags:
            narrowing = "&&".join(f"tags.{pair.strip()}" for pair in tags.split(","))
            query = call.parameters.get("query")
            call.parameters["query"] = f"{{{query}}}&&{narrowing}" if query else narrowing
        return self._reads.page(call, self._world.companies)

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
        self._world.add(company)
        return json_reply(company)

    def _replace_company(self, call: Call) -> Reply:
        company = self._state(call).company
        wanted = call.decode(models.CompanyRequest)
        company.name = _named(wanted.name)
        company.description = wanted.description
        company.tags = wanted.tags
        self._world.companies.changed()
        return json_reply(company)

    def _update_company(self, call: Call) -> Reply:
        company = self._state(call).company
        wanted = call.decode(models.CompanyUpdateRequest)
        if wanted.name is not None:
            company.name = _named(wanted.name)
        if wanted.description is not None:
            company.description = wanted.description
        if wanted.tags is not None:
            company.tags = wanted.tags
        self._world.companies.changed()
        return json_reply(company)

    def _delete_company(self, call: Call) -> Reply:
        self._world.remove(call.company_id)
        return _NOTHING

    def _add_product(self, call: Call) -> Reply:
        company = self._state(call).company
        product = call.ids["productIdentifier"]
        if product not in (company.products or ()):
            company.products = [*(company.products or ()), product]
            self._world.companies.changed()
        return _NOTHING

    def _remove_product(self, call: Call) -> Reply:
        company = self._state(call).company
        product = call.ids["productIdentifier"]
        company.products = [each for each in company.products or () if each != product]
        self._world.companies.changed()
        return _NOTHING

    def _refresh_product(self, call: Call) -> Reply:
        state = self._state(call)
        data_types = list(ACCOUNTING_TYPES)
        if call.payload:
            asked = call.decode(models.ProductRefreshRequest).data_types
            if asked is not None:
                data_types = [_data_type(each) for each in asked]
        for each in data_types:
            state.pull(each, None)
        return Reply(status=202, content_type=None)

    def _access_token(self, call: Call) -> Reply:
        self._state(call)
        return json_reply(
            models.CompanyAccessToken(
                access_token=secrets.token_urlsafe(32), expires_in=_TOKEN_LIFETIME, token_type="Bearer"
            )
        )

    def _sync_settings(self, call: Call) -> Reply:
        state = self._state(call)
        return json_reply(state.sync_settings or _default_settings(state.id))

    def _set_sync_settings(self, call: Call) -> Reply:
        state = self._state(call)
        wanted: models.CompanySyncSettings = call.decode(models.CompanySyncSettings)
        if wanted.settings is None or wanted.overrides_defaults is None or wanted.company_id is None:
            raise ApiError(400, "companyId, settings and overridesDefaults must be set.")
        if wanted.company_id != state.id:
            raise ApiError(400, "The companyId of the settings is not that of the address.")
        state.sync_settings = wanted
        return _NOTHING

    # --- connections -------------------------------------------------------------------

    def _create_connection(self, call: Call) -> Reply:
        state = self._state(call)
        # The API's own SDK sends the key's text alone where its documents show an object.
        wanted = call.decode(models.ConnectionRequest | str | None)
        key = wanted.platform_key if isinstance(wanted, models.ConnectionRequest) else wanted
        connection_id = self._new_id()
        connection = Connection(
            id=connection_id,
            integration_id=self._world.new_id(f"integration/{key}"),
            integration_key=key or "gbol",
            source_id=self._world.new_id(f"source/{key}"),
            source_type=models.SourceType.ACCOUNTING,
            platform_name="Sandbox platform",
            link_url=f"https://link.codat.io/companies/{state.id}/connections/{connection_id}/start",
            status=ConnectionStatus.PENDING_AUTH,
            created=now(),
        )
        state.connections.add(connection)
        self._connections_changed(state)
        return json_reply(connection)

    def _delete_connection(self, call: Call) -> Reply:
        state = self._state(call)
        connection = self._connection(call)
        state.connections.records.remove(connection)
        self._connections_changed(state)
        return Reply(content_type=None)

    def _unlink(self, call: Call) -> Reply:
        connection = self._connection(call)
        wanted = call.decode(models.UpdateConnectionStatus)
        if wanted.status is not None:
            if not wanted.status.is_known:
                raise ApiError(400, f"'{wanted.status[:50]}' is not a status of a connection.")
            connection.status = wanted.status
        self._connections_changed(self._state(call))
        return json_reply(connection)

    def _authorise(self, call: Call) -> Reply:
        connection = self._connection(call)
        call.decode(dict[str, Any] | None)
        connection.status = ConnectionStatus.LINKED
        self._connections_changed(self._state(call))
        return json_reply(connection)

    def _connections_changed(self, state: CompanyState) -> None:
        state.connections_changed()
        self._world.companies.changed()

    # --- refreshes ---------------------------------------------------------------------

    def _refresh_all(self, call: Call) -> Reply:
        state = self._state(call)
        for data_type in ACCOUNTING_TYPES:
            state.pull(data_type, None)
        return _NOTHING

    def _refresh_one(self, call: Call) -> Reply:
        data_type = _data_type(call.ids["dataType"])
        return json_reply(self._state(call).pull(data_type, call.parameters.get("connectionId") or None))

    def _refresh_info(self, call: Call) -> Reply:
        pull = self._state(call).pull(DataType.COMPANY, None)
        return json_reply(
            models.Dataset(
                id=pull.id,
                company_id=pull.company_id,
                connection_id=pull.connection_id,
                data_type=pull.data_type,
                status=pull.status,
                progress=pull.progress,
                requested=pull.requested,
                completed=pull.completed,
                is_completed=pull.is_completed,
                is_errored=pull.is_errored,
            )
        )

    def _pull_operation(self, call: Call) -> Reply:
        pull = self._state(call).pulls.find(call.ids["datasetId"])
        if pull is None:
            raise ApiError(404, f"No pull operation {call.ids['datasetId'][:64]} was found.")
        return json_reply(pull)

    def _validation_results(self, call: Call) -> Reply:
        self._pull_operation(call)
        return json_reply(models.Validation(errors=[], warnings=[]))


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
