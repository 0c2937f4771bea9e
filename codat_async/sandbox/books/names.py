"""Words to make up names from: of people, companies, streets, goods and services."""

from typing import Final

GIVEN_ENGLISH: Final = (
    "Alice", "Amir", "Beth", "Callum", "Chloe", "Daniel", "Eleanor", "Farah", "George", "Hannah", "Imran",
    "Isla", "Jack", "Kavita", "Laura", "Marcus", "Nadia", "Oliver", "Priya", "Rosie", "Samuel", "Tessa",
    "Victor", "Wendy", "Yusuf", "Zoe",
)  # fmt: skip
FAMILY_ENGLISH: Final = (
    "Abbott", "Barker", "Campbell", "Dawson", "Ellis", "Farrow", "Grant", "Hughes", "Ingram", "Jarvis",
    "Kemp", "Lawson", "Mercer", "Nolan", "O'Brien", "Patel", "Quinn", "Rahman", "Shaw", "Turner", "Underhill",
    "Vance", "Walsh", "Yates",
)  # fmt: skip
GIVEN_GERMAN: Final = (
    "Anke", "Björn", "Claudia", "Dieter", "Elif", "Frank", "Greta", "Heiko", "Ines", "Jürgen", "Katrin",
    "Lukas", "Marlene", "Nils", "Petra", "Ralf", "Sabine", "Tobias", "Uwe", "Yvonne",
)  # fmt: skip
FAMILY_GERMAN: Final = (
    "Albrecht", "Böhm", "Dörfler", "Engel", "Fuchs", "Günther", "Hahn", "Jäger", "Köhler", "Lorenz",
    "Müller", "Neumann", "Östreich", "Pohl", "Richter", "Schäfer", "Thiele", "Vogt", "Weiß", "Zöllner",
)  # fmt: skip
GIVEN_FRENCH: Final = (
    "Amélie", "Bastien", "Camille", "Didier", "Élodie", "François", "Gaëlle", "Hugo", "Inès", "Jérôme",
    "Léa", "Mathieu", "Noémie", "Olivier", "Pascale", "Rémi", "Solène", "Théo",
)  # fmt: skip
FAMILY_FRENCH: Final = (
    "Aubert", "Besson", "Chevalier", "Delmas", "Évrard", "Fournier", "Girard", "Hébert", "Joly", "Lefèvre",
    "Marchand", "Noël", "Perrin", "Renaud", "Simon", "Tessier", "Vidal",
)  # fmt: skip

FIRST_WORDS: Final = (
    "Acorn", "Amber", "Anchor", "Beacon", "Birch", "Bluebell", "Bridge", "Cedar", "Clover", "Copper",
    "Crescent", "Delta", "Ember", "Falcon", "Fern", "Granite", "Harbour", "Hazel", "Heron", "Iris", "Juniper",
    "Kestrel", "Lantern", "Linden", "Magnolia", "Maple", "Meridian", "North", "Oak", "Orchard", "Pebble",
    "Quarry", "Raven", "River", "Saffron", "Slate", "Sparrow", "Summit", "Thistle", "Tidal", "Umber",
    "Vale", "Willow", "Yarrow", "Zephyr",
)  # fmt: skip
TRADES: Final = (
    "Architects", "Bakery", "Books", "Brewing", "Builders", "Carpentry", "Catering", "Ceramics", "Coffee",
    "Consulting", "Cycles", "Dental", "Design", "Electrical", "Engineering", "Events", "Fabrics", "Farms",
    "Films", "Fitness", "Florists", "Foods", "Freight", "Furniture", "Garages", "Glazing", "Hardware",
    "Hotels", "Interiors", "Joinery", "Labs", "Landscapes", "Logistics", "Media", "Motors", "Nurseries",
    "Optics", "Packaging", "Pharmacy", "Plumbing", "Press", "Print", "Roofing", "Security", "Software",
    "Studios", "Supplies", "Textiles", "Tools", "Travel", "Vineyards", "Wholesale",
)  # fmt: skip

STREETS_ENGLISH: Final = (
    "Church Street", "Mill Lane", "Station Road", "High Street", "Park Avenue", "Victoria Road",
    "Queen Street", "Garden Row", "Foundry Lane", "Bridge Street", "Chapel Hill", "Orchard Way",
)  # fmt: skip
STREETS_GERMAN: Final = (
    "Gartenstraße", "Hauptstraße", "Lindenallee", "Am Mühlbach", "Königsweg", "Bahnhofstraße", "Schloßplatz",
)  # fmt: skip
STREETS_FRENCH: Final = (
    "rue de la République", "avenue Jean-Jaurès", "place de l’Église", "rue du Moulin", "quai des Tanneurs",
)  # fmt: skip

GOODS: Final = (
    "Desk lamp", "Filing cabinet", "Oak table", "Office chair", "Whiteboard", "Paper, box of 5 reams",
    "Toner cartridge", "Network switch", "USB hub", "Monitor 27\"", "Keyboard", "Headset",
    "Coffee beans 1 kg", "Water filter", "First-aid kit", "Safety gloves", "Cable, 100 m", "LED panel",
    "Cordless drill", "Shelf bracket", "Packing tape", "Shipping carton", "Pallet wrap", "Notebook A5",
    "Printed mug", "Tote bag", "Planter, large", "Wall clock", "Door handle", "Ceramic tile, m²",
)  # fmt: skip
SERVICES: Final = (
    "Consulting, hour", "Design, day", "Site visit", "Installation", "Annual support", "Training session",
    "Project management, hour", "Maintenance visit", "Copywriting", "Hosting, month", "Translation, page",
    "Photography, half day",
)  # fmt: skip
METERED: Final = ("Text message", "API call, block", "Label print", "Electricity, kWh", "Data transfer, MB")

COST_NOTES: Final = (
    "Fuel", "Team lunch", "Parking", "Taxi to the client", "Stationery", "Train tickets", "Postage",
    "Software trial", "Kitchen supplies", "Hotel, one night",
)  # fmt: skip
INCOME_NOTES: Final = (
    "Counter sales",
    "Card takings",
    "Market stall",
    "Workshop tickets",
    "Online shop payout",
)
