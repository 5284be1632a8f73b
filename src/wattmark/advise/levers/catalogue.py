"""The standard levers that need no edit of the user's code, each with a reason where it does not apply.

What each of them does is documented by its maker: OpenMP 5.2, section 21 (``OMP_*``); the GNU C library's manual, "Memory
Allocation Tunables"; PyTorch's documentation (``torch.compile``, ``torch.autocast``, ``channels_last``, ``inference_mode``,
``quantize_dynamic``, ``set_flush_denormal``, fused optimizers, ``DataLoader``); joblib's (``LOKY_MAX_CPU_COUNT``). What it
saves is nowhere said here: it is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wattmark.advise.levers.lever import Level, Lever
from wattmark.advise.levers.subject import Argument, Computer, Network, Subject

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
_NUMERIC = frozenset(
    {"numpy", "torch", "sklearn", "tensorflow", "jax", "lightgbm", "xgboost", "onnxruntime", "transformers"}
)
_BATCH_NAMES = ("batch_size", "batch", "train_batch_size", "bs")
_WORKER_NAMES = ("workers", "num_workers", "loader_workers")
_UNSEEN = "no Python process of the command was seen"


def levers_for(subject: Subject, computer: Computer) -> list[Lever]:
    """All of them, those that do not apply with the reason."""
    return [
        *_threads(subject, computer),
        *_placing(computer),
        *_memory(computer),
        *_python(subject),
        *_torch(subject, computer),
        *_data(subject, computer),
        *_declared(subject, computer),
        *_system(computer),
    ]


def _threads(subject: Subject, computer: Computer) -> Iterator[Lever]:
    off = None
    if len(computer.cpus) < 2:
        off = "the command may use one CPU only"
    elif subject.hooked and not subject.loaded & _NUMERIC:
        off = "no library with threads of its own was loaded"
    for count in sorted({1, max(1, len(computer.cpus) // 2)}):
        words = "one thread" if count == 1 else f"{count} threads"
        names = {name: str(count) for name in _THREADS}
        yield Lever(
            words,
            "threads",
            f"numeric libraries work with {words}",
            _export(dict(list(names.items())[:3])),
            names,
            off=off,
        )
    yield Lever(
        "threads that sleep",
        "waiting",
        "threads that wait for work sleep instead of spinning",
        _export({"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}),
        {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"},
        off=off,
    )


def _placing(computer: Computer) -> Iterator[Lever]:
    off = "the command may use one CPU only" if len(computer.cpus) < 2 else None
    first = computer.cores[0]
    yield Lever(
        "one core",
        "affinity",
        f"the command stays on CPU {first}",
        f"taskset -c {first} CMD",
        cpus=(first,),
        off=off,
    )
    several = None if len(computer.cores) < len(computer.cpus) else "cores here have no sibling threads"
    listed = ",".join(map(str, computer.cores))
    yield Lever(
        "one thread a core",
        "affinity",
        "the command stays off sibling threads of its cores",
        f"taskset -c {listed} CMD",
        cpus=computer.cores,
        off=off or several,
    )


def _memory(computer: Computer) -> Iterator[Lever]:
    off = None if computer.glibc is not None else "the C library here is not the GNU one"
    yield Lever(
        "few arenas", "arenas", "the allocator keeps one arena instead of eight a core",
        _export({"MALLOC_ARENA_MAX": "1"}), {"MALLOC_ARENA_MAX": "1"}, off=off,
    )  # fmt: skip
    kept = {
        "MALLOC_TRIM_THRESHOLD_": "4294967296",
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TOP_PAD_": "67108864",
    }
    yield Lever(
        "memory kept", "keeping", "freed memory stays with the process instead of going back to the kernel",
        _export(kept), kept, off=off,
    )  # fmt: skip
    new = computer.glibc is not None and computer.glibc >= (2, 35)
    yield Lever(
        "huge pages", "pages", "the allocator asks for transparent huge pages",
        _export({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}), {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
        off=off or (None if new else "it takes version 2.35 of the GNU C library"),
    )  # fmt: skip
    for name in ("jemalloc", "tcmalloc", "mimalloc"):
        path = computer.allocators.get(name)
        yield Lever(
            name, "allocator", f"{name} instead of the C library's allocator",
            _export({"LD_PRELOAD": path or f"lib{name}.so"}), {"LD_PRELOAD": path or ""},
            off=None if path else f"lib{name} is not installed",
        )  # fmt: skip


def _python(subject: Subject) -> Iterator[Lever]:
    yield Lever(
        "rare garbage collection", "gc", "Python looks for circles of objects after 50,000 new ones instead of 700",
        "import gc; gc.set_threshold(50_000, 20, 50)", hook={"gc_threshold": 50_000},
        off=None if subject.hooked else _UNSEEN,
    )  # fmt: skip


def _torch(subject: Subject, computer: Computer) -> Iterator[Lever]:
    network = subject.network
    for lever, reason in _network_levers(network, computer):
        off = reason
        if network is None:
            off = "PyTorch was not loaded" if subject.hooked else _UNSEEN
        elif not network.training_calls and not network.inference_calls:
            off = "no network was called"
        yield replace(lever, off=off)


def _network_levers(network: Network | None, computer: Computer) -> Iterator[tuple[Lever, str | None]]:
    layers = network.layers if network is not None else frozenset[str]()
    dtypes = network.dtypes if network is not None else frozenset[str]()
    inference = network is not None and network.inference_calls > 0
    training = network is not None and network.training_calls > 0
    cuda = network is not None and "cuda" in network.devices
    yield (
        Lever(
            "torch.compile", "compile", "networks are compiled (which takes time at first)", "model.compile()",
            hook={"compile": True}, may_change=True,
        ),
        None if computer.compiler or cuda else "there is no C++ compiler",
    )  # fmt: skip
    yield (
        Lever(
            "bf16 autocast", "precision", "networks work in bfloat16 where that is held to be safe",
            'with torch.autocast("cuda" if x.is_cuda else "cpu", dtype=torch.bfloat16): output = model(x)',
            hook={"autocast": True}, may_change=True,
        ),
        None if "float32" in dtypes else "the network has no float32 parameters",
    )  # fmt: skip
    yield (
        Lever(
            "float32 in bf16 parts", "precision", "products of float32 matrices may be taken in bfloat16 parts",
            'torch.set_float32_matmul_precision("medium")', hook={"matmul_precision": "medium"}, may_change=True,
        ),
        None if "float32" in dtypes else "the network has no float32 parameters",
    )  # fmt: skip
    yield (
        Lever(
            "channels last", "layout", "images and filters lie channel by channel in memory",
            "model.to(memory_format=torch.channels_last)", hook={"channels_last": True}, may_change=True,
        ),
        None if any("Conv2d" in name for name in layers) else "the network has no two-dimensional convolutions",
    )  # fmt: skip
    yield (
        Lever(
            "inference mode", "graph", "no graph for gradients is kept where the network is in eval mode",
            "with torch.inference_mode(): output = model(x)", hook={"inference_mode": True},
        ),
        None if network is not None and network.graph_in_inference else "no network in eval mode keeps a graph",
    )  # fmt: skip
    linear = any(name in layers for name in ("Linear", "LSTM", "GRU"))
    yield (
        Lever(
            "int8 weights", "weights", "linear layers of networks in eval mode work in 8 bits",
            "model = torch.ao.quantization.quantize_dynamic(model.eval(), {torch.nn.Linear}, torch.qint8)",
            hook={"int8": True}, may_change=True,
        ),
        "it needs the CPU" if cuda else None if inference and linear else "no network with linear layers is in eval mode",
    )  # fmt: skip
    yield (
        Lever(
            "fused optimizer", "optimizer", "one step over all parameters at once (SGD, Adam, AdamW, Adagrad)",
            "torch.optim.AdamW(model.parameters(), fused=True)", hook={"fused_optimizer": True}, may_change=True,
        ),
        None if training else "no network is trained",
    )  # fmt: skip
    yield (
        Lever(
            "denormals flushed", "denormals", "numbers near nothing count as nothing",
            "torch.set_flush_denormal(True)", hook={"flush_denormal": True}, may_change=True,
        ),
        None,
    )  # fmt: skip
    workers = network.loader_workers if network is not None else ()
    for count in (0, 2):
        same = bool(workers) and set(workers) == {count}
        yield (
            Lever(
                f"{count} loader workers", "workers", f"every DataLoader has {count} worker processes",
                f"DataLoader(..., num_workers={count}{', persistent_workers=True' if count else ''})",
                hook={"workers": count}, may_change=True,
            ),
            "no DataLoader was made" if not workers else "as it is" if same else None,
        )  # fmt: skip
    yield (
        Lever(
            "TF32", "precision", "products of float32 matrices on the GPU in TF32",
            'torch.set_float32_matmul_precision("high")', hook={"matmul_precision": "high"}, may_change=True,
        ),
        None if cuda else "no network was on a GPU",
    )  # fmt: skip


def _data(subject: Subject, computer: Computer) -> Iterator[Lever]:
    batch, workers = subject.batch, subject.workers
    if batch is None:
        if not any(name in subject.declared for name in _BATCH_NAMES):
            yield Lever(
                "batch size", "batch size", "more samples at a time", "", may_change=True,
                off="no --batch-size in the command, and no wm.levers(batch_size=...) in the script",
            )  # fmt: skip
    else:
        for size in _batches(batch.value):
            yield _of_argument(f"batch size {size}", "batch size", f"{size} samples at a time", batch, size)
    if workers is not None:
        for count in {0, len(computer.cpus)} - {workers.value}:
            yield _of_argument(
                f"{workers.name} {count}", "workers", f"{count} workers load data", workers, count
            )


def _of_argument(name: str, group: str, what: str, argument: Argument, value: int) -> Lever:
    joint = "=" if argument.joined else " "
    return Lever(
        name,
        group,
        what,
        f"{argument.name}{joint}{value}",
        words={argument.place: argument.word(value)},
        may_change=True,
    )


def _batches(usual: int) -> list[int]:
    return sorted({2 * usual, 4 * usual, max(1, usual // 2)} - {usual})


def _declared(subject: Subject, computer: Computer) -> Iterator[Lever]:
    """What the script itself lets us change."""
    for name, levels in subject.declared.items():
        for level in _others(name, levels, computer):
            yield Lever(
                f"{name} {level}", name, f"wm.levers({name}={level!r})", f"{name}={level!r}", values={name: level},
                may_change=True,
            )  # fmt: skip


def _others(name: str, levels: tuple[Level, ...], computer: Computer) -> list[Level]:
    """What is tried beside the usual level."""
    usual = levels[0]
    if len(levels) > 1:
        return [level for level in levels[1:] if level != usual]
    if isinstance(usual, bool):
        return [not usual]
    if isinstance(usual, int) and name in _BATCH_NAMES:
        return [*_batches(usual)]
    if isinstance(usual, int) and name in _WORKER_NAMES:
        return sorted({0, len(computer.cpus)} - {usual})
    return []


def _system(computer: Computer) -> Iterator[Lever]:
    governor = computer.governor
    reason = (
        "this machine lets no one choose a governor"
        if governor is None
        else "it would change the machine for everyone"
    )
    yield Lever(
        "governor powersave", "governor", "the kernel keeps clocks low",
        "cpupower frequency-set -g powersave (as root)", off=reason,
    )  # fmt: skip
    yield Lever(
        "power cap", "cap", "the CPU or GPU may draw less", "wattmark advise cap -- CMD",
        off="it would change the machine for everyone: wattmark advise cap",
    )  # fmt: skip


def _export(names: dict[str, str]) -> str:
    return "export " + " ".join(f"{name}={value}" for name, value in names.items())
