"""Taking secrets out of command lines and environments before they are written anywhere.

Better a word too many gone than a key kept: what looks like a secret by its name or by its shape is replaced. What
has neither cannot be known: a password glued to a one-letter flag (``mysql -phunter2``), a bare positional word, an
AWS *secret* key without its name. Patterns are compiled when a text first needs them, which plain ones never do.
"""

from __future__ import annotations

# ruff: noqa: SIM905 (lists of words read better as one string)
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

GONE = "[redacted]"

_SECRET_WORDS = frozenset(
    "key keys token tokens secret secrets password passwords passwd passphrase passcode pwd pass auth authorization "
    "credential credentials cookie cookies bearer signature sig dsn pat jwt webhook webhooks sshpass otp totp mfa pin "
    "pincode pw passkey".split()
)
_SECRET_PARTS = ("apikey", "token", "secret", "password", "passwd", "credential")
_PLURALS = frozenset("keys tokens secrets passwords credentials cookies webhooks".split())
_SCHEMES = frozenset(("bearer", "basic", "digest", "token"))
_SHELLS = frozenset("sh bash dash ash zsh ksh fish su script busybox".split())
_BEFORE_TOKEN = frozenset(
    "max min num n total new pad eos bos unk sep cls mask special image video audio stop prompt input output context "
    "generated completion prefill decode batched cached start end per by".split()
)
_AFTER_TOKEN = frozenset("per type types len length dim id ids count budget limit size level index".split())
_SAID = (
    r"(?P<lead>\b(?:pass ?(?:word|wd|phrase|code|key)|pw|pwd|secret|token|api[ _-]?key|otp|pin)s?\s+(?:is|was|are)\s*:?\s+"
    r"[\"']?)(?!(?:not|required|missing|invalid|wrong|empty|none|set|optional|valid)\b)[^\s\"']+"
)
_BARE_LOGIN = r"(?<![\w@/:.+-])(?P<user>[\w.+-]+:)(?!/)[^\s@/\"']+@(?!sha\d+\b)(?=[\w\[])"
_AFTER_KEY = frozenset("dim dims size len length padding proj bits heads column columns".split())

_CAMEL = r"(?<=[a-z0-9])(?=[A-Z])"
_LOGIN = (
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]{0,30}://)"
    r"(?:[^\s/?#:@]*:(?!\d{1,5}(?:[/?#\s]|$))[^\s\"'<>]*|[^\s/?#\"']*)@"
)
_BEARER = r"(?P<lead>\b(?:bearer\s+|basic\s+(?=[\w+/=-]{8})))[^\s\"']+"
_SHAPES = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)|"
    r"(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks)/\S+|"
    r"(?<![A-Za-z0-9])(?:sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{10,}|hf_\w{16,}|gh[pousr]_\w{16,}|github_pat_\w{20,}|"
    r"glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}|ya29\.[\w.-]{16,}|"
    r"nvapi-[\w-]{16,}|gsk_\w{16,}|r8_\w{16,}|xai-[\w-]{16,}|npm_\w{20,}|pypi-[\w-]{20,}|dapi[0-9a-f]{32}|"
    r"dckr_(?:pat|oat)_[\w-]{16,}|shp(?:at|ss|ca|pa)_[0-9a-fA-F]{16,}|AGE-SECRET-KEY-[0-9A-Z]{20,}|hvs\.[\w-]{20,}|"
    r"glsa_\w{20,}|dop_v1_[0-9a-f]{20,}|sntry[su]_[\w=/+-]{20,}|lin_api_\w{20,}|tskey-[\w-]{16,}|ATATT3[\w=-]{20,}|"
    r"figd_[\w-]{20,}|ntn_\w{20,}|secret_\w{32,}|whsec_[\w+/=]{16,}|sq0(?:csp|atp)-[\w-]{20,}|pul-[0-9a-f]{20,}|"
    r"PMAK-[\w-]{20,}|rubygems_[0-9a-f]{20,}|tvly-[\w-]{16,}|pplx-\w{20,}|fw_\w{20,}|"
    r"wandb_v\d_\w{16,}|SG\.[\w-]{16,}\.[\w-]+|eyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)*)|"
    r"(?<![\w/@.-])[0-9a-f]{40}(?![\w-])"  # Weights & Biases; a commit in a path or after @ is none
)
_MARKS = (
    "-----BEGIN sk- k_live_ k_test_ hf_ ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- xox AKIA ASIA AIza ya29. nvapi- gsk_ "
    "r8_ xai- npm_ pypi- dapi wandb_v SG. eyJ hooks dckr_ shp AGE-SECRET hvs. glsa_ dop_v1_ sntry lin_api_ tskey- ATATT3 "
    "figd_ ntn_ secret_ whsec_ sq0 pul- PMAK- rubygems_ tvly- pplx- fw_".split()
)
_NAME_SIGN = r"(?<![\w.-])(?P<name>[A-Za-z_-][\w.-]*)(?P<mid>\\*[\"']?\]?\s*(?:=>|:=|==?|:)\s*|(?<=\w)\s+)"
_VALUE = (
    r"(?P<quote>\\*[\"'])(?P<inside>(?:(?!(?P=quote))(?:\\.|.))*)(?:(?P=quote)|\Z)|"
    r"(?:(?:bearer|basic|digest|token)\s+)?[^\s\"']+"
)
_WORD = r"(?:[^\s;|&()'\"\\]|\\.|'[^']*(?:'|\Z)|\"(?:\\.|[^\"\\])*(?:\"|\Z)|\\\Z)+"
_GAP = r"(?:[\s;|&()]|\\\n)+"
_PIECE = r"'([^']*)(?:'|\Z)|\"((?:\\.|[^\"\\])*)(?:\"|\Z)|\\(.)|([^'\"\\]+)"

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


