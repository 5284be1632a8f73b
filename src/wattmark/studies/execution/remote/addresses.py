"""Where trials are to run, in one word (``wattmark study run --on``)::

local                                                  this machine
ssh://ann@node1,node2:2222?python=/opt/venv/bin/python  hosts, one trial on each at a time
slurm://PARTITION?gres=gpu:1&at_once=8                 jobs of SLURM; other words are parameters of sbatch
ray://head:10001, ray:auto                             the nodes of a Ray cluster
kubernetes://NAMESPACE?image=REGISTRY/NAME:TAG          Jobs; cpu, memory, nvidia.com/gpu and the like are resources
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote

from wattmark.errors import ConfigError
from wattmark.studies.execution.executors import Executor

KINDS = ("local", "ssh", "slurm", "ray", "kubernetes")
_HINT = f"one of {', '.join(KINDS)}: see wattmark study run --help"


def executor_of(address: str) -> Executor | None:
    """The executor that an address names; None for this machine. Raises ConfigError, MissingExtra, WattmarkError."""
    place, _, query = address.partition("?")
    kind, _, rest = place.partition(":")
    name = unquote(rest.removeprefix("//"))
    pairs = parse_qsl(query, keep_blank_values=True)
    words = dict(pairs)
    if len(words) != len(pairs):
        raise ConfigError(f"--on {address}: a word is there twice")
    if kind == "local" and not name and not words:
        return None
    if kind == "ssh":
        return _ssh(name, words)
    if kind == "slurm":
        return _slurm(name, words)
    if kind == "ray":
        return _ray(name, words)
    if kind in ("kubernetes", "k8s"):
        return _kubernetes(name, words)
    raise ConfigError(f"--on cannot be {address!r}", hint=_HINT)


def _ssh(hosts: str, words: dict[str, str]) -> Executor:
    from wattmark.studies.execution.remote.ssh import SshExecutor

    python, home = words.pop("python", "python3"), words.pop("home", "")
    _none_left("ssh", words, "python, home")
    return SshExecutor([host.strip() for host in hosts.split(",") if host.strip()], python=python, home=home)


def _slurm(partition: str, words: dict[str, str]) -> Executor:
    from wattmark.studies.execution.remote.slurm import SlurmExecutor

    at_once = _count("slurm", words.pop("at_once", "8"))
    python, folder = words.pop("python", None), words.pop("folder", None)
    named = {"partition": partition} if partition else {}
    parameters = {**named, "additional_parameters": dict(words)}
    place = None if folder is None else Path(folder).expanduser()
    return SlurmExecutor(at_once=at_once, folder=place, python=python, parameters=parameters)


def _ray(address: str, words: dict[str, str]) -> Executor:
    from wattmark.studies.execution.remote.ray_nodes import RayExecutor

    home = words.pop("home", "")
    _none_left("ray", words, "home")
    return RayExecutor("auto" if address in ("", "auto") else f"ray://{address}", home=home)


def _kubernetes(namespace: str, words: dict[str, str]) -> Executor:
    from wattmark.studies.execution.remote.kubernetes_jobs import KubernetesExecutor, PodNeeds

    at_once = _count("kubernetes", words.pop("at_once", "4"))
    labels = [part.partition("=") for part in words.pop("nodes", "").split(",") if part]
    needs = PodNeeds(
        image=words.pop("image", ""),
        python=words.pop("python", "python3"),
        node_selector={label: value for label, _, value in labels},
        service_account=words.pop("service_account", ""),
        agent=words.pop("agent", ""),
        resources=words,
    )
    return KubernetesExecutor(needs, namespace=namespace, at_once=at_once)


def _count(kind: str, word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= 10_000:
        raise ConfigError(f"--on {kind}: at_once cannot be {word!r}", hint="a number from 1 on")
    return int(word)


def _none_left(kind: str, words: dict[str, str], known: str) -> None:
    if words:
        raise ConfigError(f"--on {kind}: there is no {next(iter(words))!r}", hint=f"known are {known}")
