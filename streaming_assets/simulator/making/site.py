"""The default configuration: the site's pages and how users move between them, in eventsim's format.

The probabilities are those of the configuration that the reference pipeline ran with. One thing is mended: there,
the ways out of an advertisement are declared for a method that no advertisement has, so that each one ends its
session; here they belong to the advertisement that is played.
"""

import json
import re
from typing import Any

# Method and status of each page.
_GET, _PUT, _REDIRECT, _ERROR = ("GET", 200), ("PUT", 200), ("PUT", 307), ("GET", 404)
_PAGES = {
    "About": _GET,
    "Cancel": _REDIRECT,
    "Cancellation Confirmation": _GET,
    "Downgrade": _GET,
    "Error": _ERROR,
    "Help": _GET,
    "Home": _GET,
    "Login": _REDIRECT,
    "Logout": _REDIRECT,
    "NextSong": _PUT,
    "PlayAd": _GET,
    "Register": _GET,
    "Save Settings": _REDIRECT,
    "Settings": _GET,
    "Submit Downgrade": _REDIRECT,
    "Submit Registration": _REDIRECT,
    "Submit Upgrade": _REDIRECT,
    "Upgrade": _GET,
}

_GROUPS = {
    "guest": ("Guest", "free"),
    "free": ("Logged In", "free"),
    "free-out": ("Logged Out", "free"),
    "free-gone": ("Cancelled", "free"),
    "paid": ("Logged In", "paid"),
    "paid-out": ("Logged Out", "paid"),
    "paid-gone": ("Cancelled", "paid"),
}

_ENTRIES = {  # weights of the pages that a session begins with
    "guest": {"About": 20, "Help": 10, "Home": 100, "Register": 30, "Error": 5},
    "free": {"About": 5, "Help": 10, "Home": 1000, "NextSong": 1500, "Error": 1},
    "free-out": {"About": 10, "Help": 10, "Home": 1000, "Login": 500, "Error": 1},
    "paid": {"About": 5, "Help": 5, "Home": 1000, "NextSong": 1750, "Error": 1},
    "paid-out": {"About": 10, "Help": 10, "Home": 1000, "Login": 500, "Error": 1},
}

# Page: where it leads, in its own group unless one is named; what is left to 1 ends the session. A line may go on.
_MOVES = {
    "guest": """
        About: About .05, Help .05, Home .3, Register .1, Error .001
        Help: About .0025, Help .1, Home .2, Register .03, Error .001
        Home: About .1, Help .05, Home .1, Register .3, Error .001
        Register: About .01, Help .02, Home .1, Register .05, Submit Registration@free .7, Error .001
        Error: About .01, Help .05, Home .5, Error .1
    """,
    "free": """
        Submit Registration: Home .999, Error@guest .001
        About: About .05, Help .01, Home .2, Settings .01, NextSong .3, Logout .01, Error .001
        Help: About .002, Help .1, Home .2, Settings .05, Upgrade .01, NextSong .32, Logout .01, Error .001
        Home: About .002, Help .002, Home .01, Settings .02, Upgrade .01, NextSong .6, Logout .01,
            Error .001
        Settings: About .002, Help .05, Home .1, Settings .1, Upgrade .01, NextSong .3,
            Cancel .005, Logout .01, Save Settings .2, Error .001
        Upgrade: About .002, Help .006, Home .1, Upgrade .07, NextSong .325, Logout .01,
            Submit Upgrade .3, Error .001
        NextSong: About .002, Help .005, Home .02, Settings .005, Upgrade .01, NextSong .5,
            Logout .02, Error .001, PlayAd .07
        PlayAd: NextSong .9, Upgrade .01
        Cancel: Cancellation Confirmation@free-gone .999, Error .001
        Logout: Home@free-out 1
        Save Settings: Home .65, Settings .1, Error .001
        Submit Upgrade: Home@paid 1
        Error: About .001, Help .002, Home .1, NextSong .3, Logout .01, Error .01
    """,
    "free-out": """
        About: About .05, Help .025, Home .3, Login .4, Error .001
        Help: About .0025, Help .1, Home .3, Login .5, Error .001
        Home: About .1, Help .05, Home .1, Login .5, Error .001
        Login: Home@free .9, Home .099, Error .001
        Error: About .01, Help .05, Home .5, Login .1, Error .01
    """,
    "paid": """
        About: About .05, Help .01, Home .2, Settings .01, NextSong .4, Logout .01, Error .001
        Downgrade: About .002, Downgrade .07, Help .006, Home .1, NextSong .63, Logout .01,
            Submit Downgrade .01, Error .001
        Help: About .002, Downgrade .01, Help .05, Home .1, Settings .02, NextSong .75, Logout .01,
            Error .001
        Home: About .002, Downgrade .01, Help .002, Home .01, Settings .02, NextSong .85,
            Logout .01, Error .001
        Settings: About .002, Downgrade .01, Help .05, Home .05, Settings .05, NextSong .6,
            Cancel .005, Logout .01, Save Settings .2, Error .001
        NextSong: About .002, Downgrade .01, Help .005, Home .02, Settings .005, NextSong .925,
            Logout .01, Error .001
        Cancel: Cancellation Confirmation@paid-gone .999, Error .001
        Logout: Home@paid-out .999, Error .001
        Save Settings: Home .8, Settings .1, Error .001
        Submit Downgrade: Home@free .999, Error .001
        Error: About .001, Help .01, Home .1, NextSong .2, Logout .01, Error .001
    """,
    "paid-out": """
        About: About .05, Help .05, Home .3, Login .1, Error .001
        Help: About .0025, Help .1, Home .2, Login .03, Error .001
        Home: About .1, Help .05, Home .1, Login .3, Error .001
        Login: Home@paid .9, Home .099, Error .001
        Error: Help .05, Home .3, Login .1, Error .01
    """,
}


