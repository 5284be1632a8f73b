"""Meters at the plug: their files and their protocols, and the fit of what lies between a machine's sensors and its plug.

``readings`` is what a meter said, ``table`` reads its files, ``http``, ``plugs``, ``controllers`` and ``snmp`` speak to
it, ``clocks`` finds how far its clock is off, ``load`` makes a machine work at several levels, ``wall`` fits.
"""
