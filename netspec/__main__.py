"""`python -m netspec`, and the script `netspec`."""

import os
import sys


def main() -> int:
    """Ready the process, run the command of `sys.argv`, and return its exit status."""
    try:
        from netspec.util import interrupt

        interrupt.install()
    except KeyboardInterrupt:
        os._exit(130)
    try:
        from netspec.cli.main import main as command
        from netspec.cli.streams import repair

        repair()
        return command()
    finally:
        interrupt.ignore()


if __name__ == "__main__":
    sys.exit(main())
