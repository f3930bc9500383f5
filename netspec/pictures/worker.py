"""A process that cuts pictures: jobs come as lines of JSON, pixels go into shared memory.

Started by `readers.py` with the number of the file that is the memory. Each line has a list of
`[slot, job]`; the answer is a line, empty or what went wrong: `[code, message, help...]`.
"""

from __future__ import annotations

import json
import mmap
import sys

import numpy as np

from netspec.diagnostics import SpecError
from netspec.pictures.cutting import Form, Job, done
from netspec.runtime.classify import quiet_pillow


def main() -> None:
    about = json.loads(sys.argv[1])
    form = Form(*about["form"])
    memory = mmap.mmap(about["memory"], 0)
    stored = None
    if about["stored"]:
        with open(about["stored"], "rb") as file:
            stored = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    shape = (form.height, form.width, form.channels)
    with quiet_pillow():
        for line in sys.stdin:
            answer = ""
            try:
                for slot, fields in json.loads(line):
                    job = Job(*fields)
                    at = np.ndarray(shape, form.dtype, memory, slot * form.size)
                    at[...] = done(job, form, stored)
            except SpecError as error:
                diagnostic = error.diagnostics[0]
                answer = json.dumps([diagnostic.code, diagnostic.message, *diagnostic.help])
            print(answer, flush=True)


if __name__ == "__main__":
    main()
