"""The walk from a shop's inventory to a served model: ``python -m seldon.slirec STEP …``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from seldon.errors import SeldonError
from seldon.slirec.arguments import parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step.

    Returns
    -------
    int
        0; 1 when it could not be done, which is told in one line on standard error; 130 when
        it was interrupted.
    """
    options = parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read our output has seen enough; what is buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"{options.step}: stopped; the same command goes on", file=sys.stderr)
        return 130
    except (SeldonError, OSError) as error:
        print(f"{options.step}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