def default_config() -> dict[str, Any]:
    """The configuration as a JSON object."""
    return {
        "alpha": 90.0,
        "beta": 604_800.0,
        "damping": 0.09375,
        "weekend-damping": 0.5,
        "weekend-damping-offset": 180,
        "weekend-damping-scale": 360,
        "session-gap": 1800,
        "churned-state": "Cancelled",
        "new-user-auth": "Guest",
        "new-user-level": "free",
        "levels": [{"level": "free", "weight": 10}, {"level": "paid", "weight": 2}],
        "auths": [
            {"auth": "Guest", "weight": 0},
            {"auth": "Logged In", "weight": 10},
            {"auth": "Logged Out", "weight": 1},
        ],
        "show-user-details": [
            {"auth": "Guest", "show": False},
            {"auth": "Logged In", "show": True},
            {"auth": "Logged Out", "show": False},
            {"auth": "Cancelled", "show": True},
        ],
        "new-session": [
            {**_state(page, group), "weight": weight}
            for group, pages in _ENTRIES.items()
            for page, weight in pages.items()
        ],
        "transitions": [
            transition for group, text in _MOVES.items() for transition in _transitions(group, text)
        ],
    }


def as_text(config: dict[str, Any]) -> str:
    """The configuration as JSON with a line for each entry of a list."""
    parts = []
    for key, value in config.items():
        if isinstance(value, list):
            rows = ",\n".join("    " + json.dumps(row) for row in value)
            parts.append(f"  {json.dumps(key)}: [\n{rows}\n  ]")
        else:
            parts.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _transitions(group: str, text: str) -> list[dict[str, Any]]:
    transitions = []
    for line in re.split(r"\n +(?=[^\n]*:)", text.strip()):
        page, moves = line.split(":")
        for move in moves.split(","):
            dest, p = move.rsplit(None, 1)
            dest_page, _, dest_group = dest.strip().partition("@")
            transitions.append(
                {
                    "source": _state(page.strip(), group),
                    "dest": _state(dest_page, dest_group or group),
                    "p": float(p),
                }
            )
    return transitions


def _state(page: str, group: str) -> dict[str, Any]:
    (method, status), (auth, level) = _PAGES[page], _GROUPS[group]
    return {"page": page, "method": method, "status": status, "auth": auth, "level": level}
