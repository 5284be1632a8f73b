"""A small network that reasons on tasks that it makes itself: trained and scored here, served by `serving`."""
