"""The states of the bundled places: people (thousands), first three digits of a ZIP code, and towns.

A line that begins with a bar goes on with the state before. A town is its name with latitude and longitude in
degrees, the largest first.
"""

STATES = """
AL Alabama 5024 350 | Birmingham 33.52 -86.80 | Montgomery 32.37 -86.30 | Huntsville 34.73 -86.59
AK Alaska 733 995 | Anchorage 61.22 -149.90 | Fairbanks 64.84 -147.72 | Juneau 58.30 -134.42
AZ Arizona 7152 850 | Phoenix 33.45 -112.07 | Tucson 32.22 -110.97 | Flagstaff 35.20 -111.65
AR Arkansas 3012 716 | Little Rock 34.75 -92.29 | Fayetteville 36.06 -94.16 | Jonesboro 35.84 -90.70
CA California 39538 900 | Los Angeles 34.05 -118.24 | San Diego 32.72 -117.16
| San José 37.34 -121.89 | Sacramento 38.58 -121.49
CO Colorado 5774 800 | Denver 39.74 -104.99 | Colorado Springs 38.83 -104.82 | Boulder 40.01 -105.27
CT Connecticut 3606 060 | Bridgeport 41.18 -73.19 | Hartford 41.76 -72.67 | New Haven 41.31 -72.92
DE Delaware 990 197 | Wilmington 39.75 -75.55 | Dover 39.16 -75.52
DC District_of_Columbia 690 200 | Washington 38.91 -77.04
FL Florida 21538 320 | Jacksonville 30.33 -81.66 | Miami 25.76 -80.19 | Tampa 27.95 -82.46 | Orlando 28.54 -81.38
GA Georgia 10712 300 | Atlanta 33.75 -84.39 | Augusta 33.47 -82.01 | Savannah 32.08 -81.09
HI Hawaii 1455 967 | Honolulu 21.31 -157.86 | Hilo 19.71 -155.08
ID Idaho 1839 832 | Boise 43.62 -116.20 | Idaho Falls 43.49 -112.04 | Coeur d'Alene 47.68 -116.78
IL Illinois 12813 600 | Chicago 41.88 -87.63 | Aurora 41.76 -88.32 | Peoria 40.69 -89.59 | Springfield 39.78 -89.65
IN Indiana 6786 460 | Indianapolis 39.77 -86.16 | Fort Wayne 41.08 -85.14 | Evansville 37.97 -87.57
IA Iowa 3190 500 | Des Moines 41.59 -93.62 | Cedar Rapids 41.98 -91.67 | Davenport 41.52 -90.58
KS Kansas 2938 660 | Wichita 37.69 -97.34 | Overland Park 38.98 -94.67 | Topeka 39.05 -95.68
KY Kentucky 4506 400 | Louisville 38.25 -85.76 | Lexington 38.04 -84.50 | Bowling Green 36.99 -86.44
LA Louisiana 4658 700 | New Orleans 29.95 -90.07 | Baton Rouge 30.45 -91.19 | Shreveport 32.53 -93.75
ME Maine 1362 040 | Portland 43.66 -70.26 | Bangor 44.80 -68.77
MD Maryland 6177 206 | Baltimore 39.29 -76.61 | Frederick 39.41 -77.41 | Annapolis 38.98 -76.49
MA Massachusetts 7030 010 | Boston 42.36 -71.06 | Worcester 42.26 -71.80 | Springfield 42.10 -72.59
MI Michigan 10077 480 | Detroit 42.33 -83.05 | Grand Rapids 42.96 -85.67 | Lansing 42.73 -84.56
MN Minnesota 5706 550 | Minneapolis 44.98 -93.27 | Duluth 46.79 -92.10 | Rochester 44.01 -92.48
MS Mississippi 2961 386 | Jackson 32.30 -90.18 | Gulfport 30.37 -89.09 | Tupelo 34.26 -88.70
MO Missouri 6155 630 | St. Louis 38.63 -90.20 | Kansas City 39.10 -94.58 | Springfield 37.21 -93.29
MT Montana 1084 590 | Billings 45.78 -108.50 | Missoula 46.87 -113.99
NE Nebraska 1962 680 | Omaha 41.26 -95.93 | Lincoln 40.81 -96.70
NV Nevada 3105 889 | Las Vegas 36.17 -115.14 | Reno 39.53 -119.81
NH New_Hampshire 1378 030 | Manchester 42.99 -71.46 | Concord 43.21 -71.54
NJ New_Jersey 9289 070 | Newark 40.74 -74.17 | Jersey City 40.73 -74.08 | Trenton 40.22 -74.76
NM New_Mexico 2118 870 | Albuquerque 35.08 -106.65 | Santa Fe 35.69 -105.94 | Española 35.99 -106.08
NY New_York 20201 100 | New York 40.71 -74.01 | Buffalo 42.89 -78.88 | Rochester 43.16 -77.61 | Albany 42.65 -73.75
NC North_Carolina 10439 270 | Charlotte 35.23 -80.84 | Raleigh 35.78 -78.64 | Asheville 35.60 -82.55
ND North_Dakota 779 580 | Fargo 46.88 -96.79 | Bismarck 46.81 -100.78
OH Ohio 11799 430 | Columbus 39.96 -83.00 | Cleveland 41.50 -81.69 | Cincinnati 39.10 -84.51
OK Oklahoma 3959 730 | Oklahoma City 35.47 -97.52 | Tulsa 36.15 -95.99
OR Oregon 4237 970 | Portland 45.52 -122.68 | Eugene 44.05 -123.09 | Salem 44.94 -123.04
PA Pennsylvania 13003 150 | Philadelphia 39.95 -75.17 | Pittsburgh 40.44 -80.00 | Erie 42.13 -80.09
RI Rhode_Island 1097 028 | Providence 41.82 -71.41 | Newport 41.49 -71.31
SC South_Carolina 5118 290 | Charleston 32.78 -79.93 | Columbia 34.00 -81.03 | Greenville 34.85 -82.39
SD South_Dakota 887 570 | Sioux Falls 43.55 -96.73 | Rapid City 44.08 -103.23
TN Tennessee 6911 370 | Nashville 36.16 -86.78 | Memphis 35.15 -90.05 | Knoxville 35.96 -83.92
TX Texas 29146 750 | Houston 29.76 -95.37 | Dallas 32.78 -96.80 | San Antonio 29.42 -98.49 | El Paso 31.76 -106.49
UT Utah 3272 840 | Salt Lake City 40.76 -111.89 | Provo 40.23 -111.66
VT Vermont 643 050 | Burlington 44.48 -73.21 | Rutland 43.61 -72.97
VA Virginia 8631 220 | Virginia Beach 36.85 -75.98 | Richmond 37.54 -77.44 | Roanoke 37.27 -79.94
WA Washington 7705 980 | Seattle 47.61 -122.33 | Spokane 47.66 -117.43 | Tacoma 47.25 -122.44
WV West_Virginia 1794 250 | Charleston 38.35 -81.63 | Morgantown 39.63 -79.96
WI Wisconsin 5894 530 | Milwaukee 43.04 -87.91 | Madison 43.07 -89.40 | Green Bay 44.51 -88.01
WY Wyoming 577 820 | Cheyenne 41.14 -104.82 | Casper 42.87 -106.31
"""
