# make run: set up, train on a sample, serve, show a call and its answer, stay up.
# make slirec-demo: from a sample inventory to a served SLi-Rec model.
# make test: set up and run every test.   make check: the fast ones, lint and types.
# Another Python: make run PYTHON=python3.13

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
BIN := .venv/bin
EXTRAS := predict,xgboost,grpc,zookeeper,slirec,mlflow,shopify,s3,postgres,parquet,spark

.PHONY: run slirec-demo test check format proto clean

run: .venv/run
	@deploy/install-packages memcached || echo "going on without memcached, in catalogue mode"
	@$(BIN)/python examples/quickstart.py

slirec-demo: .venv/slirec
	@$(BIN)/python examples/slirec_demo.py

test: .venv/test
	@deploy/install-packages memcached nginx wrk chromium chromium-driver zookeeper postgresql default-jre-headless
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

check: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n auto -m "not service and not slow"

format: .venv/test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# seldon/rpc/seldon_pb2*.py, from seldon/rpc/seldon.proto.
proto: .venv/test
	$(BIN)/python -m seldon.rpc.generate

clean:
	rm -rf .venv var build dist

# pylibmc has wheels up to Python 3.11; for later ones it is compiled here.
.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"Python 3.11 to 3.13 is needed; $(PYTHON) is {v[0]}.{v[1]}")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || deploy/install-packages python3-venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] > (3, 11))' || deploy/install-packages build-essential python3-dev libmemcached-dev zlib1g-dev
	$(PYTHON) -m venv .venv

.venv/run: .venv/bin/python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/slirec: .venv/bin/python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 -e '.[slirec,mlflow]'
	@touch $@

# uv resolves this many packages in seconds, where pip takes a quarter of an hour; torch comes
# through pip, which finds a build without accelerator libraries where one is laid out for it.
.venv/test: .venv/bin/python requirements.txt requirements-dev.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv "$$(grep ^torch== requirements-dev.txt | cut -d' ' -f1)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt -e '.[$(EXTRAS)]'
	@# mlflow holds gunicorn back; the tests run on what a service without it gets.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps 'gunicorn>=27,<28'
	@touch $@
