# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaks the protocol without computing: warns, goes through a job's stages, and ends as the job's seed says.

Seed 0: a result. 1: an error with a hint. 2: works until it is cancelled. 3: dies after its first progress.
4: an error that names a setting.
"""

import json
import sys
import time

_HELLO = {
    "type": "hello",
    "protocol": 1,
    "engine_version": "9.9.9",
    "device": "cpu",
    "devices": ["cpu"],
    "python": "3.11",
}


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def main() -> None:
    print("the fake engine starts", file=sys.stderr, flush=True)
    say(**_HELLO)
    for line in sys.stdin:
        request = json.loads(line)
        own = {"id": request["id"]}
        if request["type"] == "cancel":
            say(type="cancelling", **own)
            time.sleep(0.3)
            say(type="cancelled", **own)
        if request["type"] != "fit":
            continue
        say(type="log", level="warning", message="broken.png: is cut short.", **own)
        say(type="progress", stage="fit", done=3, total=10, loss=0.25, eta=75.0, **own)
        seed = request["job"]["seed"]
        if seed == 0:
            say(type="result", path=request["out"], report={"psnr": 20.0, "seconds": 3.2, "sprites": 1000}, **own)
        elif seed == 1:
            say(type="error", code="target_missing", message="There is no target.", hint="Choose another.", **own)
        elif seed == 4:
            told = {"message": "size is 5.", "hint": "Raise size."}
            marked = ["\ufdd0size\ufdd1 is 5.", "Raise \ufdd0size\ufdd1."]
            say(type="error", code="bad_setting", **told, marked=marked, **own)
        elif seed == 3:
            print("the last words", file=sys.stderr, flush=True)
            sys.exit(7)


main()
