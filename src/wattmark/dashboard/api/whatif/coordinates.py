"""Where a zone may honestly be drawn as a point: cloud regions whose city is named, and countries too small for the map.

Latitude and longitude in degrees to a tenth, of the city that the provider itself names (a data centre lies somewhere
around it) or of the middle of a small country; general geography, as any gazetteer has it. A region that is only said
to be in "Virginia" or "Ireland" has no point: a dot in the middle of a state would look like knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping

CITIES: Mapping[str, tuple[float, float]] = {
    "Abu Dhabi": (24.5, 54.4), "Ashburn, Virginia": (39.0, -77.5), "Auckland": (-36.8, 174.8), "Beijing": (39.9, 116.4),
    "Berlin": (52.5, 13.4), "Busan": (35.2, 129.1), "Calgary": (51.0, -114.1), "Canberra": (-35.3, 149.1),
    "Cape Town": (-33.9, 18.4), "Cardiff": (51.5, -3.2), "Changhua County, Taiwan": (24.1, 120.5),
    "Chennai": (13.1, 80.3), "Cheyenne, Wyoming": (41.1, -104.8), "Chicago": (41.9, -87.6),
    "Columbus, Ohio": (40.0, -83.0), "Council Bluffs, Iowa": (41.3, -95.9), "Dallas": (32.8, -96.8),
    "Dammam": (26.4, 50.1), "Delhi": (28.6, 77.2), "Doha": (25.3, 51.5), "Dubai": (25.2, 55.3),
    "Eemshaven, Netherlands": (53.4, 6.8), "Frankfurt": (50.1, 8.7), "Geneva": (46.2, 6.1), "Gävle, Sweden": (60.7, 17.1),
    "Hamina, Finland": (60.6, 27.2), "Hong Kong": (22.3, 114.2), "Hyderabad": (17.4, 78.5), "Jakarta": (-6.2, 106.8),
    "Johannesburg": (-26.2, 28.0), "Jurong West, Singapore": (1.3, 103.7), "Kuala Lumpur": (3.1, 101.7),
    "Las Vegas": (36.2, -115.1), "London": (51.5, -0.1), "Los Angeles": (34.1, -118.2), "Madrid": (40.4, -3.7),
    "Marseille": (43.3, 5.4), "Melbourne": (-37.8, 145.0), "Milan": (45.5, 9.2),
    "Moncks Corner, South Carolina": (33.2, -80.0), "Montréal": (45.5, -73.6), "Mumbai": (19.1, 72.9),
    "Osaka": (34.7, 135.5), "Oslo": (59.9, 10.8), "Paris": (48.9, 2.4), "Phoenix": (33.4, -112.1), "Pune": (18.5, 73.9),
    "Querétaro, Mexico": (20.6, -100.4), "Quincy, Washington": (47.2, -119.9), "Québec City": (46.8, -71.2),
    "Salt Lake City": (40.8, -111.9), "San Antonio": (29.4, -98.5), "Santiago": (-33.4, -70.7), "Seoul": (37.6, 127.0),
    "Shanghai": (31.2, 121.5), "Singapore": (1.3, 103.8), "St. Ghislain, Belgium": (50.4, 3.8), "Stavanger": (59.0, 5.7),
    "Stockholm": (59.3, 18.1), "Sydney": (-33.9, 151.2), "São Paulo": (-23.6, -46.6), "Taipei": (25.0, 121.6),
    "Tel Aviv": (32.1, 34.8), "The Dalles, Oregon": (45.6, -121.2), "Tokyo": (35.7, 139.7), "Toronto": (43.7, -79.4),
    "Turin": (45.1, 7.7), "Vienna": (48.2, 16.4), "Warsaw": (52.2, 21.0), "Zurich": (47.4, 8.5),
}  # fmt: skip
"""By the name that the provider gives the region's place (``impact/data/cloud.csv``)."""

SMALL_COUNTRIES: Mapping[str, tuple[float, float]] = {
    "AG": (17.1, -61.8), "AS": (-14.3, -170.7), "AW": (12.5, -70.0), "AX": (60.2, 20.0), "BB": (13.2, -59.5),
    "BH": (26.0, 50.5), "BM": (32.3, -64.8), "CK": (-21.2, -159.8), "CV": (15.1, -23.6), "CW": (12.2, -69.0),
    "DM": (15.4, -61.4), "FM": (6.9, 158.2), "FO": (62.0, -6.9), "GD": (12.1, -61.7), "GF": (4.0, -53.0),
    "GI": (36.1, -5.4), "GP": (16.3, -61.6), "GS": (-54.4, -36.6), "GU": (13.4, 144.8), "HK": (22.3, 114.2),
    "KI": (1.4, 173.0), "KM": (-11.9, 43.4), "KN": (17.3, -62.7), "KY": (19.3, -81.3), "LC": (13.9, -61.0),
    "MO": (22.2, 113.5), "MQ": (14.6, -61.0), "MS": (16.7, -62.2), "MT": (35.9, 14.4), "MU": (-20.3, 57.6),
    "MV": (4.2, 73.5), "NR": (-0.5, 166.9), "PF": (-17.6, -149.5), "PM": (46.9, -56.3), "PW": (7.5, 134.6),
    "RE": (-21.1, 55.5), "SC": (-4.7, 55.5), "SG": (1.4, 103.8), "SH": (-15.9, -5.7), "ST": (0.3, 6.7),
    "TC": (21.8, -71.8), "TO": (-21.2, -175.2), "VC": (13.2, -61.2), "VG": (18.4, -64.6), "VI": (18.3, -64.9),
    "WS": (-13.8, -172.1), "YT": (-12.8, 45.2),
}  # fmt: skip
"""By ISO code: countries that have no outline at the map's scale (Natural Earth, 1:110 million)."""
