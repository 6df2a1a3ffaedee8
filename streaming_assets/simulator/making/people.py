"""Names of people and what they browse with, in the formats that eventsim reads. Counts fall off by rank."""

from collections.abc import Iterator

from streaming_assets.simulator.making.words import words

_FEMALE = words(
    """
    Olivia Emma Ava Sophia Isabella Mia Charlotte Amelia Harper Evelyn Abigail Emily Ella Elizabeth Camila
    Luna Sofia Avery Mila Aria Scarlett Penelope Layla Chloe Victoria Madison Eleanor Grace Nora Riley Zoey
    Hannah Hazel Lily Ellie Violet Lillian Zoe Stella Aurora Natalie Emilia Everly Leah Aubrey Willow
    Addison Lucy Audrey Bella Nova Brooklyn Paisley Savannah Claire Skylar Isla Genesis Naomi Elena Caroline
    Eliana Anna Maya Valentina Ruby Kennedy Ivy Ariana Aaliyah Cora Madelyn Alice Kinsley Hailey Gabriella
    Allison Gianna
    """
)
_MALE = words(
    """
    Liam Noah William James Oliver Benjamin Elijah Lucas Mason Logan Alexander Ethan Jacob Michael Daniel
    Henry Jackson Sebastian Aiden Matthew Samuel David Joseph Carter Owen Wyatt John Jack Luke Jayden Dylan
    Grayson Levi Isaac Gabriel Julian Mateo Anthony Jaxon Lincoln Joshua Christopher Andrew Theodore Caleb
    Ryan Asher Nathan Thomas Leo Isaiah Charles Josiah Hudson Christian Hunter Connor Eli Ezra Aaron Landon
    Adrian Jonathan Nolan Jeremiah Easton Elias Colton Cameron Carson Robert Angel Maverick Nicholas Dominic
    Jaxson Greyson Adam
    """
)
_SURNAMES = words(
    """
    Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez
    Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez
    Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker
    Hall Rivera Campbell Mitchell Carter Roberts Gomez Phillips Evans Turner Diaz Parker Cruz Edwards
    Collins Reyes Stewart Morris Morales Murphy Cook Rogers Gutierrez Ortiz Morgan Cooper Peterson Bailey
    Reed Kelly Howard Ramos Kim Cox Ward Richardson Watson Brooks Chavez Wood James Bennett Gray Mendoza
    Ruiz Hughes Price Alvarez Castillo Sanders Patel Myers Long Ross Foster Jimenez Powell Jenkins Perry
    Russell Sullivan Bell Coleman Butler Henderson Barnes Fisher Vasquez Simmons Romero Jordan Patterson
    Alexander Hamilton Graham
    """
)
_SYSTEMS = {  # what a browser calls the system: its share
    "Windows NT 10.0; Win64; x64": 55,
    "Macintosh; Intel Mac OS X 10_15_7": 25,
    "X11; Linux x86_64": 6,
    "Linux; Android 14; K": 14,
}
_QUOTED_EVERY = 2  # every so many agents are in quotes, as eventsim's file has most of them


def first_name_rows() -> Iterator[str]:
    """name,sex,count; a little more men than women, as in eventsim's file."""
    for sex, names, most in (("F", _FEMALE, 21_000), ("M", _MALE, 22_700)):
        for rank, name in enumerate(names, start=1):
            yield f"{name},{sex},{round(most / (rank + 4) ** 0.6)}"


def surname_rows() -> Iterator[str]:
    """name,rank,count and their header."""
    yield "name,rank,count"
    for rank, name in enumerate(_SURNAMES, start=1):
        yield f"{name.upper()},{rank},{round(2_400_000 / (rank + 1) ** 0.7)}"


def user_agent_rows() -> Iterator[str]:
    """percent, weight, agent, browser, system and their header, by tabs."""
    yield "percent\tweight\tuseragent\tBrowser\tOS"
    agents = []
    for system, share in _SYSTEMS.items():
        name = system.split(";")[0]
        for version, weight in (("131.0.0.0", 5), ("130.0.0.0", 3), ("129.0.0.0", 1)):
            mobile = "Mobile " if "Android" in system else ""
            agent = (
                f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
                f"Chrome/{version} {mobile}Safari/537.36"
            )
            agents.append((agent, share * weight, f"Chrome {version}", name))
        for version in ("132.0", "128.0"):
            agent = f"Mozilla/5.0 ({system}; rv:{version}) Gecko/20100101 Firefox/{version}"
            agents.append((agent, share, f"Firefox {version}", name))
    total = sum(weight for _, weight, _, _ in agents)
    for number, (agent, weight, browser, system) in enumerate(agents):
        text = f'"{agent}"' if number % _QUOTED_EVERY == 0 else agent
        yield f"{weight / total:.1%}\t{weight}\t{text}\t{browser}\t{system}"
