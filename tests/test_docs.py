"""The documentation says what is so: links lead somewhere, commands and options exist, snippets run."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path

import pytest

from wattmark import settings

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), ROOT / "benchmarks/README.md", *(ROOT / "docs").rglob("*.md")]
    if "_build" not in path.parts
)
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
FENCE = re.compile(r"(<!-- runs -->\n)?^( *)```(\w+)?[^\n]*\n(.*?)^\2```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NOT_OURS = re.compile(r"/work\b|/home/\w|/root\b|\b(claude|anthropic|copilot|chatgpt|codex)\b", re.IGNORECASE)


def blocks(page: str, *languages: str) -> list[tuple[str, bool]]:
    """The fenced blocks of a page in one of the languages: text, and whether it is marked to be run."""
    found = FENCE.findall((ROOT / page).read_text(encoding="utf-8"))
    return [(textwrap.dedent(text), bool(runs)) for runs, _, language, text in found if language in languages]


def prose(page: str) -> str:
    return FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ +(.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", NAMES)
def test_relative_links_lead_to_a_file_and_a_heading(page: str) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(link)
    assert not broken


def command_lines() -> list[tuple[str, str]]:
    """Every ``wattmark ...`` of the documentation: (page, words after ``wattmark``)."""
    found: list[tuple[str, str]] = []
    for page in NAMES:
        lines = [
            line for text, _ in blocks(page, "console") for line in text.splitlines() if line.startswith("$ ")
        ]
        lines += [line for text, _ in blocks(page, "sh", "bash") for line in text.splitlines()]
        lines += re.findall(r"`(wattmark [^`]+)`", prose(page).replace("\n", " "))
        for line in lines:
            match = re.search(r"(?:^|[\s!])wattmark ([^|>;]*)", line)
            if match:
                found.append((page, match[1].partition(" #")[0].strip()))
    return sorted(set(found))


@cache
def help_of(*command: str) -> str:
    """What ``wattmark COMMAND --help`` prints, asked in this process; empty where there is no such command."""
    import contextlib
    import io

    from wattmark.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    return out.getvalue() if not end.value.code else ""


def subcommands(text: str) -> set[str]:
    """Under any heading of a help but those of options and arguments."""
    parts = re.split(r"^([A-Z][A-Za-z ]*):\n", text, flags=re.MULTILINE)
    listed = "".join(
        body
        for head, body in zip(parts[1::2], parts[2::2], strict=True)
        if head not in ("Options", "Arguments")
    )
    return set(re.findall(r"^  ([a-z]\S*)  ", listed, re.MULTILINE))


@pytest.mark.parametrize(("page", "line"), command_lines(), ids=lambda value: value)
def test_commands_and_options_exist(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    words = shlex.split(line.replace("...", " "))
    command: list[str] = []
    while words and words[0] in subcommands(help_of(*command)):
        command.append(words.pop(0))
    known = help_of(*command)
    rest = words[0] if words and subcommands(known) else ""
    assert rest.startswith("-") or not re.fullmatch(r"[a-z]+", rest), f"{page}: there is no command {rest!r}"
    # what a command passes on is not ours; "list|get" and "--fix" in a sentence are
    ours = words[: words.index("--")] if "--" in words else words
    options = [word.partition("=")[0] for word in ours if re.match(r"--?[a-z]", word)]
    if command[:1] == ["tag"]:
        options = [option for option in options if option.startswith("--")]
    missing = [
        option for option in options if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", known)
    ]
    assert not missing, f"{page}: wattmark {' '.join(command)} has no {', '.join(missing)}"


def snippets() -> list[tuple[str, str, bool]]:
    return [(page, text, runs) for page in NAMES for text, runs in blocks(page, "python")]


def test_python_snippets_compile() -> None:
    for page, text, _ in snippets():
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compile(text, page, "exec", flags)


RUNNING = [(page, text) for page, text, runs in snippets() if runs]


@pytest.mark.parametrize(("page", "text"), RUNNING, ids=[page for page, _ in RUNNING])
def test_marked_snippets_run_on_a_replayed_machine(page: str, text: str, tmp_path: Path) -> None:
    wave = tmp_path / "wave.csv"
    wave.write_text("t_s,cpu0/package:power_w,gpu0/board:power_w\n0,40,100\n600,40,100\n", encoding="utf-8")
    script = tmp_path / "snippet.py"
    script.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env={**os.environ, "WATTMARK_REPLAY": str(wave), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert " J [" in done.stdout, "it shows no energy"


def test_readme_sets_up_with_exactly_two_commands() -> None:
    section = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .partition("## Set up and go")[2]
        .partition("\n## ")[0]
    )
    first = section.partition("```sh\n")[2].partition("```")[0]
    commands = [line.partition("#")[0].strip() for line in first.splitlines()]
    assert commands == ["make study", "make test"]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"study", "test"} <= set(targets)


def test_readme_shows_what_a_run_says_of_modelled_joules() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "CPU and DRAM are modelled here, not measured" in readme


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    assert [name for name in settings.KNOWN if f"`{name}`" not in page] == []


def test_every_environment_variable_is_documented() -> None:
    known = {f"WATTMARK_{name.upper()}" for name in settings.KNOWN if name != "options"}
    for path in (ROOT / "src").rglob("*.py"):
        known |= set(re.findall(r"\bWATTMARK_[A-Z]\w*\b", path.read_text(encoding="utf-8")))
    documented = "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in NAMES if name.startswith("docs/")
    )
    assert sorted(name for name in known if name not in documented) == []


def test_every_type_of_record_is_documented() -> None:
    from wattmark.recorder import journal

    page = (ROOT / "docs/reference/journal-format.md").read_text(encoding="utf-8")
    source = Path(journal.__file__).read_text(encoding="utf-8")
    numbers = re.findall(r"^[A-Z_]+ = (\d+)$", source.partition("PREFIX = ")[0], re.MULTILINE)
    types = set(numbers) - {str(journal.FORMAT)} | {str(journal.HEADER)}
    assert sorted(number for number in types if not re.search(rf"^\| {number} \|", page, re.MULTILINE)) == []


@pytest.mark.parametrize("page", [*NAMES, "docs/_static/show.svg"])
def test_nothing_of_one_machine_or_of_tools_for_writing_is_in_it(page: str) -> None:
    assert NOT_OURS.findall((ROOT / page).read_text(encoding="utf-8")) == []


def test_pictures_fetch_nothing() -> None:
    for path in (ROOT / "docs/_static").glob("*.svg"):
        assert "url(" not in path.read_text(encoding="utf-8").replace("url(#", ""), path.name
