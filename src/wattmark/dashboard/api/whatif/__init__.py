"""The same run elsewhere: hardware, place, duration; profiles of other tools."""
