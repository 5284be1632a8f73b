"""Which process serves at a URL on this machine: the owner of the listening socket, found through ``/proc``.

``/proc/net/tcp`` names the socket by its inode (proc(5)), and the process that has it open is the server: a container's,
too, behind ``docker-proxy`` or in a network namespace of its own. Reading the open files of other users' processes
takes root; where the owner cannot be told, it is not guessed. Standard library only.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

LISTENING = "0A"
"""State TCP_LISTEN (include/net/tcp_states.h)."""
TUNNELS = frozenset(
    {
        "ssh",
        "autossh",
        "kubectl",
        "socat",
        "cloudflared",
        "ngrok",
        "frpc",
        "chisel",
        "stunnel",
        "stunnel4",
        "gost",
        "oc",
    }
)
"""Programs that pass connections on, as a rule to another machine."""
FORWARDERS = frozenset({"docker-proxy", "rootlessport", "slirp4netns", "pasta", "pasta.avx2"})
"""Programs that pass connections on into a container of this machine."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Addresses = frozenset[Address]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who listens. pids: the roots of the server's process trees, empty where it is not known. tunnel: the name of the
    program that passes connections on to elsewhere, if that is what listens. behind: those of ``pids`` that do not listen
    there themselves, to which requests are passed on."""

    pids: tuple[int, ...] = ()
    tunnel: str | None = None
    behind: tuple[int, ...] = ()


def is_here(host: str) -> bool:
    """Whether a host's name or address is this machine's: loopback, the unspecified address, or one of an interface."""
    return any(_can_bind(address) for address in addresses_of(host))


def addresses_of(host: str) -> Addresses:
    """The addresses of a host; empty if it cannot be resolved."""
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries)


def _can_bind(address: Address) -> bool:
    """Only an address of this machine can be bound to (bind(2): EADDRNOTAVAIL otherwise)."""
    if address.is_loopback or address.is_unspecified:
        return True
    if address.is_multicast:
        return False
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def owner_of(host: str, port: int, procfs: str = "/proc") -> Owner:
    """The owner of the socket that listens at this address of this machine; without pids where that cannot be told."""
    processes = _pids(procfs)
    inodes = _listening(f"{procfs}/self/net", port, addresses_of(host))
    pids = _holders(inodes, processes, procfs)
    names = {pid: name_of(pid, procfs) for pid in pids}
    tunnel = next((name for name in names.values() if name in TUNNELS), None)
    if tunnel is not None:
        return Owner((), tunnel)
    forwarded = [pid for pid, name in names.items() if name in FORWARDERS]
    if forwarded:
        pids = {inner for pid in forwarded for inner in _forwarded_to(pid, port, processes, procfs)}
    elif (
        not inodes
    ):  # the kernel may pass connections on by itself (a container's published port without docker-proxy)
        pids = _in_other_namespaces(port, None, processes, procfs)
    return Owner(tuple(sorted({_root(pid, procfs) for pid in pids})))


def _listening(folder: str, port: int, addresses: Addresses | None) -> set[str]:
    """Inodes of sockets that listen at the port, on one of the addresses or on all; None: whatever the address."""
    inodes: set[str] = set()
    for row in rows_of(folder):
        address, _, number = row[1].partition(":")
        if row[3] != LISTENING or int(number, 16) != port or row[9] == "0":
            continue
        own = address_of(address)
        if (
            addresses is None
            or own.is_unspecified
            or own in addresses
            or any(a.is_unspecified for a in addresses)
        ):
            inodes.add(row[9])
    return inodes


def rows_of(folder: str) -> Iterator[list[str]]:
    """The rows of a namespace's TCP sockets, as the kernel lists them (proc(5), /proc/net/tcp)."""
    for name in ("tcp", "tcp6"):
        try:
            with open(f"{folder}/{name}", encoding="ascii") as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except OSError:
            continue
        yield from (row for row in rows if len(row) >= 10)


def holders_at(address: Address, port: int, procfs: str) -> set[int]:
    """The roots of the processes that listen at an address of this machine, in containers too; none elsewhere."""
    processes = _pids(procfs)
    here = frozenset({address})
    if _can_bind(address):
        pids = _holders(_listening(f"{procfs}/self/net", port, here), processes, procfs)
    else:
        pids = _in_other_namespaces(port, here, processes, procfs)
    if any(name_of(pid, procfs) in TUNNELS for pid in pids):
        return set()
    return {_root(pid, procfs) for pid in pids}


