"""Places in GeoNames' postal code format, and their population in the gazetteer's that eventsim reads."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from streaming_assets.simulator.making.states import STATES

_CODES_PER_TOWN = 5
_SURROUNDINGS = ("", "", "North ", "West ", "Port ")  # the first codes of a town have its own name
_TOWN_SHARE = 0.55  # a state's largest town has this share, the next the same share of the rest, ...


@dataclass(frozen=True)
class Place:
    """One postal code area."""

    code: str
    name: str
    state: str
    state_code: str
    county: str
    county_code: str
    latitude: float
    longitude: float
    people: int


def places(chance: random.Random) -> Iterator[Place]:
    """All places; a state's people are those of its areas."""
    for line in STATES.strip().replace("\n|", "|").splitlines():
        head, *towns = (part.strip() for part in line.split("|"))
        state_code, state, thousands, prefix = head.split()
        left = int(thousands) * 1000
        for number, town in enumerate(towns):
            name, latitude, longitude = town.rsplit(" ", 2)
            people = left if number == len(towns) - 1 else round(left * _TOWN_SHARE)
            left -= people
            parts = [chance.uniform(0.5, 1.5) for _ in range(_CODES_PER_TOWN)]
            for serial, (part, direction) in enumerate(zip(parts, _SURROUNDINGS, strict=True)):
                yield Place(
                    code=f"{int(prefix) + number:03d}{serial * 7 + 1:02d}",
                    name=direction + name,
                    state=state.replace("_", " "),
                    state_code=state_code,
                    county=name,
                    county_code=f"{number * 2 + 1:03d}",
                    latitude=round(float(latitude) + chance.gauss(0, 0.08), 4),
                    longitude=round(float(longitude) + chance.gauss(0, 0.08), 4),
                    people=round(people * part / sum(parts)),
                )


def geonames_row(place: Place) -> str:
    """Country, code, place, state, state code, county, county code, two unused, latitude, longitude, accuracy."""
    county = (place.county, place.county_code)
    where = (str(place.latitude), str(place.longitude), "4")
    return "\t".join(("US", place.code, place.name, place.state, place.state_code, *county, "", "", *where))


POPULATION_HEADER = "GEOID\tPOP10\tHU10\tALAND\tAWATER\tALAND_SQMI\tAWATER_SQMI\tINTPTLAT\tINTPTLONG"


def population_row(place: Place) -> str:
    """Code, people, five unused, latitude, longitude."""
    return f"{place.code}\t{place.people}\t0\t0\t0\t0\t0\t{place.latitude}\t{place.longitude}"
