"""`python -m seldon.sar`: train SAR models, evaluate them, ask them, and put them into service."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from seldon.errors import SeldonError
from seldon.sar.arguments import parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0, or 2 after an error, which is told in one line on standard error.
    """
    options = parser().parse_args(arguments)
    try:
        _command(options.command)(options)
    except BrokenPipeError:
        # Who read our output has seen enough; what is buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (SeldonError, OSError, MemoryError) as error:
        said = str(error) or type(error).__name__
        print(f"error: {' '.join(said.split())}", file=sys.stderr)
        return 2
    return 0


def _command(name: str) -> Callable[[Namespace], None]:
    # Imported here, so that --help and mistakes on the command line answer at once.
    from seldon.sar import commands, judgement, releasing

    return {
        "train": commands.train_command,
        "evaluate": judgement.evaluate_command,
        "recommend": commands.recommend_command,
        "similar": commands.similar_command,
        "explain": commands.explain_command,
        "promote": releasing.promote_command,
        "estimate": commands.estimate_command,
        "rollback": releasing.rollback_command,
    }[name]


if __name__ == "__main__":
    sys.exit(main())
