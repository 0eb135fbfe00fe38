"""The service: `gunicorn recommender:app`, or `python recommender.py` for testing."""

import sys
from pathlib import Path

import recommender_config
from seldon.app import create_app
from seldon.errors import SeldonError

try:
    app = create_app(recommender_config, Path(__file__).parent)
except SeldonError as error:
    sys.exit(f"recommender: {error}")

if __name__ == "__main__":
    app.run(host="127.0.0.1", port=5000, debug=False)
