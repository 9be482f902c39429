"""The documents: short, plain, and true of the code. What they name exists, and the README's commands run as typed."""

import ast
import csv
import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from tests.imports import ROOT
from tests.test_workflow import Project

README = ROOT / "README.md"
GUIDES = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "pipeline/README.md", ROOT / "benchmarks/README.md"]
"""What a reader follows: their links, paths and commands are checked."""
MOST_LINES, MOST_CHARACTERS, MOST_COLUMNS = 140, 110, 5
SETTINGS = ("Makefile", "dvc.yaml", "params.yaml", "pyproject.toml")
CODE = ("benchmarks", "cache", "pipeline", "stages")
"""Folders whose docstrings and messages are read for banned words; () reads none."""
BANNED = {
    r"told": "say what is meant: given, known, reported, distinguished",
    r"heard": "read, received",
    r"livel(y|ier)": "varied, larger",
    r"how manieth": "every n-th",
    r"for ever": "always; or leave it out",
    r"by a hair": "by how much",
    r"room to work in": "worker",
    r"kept": "cached or stored; chosen",
    r"distils?": "distill",
}
"""Words of HOUSE.md's list → what to write instead."""
WORDS = re.compile(rf"\b(?:{'|'.join(BANNED)})\b", re.IGNORECASE)
OWN_TEXT = ("models/",)
"""Documents that belong to weights: their digest is a dependency, and they are written anew with the weights."""
PROGRAMS = {"make", "dvc", "teachonce", "python", "git", "pip", "docker", "accelerate", "dask", "hf", "export", "."}
MADE = (
    "data/",
    "results/report",
    *(f"models/{name}" for name in ("student", "teacher", "stills", "earlier", "pretrained/internvideo2_1b")),
)
"""Where the pipeline or the reader puts files that a clone does not have."""


def tracked(pattern: str) -> list[Path]:
    """Files of the project, also those not yet added to git."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file())


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, language: str) -> list[str]:
    """The contents of the fenced blocks of a language, those in list items with their indentation."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """A document without its fenced blocks and comments."""
    unfenced = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"<!--.*?-->", "", unfenced, flags=re.DOTALL)


def commands(text: str) -> list[str]:
    """The command lines of a document's ``sh`` blocks, without comments."""
    lines = [line.strip() for block in blocks(text, "sh") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def words(command: str) -> list[list[str]]:
    """The words of each simple command of a line; a loop's are those of its body."""
    parts: list[list[str]] = [[]]
    for word in shlex.split(re.sub(r"^for \w+ in [^;]+; do (.*); done$", r"\1", command), comments=True):
        if word in ("&&", "||", "|", ";"):
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def simple_commands(document: Path) -> list[list[str]]:
    return [part for command in commands(text_of(document)) for part in words(command)]


def inline_code(document: Path) -> list[str]:
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(text_of(document)))]


def every_guide() -> Any:
    return pytest.mark.parametrize("document", GUIDES, ids=name_of)


def test_the_readme_is_one_page() -> None:
    lines = text_of(README).splitlines()
    assert len(lines) <= MOST_LINES
    assert [line for line in lines if len(line) > MOST_CHARACTERS] == []


def test_tables_of_the_readme_are_narrow() -> None:
    rows = [line for line in prose(text_of(README)).splitlines() if line.startswith("|")]
    assert rows
    assert [row for row in rows if row.count("|") - 1 > MOST_COLUMNS] == []


@every_guide()
def test_every_output_is_shown(document: Path) -> None:
    """A block that waits for the real output of a command is no document yet."""
    waiting = re.findall(r"<!-- (?:output|study|contract).*?-->(?!\n```\n[^`])", text_of(document))
    assert waiting == []


@every_guide()
def test_every_link_leads_somewhere(document: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text_of(document))):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (document.parent / place).resolve() if place else document
        if not path.exists() or (anchor and anchor not in anchors(path)):
            wrong.append(target)
    assert wrong == []


