"""Taking secrets out of command lines and environments before they are written anywhere.

Better a word too many gone than a key kept: what looks like a secret by its name or by its shape is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

GONE = "[redacted]"

_SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:api[-_]?key|key|keys|token|tokens|secret|secrets|password|passwd|passphrase|pwd|pass|auth|"
    r"authorization|credential|credentials|cookie|bearer|private[-_]?key|access[-_]?key|signature|dsn|pat|webhook)"
    r"(?:$|[-_.])|(?:apikey|token|secret|password|passwd|credential)",
    re.IGNORECASE,
)
_HARMLESS_NAME = re.compile(
    r"max[-_]?(?:new[-_]?)?tokens?$|num[-_]?tokens?$|n[-_]?tokens?$|tokeni[sz]er|key[-_]?dim|monkey|tokens[-_]per|"
    r"min[-_]?tokens?$|pad[-_]?token|eos[-_]?token|bos[-_]?token",
    re.IGNORECASE,
)
_URL_LOGIN = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@]+@")
_QUERY_SECRET = re.compile(
    r"(?P<lead>[?&;](?:[\w.-]*(?:key|token|secret|password|passwd|pwd|sig|signature|auth|credential)[\w.-]*)=)[^&\s;#]+",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|"
    r"xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|AIza[\w-]{30,}|nvapi-[\w-]{16,}|"
    r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|[0-9a-f]{40}(?=[^0-9a-f]|$)(?<=[0-9a-f]{40}))"
)
_BEARER = re.compile(r"(?P<lead>\b(?:bearer|basic|token)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"^(?P<name>-{0,2}[A-Za-z_][\w.-]*)(?P<sign>[=:])(?P<value>.*)$", re.DOTALL)
_INLINE = re.compile(
    r"(?P<name>[A-Za-z_][\w.-]*)(?P<sign>\s*[=:]\s*)(?P<quote>[\"']?)(?P<value>[^\s\"',;&]+)(?P=quote)"
)

KEPT_VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
    "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK", "SLURM_NODELIST", "SLURM_PROCID",
    "TORCH_CUDNN_BENCHMARK", "PYTORCH_CUDA_ALLOC_CONF", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "NCCL_DEBUG",
    "CONDA_DEFAULT_ENV", "VIRTUAL_ENV", "WATTMARK_SYSFS", "WATTMARK_PROCFS", "WATTMARK_SOURCES", "WATTMARK_ZONE",
    "AWS_REGION", "AWS_DEFAULT_REGION", "GOOGLE_CLOUD_REGION", "LANG", "TZ",
)  # fmt: skip
"""Environment variables that change what a run costs or where it ran; no others are kept."""


def redact_text(text: str) -> str:
    """``text`` without logins in URLs, secrets in queries, bearer tokens, and words that have the shape of a key."""
    text = _URL_LOGIN.sub(lambda found: f"{found['scheme']}{GONE}@", text)
    text = _QUERY_SECRET.sub(lambda found: f"{found['lead']}{GONE}", text)
    text = _BEARER.sub(lambda found: f"{found['lead']}{GONE}", text)
    return _SHAPES.sub(GONE, text)


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line without its secrets: ``--token x``, ``--token=x``, ``KEY=x``, ``-H 'Authorization: ...'``, URLs."""
    kept: list[str] = []
    secret_next = False
    for argument in arguments:
        if secret_next and not argument.startswith("--"):
            kept.append(GONE)
            secret_next = False
            continue
        secret_next = False
        assignment = _ASSIGNMENT.match(argument)
        if assignment and is_secret_name(assignment["name"]):
            kept.append(f"{assignment['name']}{assignment['sign']}{GONE}")
            continue
        if argument.startswith("-") and is_secret_name(argument.lstrip("-")):
            secret_next = True
        kept.append(_redact_inline(argument))
    return kept


def redact_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The few variables that matter to a run (:data:`KEPT_VARIABLES`), redacted by name and by shape."""
    return {
        name: GONE if is_secret_name(name) else redact_text(environ[name])
        for name in KEPT_VARIABLES
        if name in environ
    }


def is_secret_name(name: str) -> bool:
    """Whether a flag or variable of this name probably holds a secret."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


def _redact_inline(argument: str) -> str:
    """Also inside one argument, as in ``sh -c 'API_KEY=x train'``."""

    def replace(found: re.Match[str]) -> str:
        if not is_secret_name(found["name"]):
            return found[0]
        return f"{found['name']}{found['sign']}{found['quote']}{GONE}{found['quote']}"

    if " " in argument or "\n" in argument:
        words = argument.split(" ")
        for index, word in enumerate(words[:-1]):
            if word.startswith("-") and is_secret_name(word.lstrip("-")) and "=" not in word:
                words[index + 1] = GONE
        argument = " ".join(words)
        argument = _INLINE.sub(replace, argument)
    return redact_text(argument)
