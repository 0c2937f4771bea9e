"""The consumers of webhooks: listed, created and deleted by the API, or given when the sandbox starts."""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from codat_async.models import Company, WebhookConsumer, WebhookConsumers
from codat_async.sandbox.books.profile import uuid_of
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.replies import ApiError, Reply, json_reply


class Consumers:
    """The consumers, each of which may want only some events.

    Raises :class:`ValueError` for a URL that cannot be used.
    """

    def __init__(self, urls: Iterable[str], seed: int) -> None:
        self._seed = seed
        self._made = 0
        self._consumers: dict[str, WebhookConsumer] = {}
        for url in urls:
            try:
                self._add(WebhookConsumer(url=url))
            except ApiError as error:
                raise ValueError(error.error) from None

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by ``resource.name``."""
        return {
            "webhooks.list_consumers": lambda call: json_reply(WebhookConsumers(results=self.all)),
            "webhooks.create_consumer": lambda call: json_reply(
                self._add(call.decode(WebhookConsumer)), status=201
            ),
            "webhooks.delete_consumer": self._delete,
        }

    @property
    def all(self) -> list[WebhookConsumer]:
        """The consumers in the order in which they were created."""
        return list(self._consumers.values())

    def wanting(self, event_type: str, company: Company | None) -> Iterator[WebhookConsumer]:
        """The consumers that an event goes to: by their event types, and by the tags of the company."""
        # ``bills.write.successful`` is documented as ``{dataType}.write.successful``.
        names = {event_type, "{dataType}." + event_type.partition(".")[2]}
        tags = {f"{key}:{value}" for key, value in ((company.tags if company else None) or {}).items()}
        for consumer in self.all:
            wanted = not consumer.event_types or not names.isdisjoint(consumer.event_types)
            tagged = not consumer.company_tags or not tags.isdisjoint(consumer.company_tags)
            if wanted and tagged and not consumer.disabled:
                yield consumer

    def _add(self, consumer: WebhookConsumer) -> WebhookConsumer:
        url = urlsplit(consumer.url or "")
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ApiError(400, f"'{(consumer.url or '')[:200]}' is not the URL of an endpoint.")
        self._made += 1
        consumer.id = uuid_of(self._seed, "webhook consumer", self._made)
        consumer.disabled = bool(consumer.disabled)
        self._consumers[consumer.id] = consumer
        return consumer

    def _delete(self, call: Call) -> Reply:
        consumer = self._consumers.pop(call.ids["webhookId"], None)
        if consumer is None:
            raise ApiError(404, f"There is no webhook consumer {call.ids['webhookId'][:64]}.")
        # Whatever is still to be delivered to it is not.
        consumer.disabled = True
        return Reply(status=204, content_type=None)