def anchors(document: Path) -> set[str]:
    """GitHub's names of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(text_of(document)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_guide()
def test_every_path_exists(document: Path) -> None:
    """Paths in code marks; those of former code stand in a line that names the commit that has it."""
    tops = {path.name for path in ROOT.iterdir() if path.is_dir()} | {path.name for path in document.parent.iterdir()}
    wrong = []
    for line in prose(text_of(document)).splitlines():
        for code in re.findall(r"`([^`]+)`", line):
            if not re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", code) or code.split("/")[0] not in tops:
                continue
            there = any((base / code).exists() for base in (ROOT, document.parent))
            if not there and not code.startswith(MADE) and not re.search(r"`[0-9a-f]{7}`", line):
                wrong.append(code)
    assert wrong == []


def test_documents_that_code_names_exist() -> None:
    wrong = []
    for path in tracked("*.py"):
        if not name_of(path).startswith(CODE):
            continue
        for number, text in texts_of(path):
            for named in re.findall(r"[\w./-]+/[\w.-]+\.md\b", text):
                if not (ROOT / named).exists():
                    wrong.append(f"{name_of(path)}:{number}: {named}")
    assert wrong == []


def test_no_banned_word_in_documents() -> None:
    found = [
        f"{name_of(path)}:{number}: {match[0]!r}; better: {remedy(match[0])}"
        for path in [*tracked("*.md"), *(ROOT / name for name in SETTINGS)]
        if not name_of(path).startswith(OWN_TEXT)
        for number, line in enumerate(text_of(path).splitlines(), 1)
        for match in WORDS.finditer(line)
    ]
    assert found == [], "\n".join(found)


OLD_NAMES = {"pipeline/students/internvideo2.py": "lively"}
"""Names in models of version 0.1.0, which open after."""


def test_no_banned_word_in_docstrings_and_messages() -> None:
    found = [
        f"{name_of(path)}:{number}: {match[0]!r}; better: {remedy(match[0])}"
        for path in tracked("*.py")
        if name_of(path).split("/")[0] in CODE
        for start, text in texts_of(path)
        for match in WORDS.finditer(text)
        if OLD_NAMES.get(name_of(path)) != match[0] and (number := start + text.count("\n", 0, match.start()))
    ]
    assert found == [], "\n".join(found)


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string in a module: docstrings, messages, the fixed parts of f-strings."""
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def remedy(word: str) -> str:
    return next(better for pattern, better in BANNED.items() if re.fullmatch(pattern, word, re.IGNORECASE))


@every_guide()
def test_every_command_is_one_of_ours(document: Path) -> None:
    unknown = [" ".join(part) for part in simple_commands(document) if part[0] not in PROGRAMS]
    assert unknown == []


@every_guide()
def test_every_verb_and_option_of_teachonce_exists(document: Path) -> None:
    named = [part for part in simple_commands(document) if part[0] == "teachonce"]
    named += [shlex.split(code) for code in inline_code(document) if code.startswith("teachonce ")]
    wrong = []
    for part in named:
        if part[1] == "NAME" or part[1].startswith("--"):
            continue
        command = verb(part[1:])
        options = [word.partition("=")[0] for word in part if word.startswith("--")]
        if command is None or set(options) - {option for param in command.params for option in param.opts}:
            wrong.append(" ".join(part))
    assert wrong == []


def verb(arguments: list[str]) -> Any:
    """The click command that some arguments of ``teachonce`` reach; None where there is none."""
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    module = importlib.import_module(project["scripts"]["teachonce"].split(":")[0])
    command = typer.main.get_command(module._application(arguments[:1]))
    for word in arguments:
        if not hasattr(command, "commands"):
            break
        command = command.commands.get(word)
        if command is None:
            return None
    return command


@every_guide()
def test_every_module_and_make_target_exists(document: Path) -> None:
    named = simple_commands(document)
    named += [code.split() for code in inline_code(document) if re.match(r"(python -m|make) \w", code)]
    targets = re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), re.MULTILINE)
    wrong = []
    lines = prose(text_of(document)).splitlines()
    for part in named:
        old = any(" ".join(part) in line and re.search(r"`[0-9a-f]{7}`", line) for line in lines)
        if part[:2] == ["python", "-m"] and not old and importlib.util.find_spec(part[2]) is None:
            wrong.append(part[2])
        if part[0] == "make" and part[1] not in targets:
            wrong.append(part[1])
    assert wrong == []


@every_guide()
def test_every_setting_that_a_command_changes_is_in_params(document: Path) -> None:
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    named = simple_commands(document) + [shlex.split(code) for code in inline_code(document) if code.startswith("-S ")]
    wrong = []
    for part in named:
        for key in [after.partition("=")[0] for option, after in pairwise(part) if option == "-S"]:
            here: Any = params
            for step in key.split("."):
                here = here.get(step) if isinstance(here, Mapping) and step in here else wrong.append(key)
                if key in wrong:
                    break
    assert wrong == []


def test_the_citation_names_this_version() -> None:
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert (str(citation["version"]), citation["license"]) == (project["version"], project["license"])
    assert f"## {project['version']}" in text_of(ROOT / "CHANGELOG.md")


MAY_END = {
    # A student of two epochs on a handful of videos need not predict 70 for any encode; 1 says so.
    "python -m benchmarks.choose_crf": (0, 1),
}
"""Beginning of a command → exit statuses that are good, where not 0 alone."""


