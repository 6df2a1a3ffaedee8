"""The states of the USA: code, name, and place in the tile-grid map (column, row), one square each.

The grid is this project's own arrangement: neighbours stay neighbours where squares allow it.
"""

GRID = """
ME:10,0
VT:9,1 NH:10,1
WA:0,2 ID:1,2 MT:2,2 ND:3,2 MN:4,2 IL:5,2 WI:6,2 MI:7,2 NY:8,2 RI:9,2 MA:10,2
OR:0,3 NV:1,3 WY:2,3 SD:3,3 IA:4,3 IN:5,3 OH:6,3 PA:7,3 NJ:8,3 CT:9,3
CA:0,4 UT:1,4 CO:2,4 NE:3,4 MO:4,4 KY:5,4 WV:6,4 VA:7,4 MD:8,4 DE:9,4
AZ:1,5 NM:2,5 KS:3,5 AR:4,5 TN:5,5 NC:6,5 SC:7,5 DC:8,5
OK:3,6 LA:4,6 MS:5,6 AL:6,6 GA:7,6
AK:0,7 HI:1,7 TX:3,7 FL:8,7
"""

TILES: dict[str, tuple[int, int]] = {
    code: (int(column), int(row))
    for code, place in (item.split(":") for item in GRID.split())
    for column, row in [place.split(",")]
}

_NAMES = """
AL Alabama, AK Alaska, AZ Arizona, AR Arkansas, CA California, CO Colorado, CT Connecticut, DE Delaware,
DC District of Columbia, FL Florida, GA Georgia, HI Hawaii, ID Idaho, IL Illinois, IN Indiana, IA Iowa,
KS Kansas, KY Kentucky, LA Louisiana, ME Maine, MD Maryland, MA Massachusetts, MI Michigan, MN Minnesota,
MS Mississippi, MO Missouri, MT Montana, NE Nebraska, NV Nevada, NH New Hampshire, NJ New Jersey,
NM New Mexico, NY New York, NC North Carolina, ND North Dakota, OH Ohio, OK Oklahoma, OR Oregon,
PA Pennsylvania, RI Rhode Island, SC South Carolina, SD South Dakota, TN Tennessee, TX Texas, UT Utah,
VT Vermont, VA Virginia, WA Washington, WV West Virginia, WI Wisconsin, WY Wyoming
"""

NAMES: dict[str, str] = {
    code: name for item in _NAMES.replace("\n", " ").split(",") for code, name in [item.strip().split(" ", 1)]
}
