"""``wattmark predict``: of servers and calls, of networks by their layers; how good predictions were."""