class Shell:
    """One bash in a folder, given a line after another, as a reader would type them."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.log = folder.parent / "shell.log"
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, line: str) -> tuple[int, str]:
        """Exit status and output of a line."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        # Braces, not a subshell: what a line changes in the shell must last, and no line may read the next one.
        self._bash.stdin.write(f"{{ {line}\n}} < /dev/null > {shlex.quote(str(self.log))} 2>&1; echo $?\n")
        self._bash.stdin.flush()
        status = self._bash.stdout.readline()
        return int(status or -1), self.log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.close()
        self._bash.wait(60)
        self._bash.stdout.close()


def install(project: Path) -> None:
    """An environment in ``.venv`` as ``make`` leaves one, but of the packages that this test runs with.

    In place of ``pip install``, which needs a network and takes minutes; ``make repro`` then finds it up to date.
    """
    venv.create(project / ".venv", symlinks=True)
    [packages] = (project / ".venv/lib").glob("python*/site-packages")
    places = [str(project), *(path for path in sys.path if path.endswith("site-packages"))]
    (packages / "project.pth").write_text("\n".join(places) + "\n", encoding="utf-8")
    scripts = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["scripts"]
    for name, entry in {"dvc": "dvc.cli:main", **scripts}.items():
        module, function = entry.split(":")
        script = project / ".venv/bin" / name
        code = f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        script.write_text(f"#!{project}/.venv/bin/python\n{code}", encoding="utf-8")
        script.chmod(0o755)
    (project / ".venv/.installed").touch()


def environment_of(project: Project) -> dict[str, str]:
    """A shell's variables on a machine with git and make, where nothing of this project is installed or active."""
    own = {str(Path(sys.executable).parent), str(Path(sys.prefix) / "bin")}
    home = project.folder.parent / "home"
    home.mkdir()
    return {
        "HOME": str(home),
        "PATH": os.pathsep.join(path for path in os.environ["PATH"].split(os.pathsep) if path not in own),
        "LANG": "C.UTF-8",
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(project.folder.parent / "offline"),
        **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }


def bring_videos(project: Path) -> None:
    """What the reader brings to "Train on your videos": here the encodes that the first run has made."""
    folder = project / "data/raw/csv"
    folder.mkdir(parents=True)
    with (project / "data/videos.csv").open(encoding="utf-8", newline="") as videos:
        paths = {row["video_id"]: row["path"] for row in csv.DictReader(videos)}
    rows = ["path,mos,content"]
    with (project / "data/labels.csv").open(encoding="utf-8", newline="") as labels:
        for row in csv.DictReader(labels):
            source = project / "data" / paths[row["video_id"]]
            shutil.copyfile(source, folder / source.name)
            rows.append(f"{source.name},{row['mos']},{row['content']}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def bring_encodes(project: Path) -> None:
    """What the reader brings to "Choose encodes"."""
    found = sorted((project / "data/videos").rglob("*.mp4")) or sorted((project / "data/raw/csv").glob("*.mp4"))
    for name, source in zip(("film.mp4", "a.mp4", "b.mp4"), (found[0], found[0], found[-1]), strict=True):
        shutil.copyfile(source, project / name)


BROUGHT = {"dvc add data/raw/csv": bring_videos, "teachonce score film.mp4 --json": bring_encodes}
"""Beginning of a command → what the reader does before it, as the text above it says."""


def edit_params(project: Path, block: str) -> None:
    """Writes into ``params.yaml`` what a block of the README shows."""
    yaml = YAML()
    params = yaml.load(project / "params.yaml")

    def merge(old: Any, new: Any) -> None:
        for key, value in new.items():
            if isinstance(value, Mapping) and isinstance(old.get(key), Mapping):
                merge(old[key], value)
            else:
                old[key] = value

    merge(params, yaml.load(block))
    yaml.dump(params, project / "params.yaml")


@pytest.mark.slow
@pytest.mark.timeout(2700)
def test_the_readmes_commands_run_as_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line, in order, in one fresh shell, with settings of a size for a test; the reader's edits are made."""
    project = Project(tmp_path / "project")
    install(project.folder)
    shell = Shell(project.folder, environment_of(project))
    try:
        status, _ = shell.run("command -v dvc teachonce")
        assert status != 0, "the shell is not fresh"
        ran = 0
        for language, block in re.findall(r"^```(sh|yaml)\n(.*?)^```$", text_of(README), re.DOTALL | re.MULTILINE):
            if language == "yaml":
                edit_params(project.folder, block)
                continue
            for line in block.splitlines():
                for beginning, bring in BROUGHT.items():
                    if line.startswith(beginning):
                        bring(project.folder)
                status, output = shell.run(line)
                good = next((statuses for begin, statuses in MAY_END.items() if line.startswith(begin)), (0,))
                assert status in good, f"$ {line}\n{output}"
                ran += 1
        with capsys.disabled():
            print(f"\n{ran} lines of the README run as typed")
        assert ran == len(commands(text_of(README)))
    finally:
        shell.close()