_SHORT = {
    "mysql": "-p", "mysqldump": "-p", "mysqladmin": "-p", "mysqlimport": "-p", "mariadb": "-p", "mariadb-dump": "-p",
    "sshpass": "-p", "login": "-p", "redis-cli": "-a", "curl": "-b", "zip": "-P", "unzip": "-P",
}  # fmt: skip
"""The one-letter flags that take a password (or a cookie) in programs, and in ``docker login``."""


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line without its secrets.

    Known: ``--token x``, ``--token=x``, ``KEY=x``, ``-H 'Authorization: Bearer x'``, ``-u user:x``, logins and queries
    of URLs, JSON, the scripts of ``sh -c`` (whose harmless rest stays), and words that have the shape of a key.
    """
    words: list[str] = []
    awaited = ""
    program = ""
    short: set[str] = set()
    for argument in arguments:
        name = awaited
        awaited = ""
        if name == "shell":
            words.append(_redact_shell(argument))
        elif name == "login" and ":" in argument:
            words.append(_redact_login(argument))
        elif name not in ("", "shell", "login") and not argument.startswith("--"):
            words.append(argument if _is_count(name, argument) else GONE)
            if argument.lower() in _SCHEMES or _words(name) & _PLURALS:
                awaited = name
            continue
        elif argument[:2] in short and len(argument) > 2 and argument[1] != "-":
            words.append(f"{argument[:2]}{GONE}")
        else:
            words.append(_redact_word(argument))
        awaited = "password" if argument in short else _announces(argument, program)
        if not argument.startswith("-"):
            program = argument.rpartition("/")[2]
            if program in _SHORT:
                short.add(_SHORT[program])
    return words


def redact_text(text: str) -> str:
    """Free text without logins in URLs, values of secret names, bearer tokens, and words of the shape of a key."""
    if len(text) < 8 and not any(sign in text for sign in "=: "):
        return text
    if "://" in text:
        text = re.sub(_LOGIN, lambda match: f"{match['scheme']}{GONE}@", text)
    if "@" in text and ":" in text:
        text = re.sub(_BARE_LOGIN, lambda match: f"{match['user']}{GONE}@", text)
    if any(sign in text for sign in "=: \t\n"):
        text = re.sub(_SAID, lambda match: f"{match['lead']}{GONE}", text, flags=re.IGNORECASE)
        text = "".join(_without_named(text))
        text = re.sub(_BEARER, lambda match: f"{match['lead']}{GONE}", text, flags=re.IGNORECASE)
    if any(mark in text for mark in _MARKS) or any(len(part) >= 40 for part in text.split("/")):
        text = re.sub(_SHAPES, GONE, text, flags=re.DOTALL)
    return text


def redact_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The few variables that matter to a run (:data:`KEPT_VARIABLES`), redacted by name and by shape."""
    return {
        name: GONE if is_secret_name(name) else redact_text(environ[name])
        for name in KEPT_VARIABLES
        if name in environ
    }


