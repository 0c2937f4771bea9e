"""Signatures of webhooks: what is accepted, and the kind of error for everything else."""

import random
from base64 import b64encode

import pytest

from codat_async import webhooks

SECRET = "whsec_" + b64encode(b"0123456789abcdef01234567").decode()
OTHER = "whsec_" + b64encode(b"another-secret-of-24-byte").decode()
NOW = 1_700_000_000
BODY = b'{"eventType":"read.completed","payload":{}}'


def signed(body: bytes = BODY, secret: str = SECRET, *, at: int = NOW) -> dict[str, str]:
    """Headers as Codat would send them."""
    return webhooks.sign(body, secret, message_id="msg_1", timestamp=at)


def test_signature_equals_the_published_vector() -> None:
    """The example in the documentation of Standard Webhooks' reference libraries."""
    headers = webhooks.sign(
        b'{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "headers",
    [
        signed(),
        {name.upper(): value for name, value in signed().items()},
        {name.replace("webhook", "svix"): value for name, value in signed().items()},
        {**signed(), "webhook-signature": f"v1,AAAA v2,x {signed()['webhook-signature']} v1a,zzz"},
        signed(at=NOW - 300),
        signed(at=NOW + 300),
    ],
    ids=["plain", "upper case", "svix", "one of several", "five minutes old", "five minutes ahead"],
)
def test_valid_messages_are_accepted(headers: dict[str, str]) -> None:
    """Headers in any case and under both prefixes, several signatures, either end of the tolerance."""
    webhooks.verify(BODY, headers, SECRET, now=NOW)
    assert webhooks.message_id(headers) == "msg_1"


def test_either_secret_is_accepted_during_rotation() -> None:
    """Several secrets: one of them is enough."""
    webhooks.verify(BODY, signed(secret=OTHER), [SECRET, OTHER], now=NOW)
    webhooks.verify(BODY, signed(), (SECRET, OTHER), now=NOW)
    with pytest.raises(webhooks.WebhookSignatureMismatch):
        webhooks.verify(BODY, signed(secret=OTHER), [SECRET], now=NOW)


def test_secret_is_accepted_without_its_prefix() -> None:
    """The base64 alone is the same secret."""
    webhooks.verify(BODY, signed(), SECRET.removeprefix("whsec_"), now=NOW)


def without(name: str) -> dict[str, str]:
    """Valid headers without one."""
    headers = signed()
    del headers[name]
    return headers


@pytest.mark.parametrize(
    ("body", "headers", "secret", "kind"),
    [
        (BODY, without("webhook-id"), SECRET, webhooks.WebhookHeadersMissing),
        (BODY, without("webhook-timestamp"), SECRET, webhooks.WebhookHeadersMissing),
        (BODY, without("webhook-signature"), SECRET, webhooks.WebhookHeadersMissing),
        (BODY, {**signed(), "webhook-signature": "  "}, SECRET, webhooks.WebhookHeadersMissing),
        (BODY, {}, SECRET, webhooks.WebhookHeadersMissing),
        (BODY, signed(at=NOW - 301), SECRET, webhooks.WebhookStale),
        (BODY, signed(at=NOW + 301), SECRET, webhooks.WebhookStale),
        (BODY, {**signed(), "webhook-timestamp": "yesterday"}, SECRET, webhooks.WebhookStale),
        (BODY, {**signed(), "webhook-timestamp": "9" * 5000}, SECRET, webhooks.WebhookStale),
        (BODY, {**signed(), "webhook-timestamp": "١٢٣"}, SECRET, webhooks.WebhookStale),
        (BODY, {**signed(), "webhook-timestamp": f"{NOW}.0"}, SECRET, webhooks.WebhookStale),
        (BODY + b" ", signed(), SECRET, webhooks.WebhookSignatureMismatch),
        (BODY, {**signed(), "webhook-id": "msg_2"}, SECRET, webhooks.WebhookSignatureMismatch),
        (BODY, {**signed(), "webhook-timestamp": f"{NOW + 1}"}, SECRET, webhooks.WebhookSignatureMismatch),
        (BODY, {**signed(), "webhook-signature": "v1"}, SECRET, webhooks.WebhookSignatureMismatch),
        (BODY, {**signed(), "webhook-signature": "v1,é\udce9"}, SECRET, webhooks.WebhookSignatureMismatch),
        (BODY, {**signed(), "webhook-id": "\ud800"}, SECRET, webhooks.WebhookSignatureMismatch),
        (
            BODY,
            {**signed(), "webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")},
            SECRET,
            webhooks.WebhookSignatureMismatch,
        ),
        (BODY, signed(), OTHER, webhooks.WebhookSignatureMismatch),
        (BODY, signed(), "whsec_", webhooks.WebhookSecretInvalid),
        (BODY, signed(), "", webhooks.WebhookSecretInvalid),
        (BODY, signed(), "whsec_not base64!", webhooks.WebhookSecretInvalid),
        (BODY, signed(), "sécret", webhooks.WebhookSecretInvalid),
        (BODY, signed(), [], webhooks.WebhookSecretInvalid),
        (BODY, signed(), [SECRET, "whsec_"], webhooks.WebhookSecretInvalid),
        (BODY.decode(), signed(), SECRET, webhooks.WebhookBodyInvalid),
    ],
)
def test_invalid_messages_are_rejected_by_kind(
    body: bytes, headers: dict[str, str], secret: str | list[str], kind: type[webhooks.WebhookError]
) -> None:
    """Each way in which a message can be wrong has its own error."""
    with pytest.raises(kind) as failure:
        webhooks.verify(body, headers, secret, now=NOW)
    assert type(failure.value) is kind
    assert SECRET not in str(failure.value)


def test_tolerance_is_configurable() -> None:
    """Seconds, either way."""
    webhooks.verify(BODY, signed(at=NOW - 900), SECRET, now=NOW, tolerance=900)
    with pytest.raises(webhooks.WebhookStale, match="11 s old; 10 s are accepted"):
        webhooks.verify(BODY, signed(at=NOW - 11), SECRET, now=NOW, tolerance=10)


@pytest.mark.parametrize("number", [2_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_mutated_headers_raise_only_webhook_errors(number: int) -> None:
    """Random changes to valid headers: accepted, or a typed error."""
    rng = random.Random(20261129)
    alphabet = [chr(each) for each in (0, 10, 32, 44, 46, 48, 61, 65, 118, 233, 0x661, 0x1F600, 0xD800)]
    accepted = 0
    for _ in range(number):
        headers = signed()
        for _ in range(rng.randint(1, 3)):
            name = rng.choice(list(headers))
            text = headers.pop(name)
            at = rng.randint(0, len(text))
            text = (
                text[:at] + rng.choice(alphabet) * rng.choice((0, 1, 1, 40)) + text[at + rng.randint(0, 2) :]
            )
            headers[rng.choice((name, name, name, name.title(), name[:-1]))] = text
        try:
            webhooks.verify(BODY, headers, SECRET, now=NOW)
            accepted += 1
        except webhooks.WebhookError:
            pass
    assert 0 < accepted < number
