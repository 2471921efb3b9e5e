#!/usr/bin/env python3
"""Checks the vectors with an implementation of its own: other language, other libraries, the same bytes.

    check.py                checks every vector, then the checker itself
    check.py --vectors DIR  the same for another folder of vectors

The checker checks itself: it bends each field of each vector that must hold, and it offers sound vectors as if they were to
be refused. If it does not notice, it fails. A folder or a file without a checker is a failure.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Checkers are `check.FOLDER`, so that the one for the folder `json` does not hide the library.
sys.path[0] = str(HERE.parent)
sys.dont_write_bytecode = True

import argparse  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402

from check import runner  # noqa: E402


def cases(path):
    """The cases of a file; one that names no source has that of the file."""
    document = json.loads(path.read_text())
    found = [{"source": document.get("source"), **case} for case in document["cases"]]
    runner.demand(found and all(case["source"] for case in found), f"{path}: no cases, or one without a source")
    return found


def holds(check, case):
    """Whether a case passes; what is wrong with it otherwise."""
    try:
        check(case)
    except Exception as error:  # any objection is one: bent vectors break in any place
        return f"{type(error).__name__}: {error}"
    return None


def bent(value):
    """Every way to bend a field a little: a hexadecimal text in one byte, another text in one character."""
    if isinstance(value, bool) or value is None:
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1]
    if isinstance(value, str):
        return [bent_text(value)]
    if isinstance(value, list):
        items = [value[:place] + [it] + value[place + 1 :] for place, old in enumerate(value) for it in bent(old)]
        return items or [[0]]
    fields = [{**value, name: it} for name, old in value.items() for it in bent(old)]
    return fields or [{"other": 0}]


def bent_text(text):
    """`text` with its middle changed, as a number if it is one, within hexadecimal digits if these are all."""
    if not text:
        return "01"
    place = len(text) // 2 // 2 * 2
    digits = "0123456789abcdef"
    if all(it in digits for it in text):
        other = digits[digits.index(text[place]) ^ 1]
    else:
        other = "b" if text[place] == "a" else "a"
    return text[:place] + other + text[place + 1 :]


def check_accept(place, kind, found):
    """Holds the cases of a file; then bends each."""
    for number, case in enumerate(found):
        wrong = holds(kind.check, case)
        if wrong:
            yield f"{place} case {number} ({case['source']}): {wrong}"
            continue
        for name, value in case.items():
            if name == "source" or name in kind.prose:
                continue
            for other in bent(value):
                if holds(kind.check, {**case, name: other}) is None:
                    yield f"{place} case {number}: a change of `{name}` is not noticed: {str(other)[:80]}"


def check_reject(place, kind, found, sound):
    """Holds the cases of a file; then offers it sound ones."""
    for number, case in enumerate(found):
        wrong = holds(kind.check, case)
        if wrong:
            yield f"{place} case {number} ({case['source']}): {wrong}"
    for number, case in enumerate(sound):
        if holds(kind.check, {**found[0], **case}) is None:
            yield f"{place}: the sound case {number} of {kind.sound} is refused"


def check_folder(folder, files):
    """What is wrong in a folder; how many cases there are."""
    wrong, count = [], 0
    names = {path.name for path in folder.iterdir()}
    wrong += [f"{folder.name}/{name} is read by no checker" for name in sorted(names - files.keys())]
    wrong += [f"{folder.name}/{name} is missing" for name in sorted(files.keys() - names)]
    for name in sorted(names & files.keys()):
        kind, found, place = files[name], cases(folder / name), f"{folder.name}/{name}"
        count += len(found)
        if isinstance(kind, runner.Accept):
            wrong += check_accept(place, kind, found)
        else:
            wrong += check_reject(place, kind, found, cases(folder / kind.sound))
    return wrong, count


def main():
    """Checks all folders."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--vectors", type=Path, default=HERE.parent)
    folders = sorted(it for it in options.parse_args().vectors.iterdir() if it.is_dir() and it.name != HERE.name)
    wrong = []
    for folder in folders:
        if not (HERE / f"{folder.name}.py").exists():
            wrong.append(f"{folder.name}/ has no checker")
            continue
        found, count = check_folder(folder, importlib.import_module(f"check.{folder.name}").FILES)
        print(f"{folder.name}: {count} vectors, {len(found)} objections")
        wrong += found
    for it in wrong:
        print(f"FAIL {it}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
