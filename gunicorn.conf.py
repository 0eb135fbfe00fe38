"""gunicorn's settings for this service; the command line wins over them."""

import os
import shutil
import tempfile

# Metrics of all workers meet in files of a directory, which must be known before they are made.
PREFIX = os.path.join(tempfile.gettempdir(), "recommender-metrics-")
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=os.path.basename(PREFIX))

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


def on_exit(server):
    directory = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    if directory.startswith(PREFIX):
        shutil.rmtree(directory, ignore_errors=True)
