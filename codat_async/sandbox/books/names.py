"""Words to make up names from: of people, companies, streets, goods and services."""

from typing import Final

# fmt: off
GIVEN_ENGLISH: Final = ("Alice", "Amir", "Beth", "Callum", "Eleanor", "Farah", "Imran", "Kavita", "Zoe")
FAMILY_ENGLISH: Final = ("Abbott", "Barker", "Ellis", "Hughes", "Kemp", "Nolan", "O'Brien", "Patel", "Rahman")
GIVEN_GERMAN: Final = ("Anke", "Björn", "Claudia", "Elif", "Greta", "Jürgen", "Katrin", "Nils", "Sabine")
FAMILY_GERMAN: Final = ("Albrecht", "Böhm", "Dörfler", "Günther", "Jäger", "Köhler", "Müller", "Weiß")
FIRST_WORDS: Final = (
    "Acorn", "Amber", "Anchor", "Beacon", "Birch", "Cedar", "Clover", "Copper", "Delta", "Ember", "Falcon",
    "Granite", "Harbour", "Hazel", "Heron", "Iris", "Juniper", "Kestrel", "Lantern", "Linden", "Maple",
    "Meridian", "Orchard", "Quarry", "Raven", "Saffron", "Slate", "Summit", "Thistle", "Willow", "Zephyr",
)
TRADES: Final = (
    "Architects", "Bakery", "Books", "Builders", "Carpentry", "Catering", "Coffee", "Cycles", "Design",
    "Electrical", "Events", "Farms", "Films", "Foods", "Freight", "Furniture", "Garages", "Hotels", "Joinery",
    "Labs", "Logistics", "Media", "Motors", "Optics", "Plumbing", "Print", "Software", "Studios", "Travel",
)
STREETS_ENGLISH: Final = ("Church Street", "Mill Lane", "Station Road", "High Street", "Park Avenue")
STREETS_GERMAN: Final = ("Gartenstraße", "Hauptstraße", "Lindenallee", "Am Mühlbach", "Schloßplatz")
GOODS: Final = (
    "Desk lamp", "Filing cabinet", "Oak table", "Office chair", "Whiteboard", "Paper, box of 5 reams",
    "Toner cartridge", "Network switch", "Monitor 27\"", "Keyboard", "Coffee beans 1 kg", "Water filter",
    "First-aid kit", "Cable, 100 m", "Cordless drill", "Packing tape", "Notebook A5", "Printed mug",
    "Planter, large", "Wall clock", "Ceramic tile, m²",
)
SERVICES: Final = (
    "Consulting, hour", "Design, day", "Site visit", "Installation", "Annual support", "Training session",
    "Maintenance visit", "Hosting, month", "Translation, page",
)
METERED: Final = ("Text message", "API call, block", "Label print", "Electricity, kWh", "Data transfer, MB")
COST_NOTES: Final = ("Fuel", "Team lunch", "Parking", "Taxi to the client", "Stationery", "Train tickets")
INCOME_NOTES: Final = ("Counter sales", "Card takings", "Market stall", "Online shop payout")
# fmt: on
