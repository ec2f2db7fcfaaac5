# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check who imports whom in the engine, and the table of rooms in docs/ARCHITECTURE.md, generated from the imports.

    python tools/check_rooms.py            report faults; exit status 1 if there are any
    python tools/check_rooms.py --write    update the table
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Set, Tuple

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "plugins/module_utils/_engine"
PAGE = ROOT / "docs/ARCHITECTURE.md"
BEGIN, END = "<!-- rooms: tools/check_rooms.py --write -->", "<!-- end of the rooms -->"
#: From the ground up. A room imports from its own floor and from those below. All other rooms are operations.
BELOW = (
    ("base",),
    ("config", "records"),
    ("codec",),
    ("store", "postgres"),
    ("repository",),
    ("audit", "leadership", "incident", "wal", "provision", "report"),
)
ABOVE = (("cli",),)
OPERATION = len(BELOW)
#: Modules outside of all rooms: the package itself, and the entry point of hosts.
HALL = {"", "run"}

Imports = Mapping[str, Set[str]]


def floor_of(room: str) -> int:
    """The floor's number, from the ground up."""
    known = {name: n for n, rooms in enumerate((*BELOW, (), *ABOVE)) for name in rooms}
    return known.get(room, OPERATION)


def read_modules(engine: Path) -> Dict[str, Path]:
    """Every module by its dotted name within the engine; the engine itself is ''."""
    found = {}
    for path in sorted(engine.rglob("*.py")):
        parts = path.relative_to(engine).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, modules: Mapping[str, Path]) -> Set[str]:
    """The modules of the engine that a module imports, anywhere in its text."""
    package = [part for part in name.split(".") if part]
    if path.name != "__init__.py":
        package = package[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + ([node.module] if node.module else [])
            origin = ".".join(base)
            for alias in node.names:
                whole = f"{origin}.{alias.name}" if origin else alias.name
                # A package may export a function with the name of its module.
                own = whole in modules and alias.name not in offered(modules[origin])
                found.add(whole if own or package == base else origin)
    return found


def offered(path: Path) -> Set[str]:
    """The names that a package's ``__init__.py`` imports for others."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.name == "__init__.py" else ()
    return {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}


def room_of(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def between_rooms(imports: Imports) -> Iterator[Tuple[str, str]]:
    """Each import from another room: importer and imported."""
    for name in sorted(imports):
        yield from ((name, other) for other in sorted(imports[name]) if room_of(other) != room_of(name))


def faults(imports: Imports) -> Iterator[str]:
    """Violations of the rules. Pure."""
    rooms: Dict[str, Set[str]] = {}
    for name in sorted(imports):
        if "." not in name and name not in HALL and not any(other.startswith(f"{name}.") for other in imports):
            yield f"{name} lies in the hall: put it into a room"
    for name, other in between_rooms(imports):
        here, there = room_of(name), room_of(other)
        if here in HALL:
            continue
        rooms.setdefault(here, set()).add(there)
        if floor_of(there) > floor_of(here):
            yield f"{name} imports {other}, which is above it"
        elif floor_of(there) == floor_of(here) == OPERATION and "." in other:
            yield f"{name} imports {other}: import what {there}/__init__.py offers"
    for room in sorted(rooms):
        if room in reachable(room, rooms):
            yield f"{room} imports itself by way of {', '.join(sorted(reachable(room, rooms)))}"


def reachable(room: str, rooms: Mapping[str, Set[str]]) -> Set[str]:
    found: Set[str] = set()
    waiting = list(rooms.get(room, ()))
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += rooms.get(other, ())
    return found


def table(imports: Imports, modules: Mapping[str, Path]) -> List[str]:
    """The rooms, from the top floor down, with their imports except errors and the like."""
    knows: Dict[str, Set[str]] = {name: set() for name in modules if name and "." not in name and name not in HALL}
    for name, other in between_rooms(imports):
        if room_of(name) in knows:
            knows[room_of(name)].add(room_of(other))
    lines = ["| room | what is in it | imports |", "|---|---|---|"]
    for room in sorted(knows, key=lambda r: (-floor_of(r), r)):
        words = (ast.get_docstring(ast.parse(modules[room].read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        others = sorted(knows[room] - {"base"}, key=lambda r: (-floor_of(r), r))
        lines.append(f"| `{room}/` | {' '.join(words.split()).replace('``', '`')} | {', '.join(others)} |")
    return lines


def main() -> int:
    """Check, or write."""
    modules = read_modules(ENGINE)
    imports = {name: imported(name, path, modules) for name, path in modules.items()}
    wrong = list(faults(imports))
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page = "\n".join([f"{before}{BEGIN}", "", *table(imports, modules), "", f"{END}{after}"])
    if "--write" in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
    elif page != PAGE.read_text(encoding="utf-8"):
        wrong.append("docs/ARCHITECTURE.md is out of date: run python tools/check_rooms.py --write")
    for words in wrong:
        print(f"check_rooms: {words}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