def is_secret_name(name: str) -> bool:
    """Whether a flag or variable of this name probably holds a secret (``--max-tokens`` and ``key_dim`` do not)."""
    return bool(_words(name))


def _words(name: str) -> frozenset[str]:
    """The words of a name that say "secret", glued ones (``HFTOKEN``) too."""
    if not name.islower() and not name.isupper():
        name = re.sub(_CAMEL, "_", name)
    words = [word for word in name.lower().replace("-", "_").replace(".", "_").split("_") if word]
    pieces: set[str] = set()
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if word in ("token", "tokens") and (before in _BEFORE_TOKEN or after in _AFTER_TOKEN):
            continue
        if word == "pin" and after:  # pin_memory
            continue
        if word in ("key", "keys") and (before in ("num", "n") or after in _AFTER_KEY):
            continue
        glued = any(part in word for part in _SECRET_PARTS) and not _is_harmless_word(word)
        if word in _SECRET_WORDS or glued:
            pieces.add(word)
    return frozenset(pieces)


def _is_harmless_word(word: str) -> bool:
    """``tokenizer``, ``detokenise``, ``maxtokens``: words that hold "token" without being one."""
    before, token, after = word.partition("token")
    if not token or any(part in word for part in _SECRET_PARTS if part != "token"):
        return False
    return after.startswith(("iz", "is")) or (after in ("", "s") and before in _BEFORE_TOKEN)


def _is_count(name: str, value: str) -> bool:
    """``--tokens 128`` is a number of tokens."""
    digits = value.rstrip("kKmMbB")
    return _words(name) == frozenset(("tokens",)) and digits.isdigit() and len(digits) < 10


def _announces(argument: str, program: str) -> str:
    """What the next word is, said by this one: ``shell`` for a script, ``login`` for user:password, a secret's name."""
    if argument in ("-u", "-U", "--user", "--proxy-user"):
        return "login"
    if argument == "--wrap" or (program in _SHELLS and argument[:1] == "-" and argument[-1:] == "c"):
        return "shell"
    _, sign, value = _assignment(argument)
    if sign and value:
        return ""
    bare = argument.strip("\"'").rstrip(":= ")
    if (argument.startswith("-") or bare != argument.strip("\"'")) and is_secret_name(bare):
        return bare
    return "bearer" if bare.lower() == "bearer" else ""


def _redact_word(word: str) -> str:
    """One argument: an assignment or a header as a whole, JSON by its names, anything else as free text."""
    name, sign, value = _assignment(word)
    if sign:
        if is_secret_name(name) and value:
            return word if _is_count(name, value) else f"{name}{sign}{GONE}"
        if name.endswith("-wrap"):
            return f"{name}{sign}{_redact_shell(value)}"
        if name in ("--user", "--proxy-user") and ":" in value:
            return f"{name}{sign}{_redact_login(value)}"
        if sign[0] == "=":
            return f"{name}{sign}{_redact_word(value)}"
    if word[:2] == "-u" and ":" in word and "=" not in word:
        return f"-u{_redact_login(word[2:])}"
    if word.lstrip()[:1] in ("{", "["):
        try:
            data = json.loads(word)
        except (ValueError, RecursionError):
            return redact_text(word)
        cleaned = _redact_json(data)
        return word if cleaned == data else json.dumps(cleaned, ensure_ascii=False)
    return redact_text(word)


