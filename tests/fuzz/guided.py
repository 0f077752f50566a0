"""One target under atheris: ``python -m tests.fuzz.guided TARGET RESULT FOLDER INPUTS SECONDS SEED``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import atheris

NAME, OUT, FOLDER, INPUTS, SECONDS, SEED = sys.argv[1:]


def main() -> None:
    from tests.fuzz import target as targets

    source = Path(targets.__file__).parent / "targets" / f"{NAME}.py"
    # Modules must be instrumented before their import: the target's constant is read as text.
    line = next(line for line in source.read_text().splitlines() if line.startswith("INSTRUMENT = "))
    packages = [word.strip("\"'() ") for word in line.partition("=")[2].split(",")]
    with atheris.instrument_imports(include=[package for package in packages if package]):
        target = targets.load(NAME)
    from tests.fuzz.campaign import CountingCheck, quiet

    quiet()
    counted = CountingCheck(target, "atheris", Path(OUT))
    until = time.monotonic() + float(SECONDS)

    def one(data: bytes) -> None:
        counted(data)
        if counted.result.inputs >= int(INPUTS) or time.monotonic() > until:
            counted.save()
            os._exit(0)  # libFuzzer would end the process without saving anything

    corpus = Path(FOLDER) / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    for path in target.corpus():
        (corpus / path.name).write_bytes(path.read_bytes())
    atheris.Setup(
        [sys.argv[0], f"-max_len={target.longest}", f"-seed={SEED}", "-rss_limit_mb=4000", "-timeout=60",
        "-verbosity=0",
         str(corpus)],
        one,
    )  # fmt: skip
    atheris.Fuzz()


main()
