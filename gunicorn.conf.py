"""gunicorn's settings for this service; the command line wins over them."""

import os
import shutil
import subprocess
import sys
import tempfile

# Metrics of all workers meet in files of a directory, which must be known before they are made.
METRICS, PREFIX = "PROMETHEUS_MULTIPROC_DIR", "recommender-metrics-"
try:
    if METRICS not in os.environ:
        os.environ[METRICS] = tempfile.mkdtemp(prefix=PREFIX)
    os.makedirs(os.environ[METRICS], exist_ok=True)
except OSError as error:
    sys.exit(f"recommender: no directory for metrics: {error}; set TMPDIR or {METRICS}")

# Workers share the cores already. More threads in each for linear algebra wait for each other: a
# model that scores in 15 ms with one took 250 ms with two on two busy cores.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

bind = "127.0.0.1:5000"
workers = 2
worker_class = "seldon.worker.EventWorker"
worker_connections = 1000
keepalive = 75  # seconds; the Seldon server keeps its connections
timeout = 30
graceful_timeout = 30
max_requests = 1_000_000  # a worker that leaks is replaced now and then
max_requests_jitter = 100_000
limit_request_line = 0  # ours is MAX_QUERY_BYTES; gunicorn's own silently ends at 8,190
control_socket_disable = True


def child_exit(server, worker):
    from seldon.operation.metrics import merge_dead_worker

    merge_dead_worker(worker.pid)


def when_ready(server):
    """A reload (SIGHUP) first tries, in a process of its own, whether the app still loads."""
    reload = server.handle_hup

    def handle_hup():
        module = server.app.app_uri.partition(":")[0]
        environment = {name: value for name, value in os.environ.items() if name != METRICS}
        tried = [sys.executable, "-c", f"import {module}"]
        if subprocess.run(tried, cwd=server.cfg.chdir, env=environment).returncode:
            server.log.error("%s does not load; the old workers stay", module)
        else:
            reload()

    server.handle_hup = handle_hup


def on_exit(server):
    directory = os.environ[METRICS]
    if os.path.basename(directory).startswith(PREFIX):
        shutil.rmtree(directory, ignore_errors=True)