def _assignment(word: str) -> tuple[str, str, str]:
    """``--name=value`` or ``Name: value`` as name, sign with its spaces, value; the sign is empty if it is neither."""
    ends = [at for at in (word.find("="), word.find(":")) if at > 0]
    if not ends:
        return word, "", ""
    end = min(ends)
    name = word[:end]
    plain = name.lstrip("-+~").replace("-", "").replace(".", "").replace("_", "")
    if not plain.isalnum() or word[end:].startswith("://"):
        return word, "", ""
    value = word[end + 1 :].lstrip()
    return name, word[end : len(word) - len(value)], value


def _redact_login(login: str) -> str:
    """``user:password``; ``1000:1000``, as docker takes it, is none."""
    user, _, password = login.partition(":")
    return login if user.isdigit() and password.isdigit() else f"{user}:{GONE}"


def _redact_json(data: Any) -> Any:
    if isinstance(data, str):
        return _redact_word(data)
    if isinstance(data, list):
        if all(isinstance(item, str) for item in data):  # pyright: ignore[reportUnknownVariableType]
            return redact_arguments(data)  # pyright: ignore[reportUnknownArgumentType]
        return [_redact_json(item) for item in data]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(data, dict):
        return data
    items: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
    named = str(items.get("name", items.get("key", "")))  # Kubernetes: {"name": "TOKEN", "value": "x"}
    cleaned: dict[str, Any] = {}
    for name, value in items.items():
        secret = is_secret_name(name) and not (name == "key" and "value" in items)
        secret = secret or (name == "value" and is_secret_name(named))
        if secret and value is not None and not isinstance(value, bool) and not _is_count(name, str(value)):
            cleaned[name] = GONE
        else:
            cleaned[redact_text(name)] = _redact_json(value)
    return cleaned


def _without_named(text: str) -> Iterator[str]:
    """The pieces of a text, the values of secret names replaced: ``name=x``, ``"name": "x"``, ``--name x``, ``?name=x``."""
    names = re.compile(_NAME_SIGN)
    values = re.compile(_VALUE, re.DOTALL | re.IGNORECASE)
    done = 0
    match = names.search(text)
    while match is not None:
        end = match.end()
        is_flag_only = not match["mid"].strip()
        if is_secret_name(match["name"]) and (match["name"][0] == "-" or not is_flag_only):
            before = text[match.start() - 1 : match.start()]
            if before in ("?", "&") and before:
                value = re.compile(r"[^\s&#\"']+").match(text, end)
            elif before in ("'", '"') and before and match["mid"].lstrip()[:1] == ":":
                value = re.compile(f"[^{before}]+").match(text, end)  # a header in quotes
            else:
                value = values.match(text, end)
            skip = is_flag_only and text.startswith("--", end)
            if value is not None and not skip and not _is_count(match["name"], value[0]):
                quote = value.groupdict().get("quote") or ""
                yield f"{text[done:end]}{quote}{GONE}{quote}"
                done = end = value.end()
        match = names.search(text, end)
    yield text[done:]


def _redact_shell(script: str) -> str:
    """A shell script, word by word, so that what is no secret stays as it was written."""
    pieces: list[str] = []
    words: list[str] = []
    places: list[int] = []

    def finish() -> None:
        for place, old, new in zip(places, words, redact_arguments(words), strict=True):
            if old != new:
                pieces[place] = _quoted(new)
        words.clear()
        places.clear()

    for match in re.finditer(f"(?P<gap>{_GAP})|{_WORD}", script, re.DOTALL):
        if match["gap"] is None:
            words.append(_unquoted(match[0]))
            places.append(len(pieces))
        elif any(sign in match[0] for sign in ";|&()"):
            finish()
        pieces.append(match[0])
    finish()
    return "".join(pieces)


def _unquoted(word: str) -> str:
    parts = re.findall(_PIECE, word, re.DOTALL)
    return "".join(
        single + re.sub(r"\\(.)", r"\1", double) + escaped + bare for single, double, escaped, bare in parts
    )


def _quoted(word: str) -> str:
    if not any(sign in word for sign in " \t\n;|&()<>$'\"\\"):
        return word
    return "'" + word.replace("'", "'\\''") + "'"
