"""The countries that companies of the sandbox are at home in: currency, taxes and addresses."""

from collections.abc import Sequence
from random import Random
from typing import Final

from msgspec import Struct

from codat_async.models import Address, AddressType
from codat_async.sandbox.books import names


class Tax(Struct, frozen=True):
    """A rate of sales tax in hundredths of a per cent, of one or more components."""

    name: str
    code: str
    basis_points: int
    components: tuple[tuple[str, int], ...] = ()


class Region(Struct, frozen=True):
    """What makes a company British, American, German…"""

    country: str
    currency: str
    foreign_currency: str
    foreign_rate: str
    """What one unit of the foreign currency is worth in the region's own."""
    suffixes: tuple[str, ...]
    cities: tuple[tuple[str, str, str], ...]
    """City, region, and the pattern of a postal code: ``@`` for a letter, ``#`` for a digit."""
    streets: tuple[str, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]
    phone: str
    tax_number: str
    top_level_domain: str
    tax_name: str
    taxes: tuple[Tax, ...]
    """Standard rate first, then reduced ones, zero, and exempt."""
    year_start_month: int
    number_before_street: bool = True


_ENGLISH: Final = (names.STREETS_ENGLISH, names.GIVEN_ENGLISH, names.FAMILY_ENGLISH)
_GERMAN: Final = (names.STREETS_GERMAN, names.GIVEN_GERMAN, names.FAMILY_GERMAN)

REGIONS: Final = (
    Region(
        "United Kingdom", "GBP", "EUR", "0.8531",
        ("Ltd", "Limited", "& Co", "LLP"),
        (("London", "Greater London", "EC#@ #@@"), ("Leeds", "West Yorkshire", "LS# #@@"),
         ("Bristol", "Avon", "BS# #@@"), ("Cardiff", "South Glamorgan", "CF## #@@")),
        *_ENGLISH, "+44 20 #### ####", "GB ### #### ##", "co.uk", "VAT",
        (Tax("20% (VAT on Income)", "OUTPUT2", 2000), Tax("5% (VAT on Income)", "RROUTPUT", 500),
         Tax("Zero Rated Income", "ZERORATEDOUTPUT", 0), Tax("No VAT", "NONE", 0)),
        4,
    ),
    Region(
        "United States", "USD", "CAD", "0.7318",
        ("Inc.", "LLC", "Corp.", "& Sons"),
        (("New York", "NY", "100##"), ("Austin", "TX", "787##"), ("Portland", "OR", "972##"),
         ("Chicago", "IL", "606##")),
        *_ENGLISH, "+1 ### 555 01##", "##-#######", "com", "Sales tax",
        (Tax("NYC sales tax", "NYC", 888, (("State", 400), ("City", 450), ("Transit district", 38))),
         Tax("State sales tax", "STATE", 625), Tax("Out of scope", "OOS", 0), Tax("Exempt", "EXEMPT", 0)),
        1,
    ),
    Region(
        "Deutschland", "EUR", "CHF", "1.0421",
        ("GmbH", "AG", "KG", "e. K."),
        (("Köln", "Nordrhein-Westfalen", "506##"), ("München", "Bayern", "803##"),
         ("Lübeck", "Schleswig-Holstein", "235##"), ("Leipzig", "Sachsen", "041##")),
        *_GERMAN, "+49 221 ######", "DE#########", "de", "USt",
        (Tax("Umsatzsteuer 19 %", "UST19", 1900), Tax("Umsatzsteuer 7 %", "UST7", 700),
         Tax("Steuerfrei", "FREI", 0), Tax("Nicht steuerbar", "NSTB", 0)),
        1, False,
    ),
)  # fmt: skip


def fill(pattern: str, stream: Random) -> str:
    """The pattern with a random digit for each ``#`` and a random letter for each ``@``."""
    alphabets = {"#": "0123456789", "@": "ABDEFGHJLNPQRSTUWXYZ"}
    return "".join(pick(alphabets.get(character, character), stream) for character in pattern)


def pick(choices: Sequence[str], stream: Random) -> str:
    """One of the choices."""
    return choices[int(stream.random() * len(choices))]


def person(region: Region, stream: Random) -> tuple[str, str]:
    """A given and a family name."""
    return pick(region.given, stream), pick(region.family, stream)


def business(region: Region, stream: Random) -> str:
    """The name of a company."""
    return f"{pick(names.FIRST_WORDS, stream)} {pick(names.TRADES, stream)} {pick(region.suffixes, stream)}"


def address(region: Region, stream: Random, kind: AddressType) -> Address:
    """An address in one of the region's cities."""
    city, district, postal_code = region.cities[int(stream.random() * len(region.cities))]
    street = pick(region.streets, stream)
    number = 1 + int(stream.random() * 180)
    return Address(
        type=kind,
        line1=f"{number} {street}" if region.number_before_street else f"{street} {number}",
        line2=f"Unit {1 + int(stream.random() * 20)}" if stream.random() < 0.2 else None,
        city=city,
        region=district,
        country=region.country,
        postal_code=fill(postal_code, stream),
    )


def domain(name: str, region: Region) -> str:
    """A host name under ``.example`` that resembles the name, so that no real mailbox is ever meant."""
    letters = "".join(character for character in name.lower() if character.isascii() and character.isalnum())
    return f"{letters or 'firma'}.{region.top_level_domain}.example"