def sockets_of(pids: Iterable[int], procfs: str) -> set[str]:
    """Inodes of the sockets that processes have open."""
    links = (link for pid in pids for link in _links(f"{procfs}/{pid}/fd"))
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}


def family_of(roots: Iterable[int], procfs: str) -> set[int]:
    """The processes and all that descend from them."""
    parents = {pid: _parent_and_session(pid, procfs)[0] for pid in _pids(procfs)}
    family = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in family and pid not in family}:
        family |= more
    return family


def address_of(text: str) -> Address:
    """An address as the kernel prints it: words of 32 bits in the machine's own order (little-endian where this runs)."""
    data = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    if len(data) == 4:
        return ipaddress.IPv4Address(data)
    address = ipaddress.IPv6Address(data)
    return address.ipv4_mapped or address


def _pids(procfs: str) -> list[int]:
    try:
        return sorted(int(entry.name) for entry in os.scandir(procfs) if entry.name.isdigit())
    except OSError:
        return []


def _holders(inodes: set[str], pids: Iterable[int], procfs: str) -> set[int]:
    """The processes that have one of the sockets open, as far as this user may see it."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return {pid for pid in pids if wanted and any(link in wanted for link in _links(f"{procfs}/{pid}/fd"))}


def _links(folder: str) -> Iterator[str]:
    try:
        names = [entry.path for entry in os.scandir(folder)]
    except OSError:  # gone, or another user's
        return
    for name in names:
        link = _link(name)
        if link is not None:
            yield link


def _forwarded_to(pid: int, port: int, pids: list[int], procfs: str) -> set[int]:
    """Behind a forwarder: by the address on its command line (docker-proxy), else whoever listens at the same port."""
    words = _read(f"{procfs}/{pid}/cmdline").split("\0")
    options = dict(pairwise(words))
    address, inner = options.get("-container-ip"), options.get("-container-port", "")
    addresses = frozenset({ipaddress.ip_address(address)}) if address else None
    return _in_other_namespaces(int(inner) if inner.isdigit() else port, addresses, pids, procfs)


def _in_other_namespaces(port: int, addresses: Addresses | None, pids: list[int], procfs: str) -> set[int]:
    """Who listens at the port in another network namespace; nobody if that is more than one socket in more than one."""
    own = _namespace("self", procfs)
    members: dict[str, list[int]] = {}
    for pid in pids:
        namespace = _namespace(str(pid), procfs)
        if namespace not in (None, own):
            members.setdefault(str(namespace), []).append(pid)
    holders = [
        owners
        for inside in members.values()
        if (owners := _holders(_listening(f"{procfs}/{inside[0]}/net", port, addresses), inside, procfs))
        and (addresses is None or _has_address(f"{procfs}/{inside[0]}/net", addresses))
    ]
    return holders[0] if len(holders) == 1 else set()


def _has_address(folder: str, addresses: Addresses) -> bool:
    """Whether a namespace has one of the addresses (``fib_trie`` lists them as ``/32 host LOCAL``); True if not told."""
    text = _read(f"{folder}/fib_trie")
    return not text or any(f"-- {address}\n" in text for address in addresses)


def _namespace(pid: str, procfs: str) -> str | None:
    return _link(f"{procfs}/{pid}/ns/net")


def _root(pid: int, procfs: str) -> int:
    """The process that started the server: as far up as the same program runs in the same session. Servers listen in one
    process and work in its siblings (vLLM's API servers and engine cores). Never one that this process descends from."""
    above = set(_ancestors(os.getpid(), procfs))
    while True:
        parent, session = _parent_and_session(pid, procfs)
        if parent <= 1 or parent in above or _parent_and_session(parent, procfs)[1] != session:
            return pid
        program = _link(f"{procfs}/{pid}/exe")
        if program is None or program != _link(f"{procfs}/{parent}/exe"):
            return pid
        pid = parent


def _ancestors(pid: int, procfs: str) -> Iterator[int]:
    while pid > 0:
        yield pid
        pid = _parent_and_session(pid, procfs)[0]


def _parent_and_session(pid: int, procfs: str) -> tuple[int, int]:
    fields = _read(f"{procfs}/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[1]), int(fields[3])) if len(fields) > 3 else (0, 0)


def name_of(pid: int, procfs: str = "/proc") -> str:
    """The name of a process, empty where it is gone."""
    return _read(f"{procfs}/{pid}/comm").strip()


def _link(path: str) -> str | None:
    try:
        return str(Path(path).readlink())
    except OSError:
        return None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
