"""Write scikit-learn's own copy of the Iris data as events: one JSON object a line.

python examples/iris/events.py var/iris/events
"""

import argparse
from pathlib import Path

from sklearn.datasets import load_iris

from seldon.pipeline.util import PipelineWrapper


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the Iris data as JSON events.")
    parser.add_argument("folder", help="where to write iris.json")
    folder = Path(parser.parse_args().folder)
    folder.mkdir(parents=True, exist_ok=True)

    iris = load_iris(as_frame=True)
    events = iris.data.set_axis(["f1", "f2", "f3", "f4"], axis=1)
    events["name"] = [f"Iris-{iris.target_names[number]}" for number in iris.target]
    PipelineWrapper().save_dataframe(events, folder / "iris.json")
    print(f"{len(events)} events in {folder / 'iris.json'}")


if __name__ == "__main__":
    main()
