"""The twelve teas that Kettle sells."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Tea:
    """One tea on the shelf, sold by the pack.

    Attributes:
        slug: Its name in addresses, and the name of its drawing.
        ground: The colour that its drawing stands on.
        ink: A dark colour that goes with it.
        steep: How to make it: temperature in °C and minutes.
    """

    slug: str
    name: str
    kind: str
    origin: str
    price: Decimal
    grams: int
    taste: str
    story: str
    steep: tuple[int, int]
    ground: str
    ink: str


TEAS = (
    Tea(
        "sencha",
        "Morning Hill Sencha",
        "Green",
        "Shizuoka, Japan",
        Decimal("12.50"),
        80,
        "Fresh grass, sea air, a sweet end",
        "Picked in the first week of May and steamed the same evening. Gentle enough "
        "for a second and a third pot from the same leaves.",
        (70, 2),
        "#dfe8d2",
        "#2f4e36",
    ),
    Tea(
        "matcha",
        "Stone Mill Matcha",
        "Green",
        "Uji, Japan",
        Decimal("24.00"),
        40,
        "Cream, pistachio, deep green",
        "Shaded for three weeks, then ground on granite so slowly that one tin takes "
        "an hour. Whisk it until a fine foam stands.",
        (80, 1),
        "#e6ebc4",
        "#4a5a1c",
    ),
    Tea(
        "jasmine",
        "Jasmine Pearls",
        "Green",
        "Fujian, China",
        Decimal("16.80"),
        60,
        "White flowers, pear, honey",
        "Rolled by hand and laid among open jasmine for six nights. Watch the pearls "
        "unfold: a glass is the right cup for this one.",
        (75, 3),
        "#f1eccb",
        "#5a5a2c",
    ),
    Tea(
        "darjeeling",
        "First Flush Darjeeling",
        "Black",
        "West Bengal, India",
        Decimal("14.20"),
        80,
        "Muscatel, apricot, bright",
        "The first leaves after winter from a garden at two thousand metres. Light in "
        "the cup, and best without milk.",
        (90, 3),
        "#f3dcc8",
        "#8a3a22",
    ),
    Tea(
        "assam",
        "Red Tin Assam",
        "Black",
        "Assam, India",
        Decimal("8.90"),
        100,
        "Malt, brown sugar, strong",
        "A breakfast tea that does not mind being forgotten for a minute. Takes milk "
        "like nothing else on this shelf.",
        (100, 4),
        "#f2d7c2",
        "#7d231c",
    ),
    Tea(
        "earl-grey",
        "Harbour Earl Grey",
        "Black",
        "Ceylon and Calabria",
        Decimal("9.80"),
        100,
        "Bergamot, cedar, clean",
        "Ceylon leaf with oil pressed from the peel of Calabrian bergamot, and nothing "
        "else. Bright at four in the afternoon.",
        (95, 3),
        "#d9e2ec",
        "#2c405c",
    ),
    Tea(
        "lapsang",
        "Pine Smoke Lapsang",
        "Black",
        "Wuyi, China",
        Decimal("13.40"),
        80,
        "Pine fire, dates, cocoa",
        "Dried above slow pine fires in wooden houses of three floors. Some find it "
        "odd for a day and want it for life.",
        (95, 3),
        "#ded6cf",
        "#3a332e",
    ),
    Tea(
        "oolong",
        "Iron Goddess Oolong",
        "Oolong",
        "Anxi, China",
        Decimal("18.60"),
        60,
        "Orchid, butter, stone",
        "Half way between green and black, rolled tight and roasted lightly. Seven "
        "short steeps, each a little different.",
        (90, 1),
        "#dbe6f1",
        "#244a7c",
    ),
    Tea(
        "pu-erh",
        "Old Tree Pu-erh",
        "Dark",
        "Yunnan, China",
        Decimal("29.00"),
        200,
        "Forest floor, plum, calm",
        "A pressed cake that has rested for nine years. Break off a corner with a "
        "knife; the rest only gets better.",
        (100, 2),
        "#e8d9c0",
        "#5a3a20",
    ),
    Tea(
        "white-peony",
        "White Peony",
        "White",
        "Fuding, China",
        Decimal("15.50"),
        50,
        "Melon, hay, soft",
        "One bud and two leaves, withered in the open air and left alone. The least "
        "that one can do to tea, and very nearly the best.",
        (80, 4),
        "#e2e8da",
        "#47553f",
    ),
    Tea(
        "rooibos",
        "Cederberg Rooibos",
        "Herbal",
        "Western Cape, South Africa",
        Decimal("7.50"),
        120,
        "Vanilla, red earth, round",
        "No tea leaf and no caffeine: the red needles of a bush that grows in one "
        "valley. Lovely cold, with a slice of orange.",
        (100, 6),
        "#f4d8c4",
        "#7a2f14",
    ),
    Tea(
        "chamomile",
        "Evening Chamomile",
        "Herbal",
        "Nile Delta, Egypt",
        Decimal("6.90"),
        40,
        "Apple, straw, goodnight",
        "Whole flower heads, dried in the shade so that they keep their gold. For the "
        "last half hour of the day.",
        (100, 5),
        "#f8ebc3",
        "#6d5410",
    ),
)

BY_SLUG = {tea.slug: tea for tea in TEAS}
