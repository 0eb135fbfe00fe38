"""gRPC: the contract, its errors and its end, over real channels."""

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from seldon.errors import InvalidModel, InvalidParameter, InvalidSetting, MissingExtra
from seldon.microservice.rpc import (
    SERVICE,
    CustomDataHandler,
    DefaultCustomDataHandler,
)
from seldon.microservice.rpc_server import PredictionServer, ServerOptions
from seldon.pipeline.predictor import Predictor
from seldon.rpc import seldon_pb2, seldon_pb2_grpc
from tests.services.processes import ROOT, free_port, stop, wait_for_port

FLOWER = [4.6, 3.2, 1.4, 0.2]
CODE = grpc.StatusCode


def request(values=FLOWER, puid=""):
    made = seldon_pb2.ClassificationRequest()
    made.meta.puid = puid
    made.data.Pack(seldon_pb2.DefaultCustomPredictRequest(values=values))
    return made


def options(**more):
    return ServerOptions(**{"host": "127.0.0.1", "port": 0, "drain_seconds": 0, **more})


@pytest.fixture(scope="module")
def predictor(pipeline):
    return Predictor(pipeline, "iris")


@pytest.fixture(scope="module")
def channel(predictor):
    with (
        PredictionServer(predictor, options=options(max_message_bytes=10_000)).running() as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as made,
    ):
        yield made


@pytest.fixture
def stub(channel):
    return seldon_pb2_grpc.SeldonStub(channel)


def test_classify(stub, predictor):
    reply = stub.Classify(request(puid="p-1"), timeout=10)
    expected = predictor.predict(predictor.features(list(request_values())))
    assert [(r.predictedClass, r.prediction) for r in reply.predictions] == expected
    assert all(r.confidence == r.prediction for r in reply.predictions)
    assert (reply.meta.puid, reply.meta.modelName) == ("p-1", "iris")


def request_values():
    """Numbers travel as 32-bit floats."""
    return seldon_pb2.DefaultCustomPredictRequest(values=FLOWER).values


def test_health_and_reflection(channel):
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = reflection.ServerReflectionInfo(iter([ask]), timeout=10)
    names = {service.name for service in answer.list_services_response.service}
    assert {"io.seldon.api.rpc.Seldon", "grpc.health.v1.Health"} <= names


def refused(call, *arguments, **more):
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments, timeout=more.pop("timeout", 10), **more)
    return raised.value.code(), raised.value.details()


def test_row_64_what_a_caller_can_get_wrong(stub):
    other = seldon_pb2.ClassificationRequest()
    other.data.Pack(seldon_pb2.ClassificationRequestMeta(puid="x"))
    assert refused(stub.Classify, other) == (
        CODE.INVALID_ARGUMENT,
        "data holds io.seldon.api.rpc.ClassificationRequestMeta, "
        "expected io.seldon.api.rpc.DefaultCustomPredictRequest",
    )
    code, detail = refused(stub.Classify, seldon_pb2.ClassificationRequest())
    assert (code, "data holds nothing" in detail) == (CODE.INVALID_ARGUMENT, True)
    code, detail = refused(stub.Classify, request([1, 2]))
    assert (code, "expected 4: f1, f2, f3, f4" in detail) == (CODE.INVALID_ARGUMENT, True)
    code, detail = refused(stub.Classify, request([float("nan"), 1, 2, 3]))
    assert (code, "not finite" in detail) == (CODE.INVALID_ARGUMENT, True)
    code, detail = refused(stub.Classify, request([1.0] * 10_000))
    assert code == CODE.RESOURCE_EXHAUSTED
    assert "larger than max" in detail
    named = seldon_pb2.ClassificationRequest()
    named.data.type_url = "example.org/" + "x" * 9_000
    code, detail = refused(stub.Classify, named)
    assert (code, len(detail)) == (CODE.INVALID_ARGUMENT, 1000), "details fit into headers"
    assert stub.Classify(request(), timeout=10).predictions, "the channel still works"


class Handler(CustomDataHandler):
    """Waits, fails or answers, as its test says; counts its calls."""

    def __init__(self, failure=None, gate=None):
        self.failure, self.gate = failure, gate
        self.calls = 0
        self.entered = threading.Event()

    def getData(self, request):
        self.calls += 1
        self.entered.set()
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        return DefaultCustomDataHandler().getData(request)


class BadDataError(Exception):
    pass


@pytest.mark.parametrize(
    ("failure", "code", "detail"),
    [
        (BadDataError("Invalid data"), CODE.INTERNAL, "BadDataError: Invalid data"),
        (ValueError("no such flower"), CODE.INTERNAL, "ValueError: no such flower"),
        (InvalidParameter("f1 is missing"), CODE.INVALID_ARGUMENT, "f1 is missing"),
        (InvalidModel("worn out"), CODE.INTERNAL, "worn out"),
    ],
)
def test_row_64_a_handler_that_raises(predictor, failure, code, detail):
    server = PredictionServer(predictor, Handler(failure), options())
    with server.running() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = seldon_pb2_grpc.SeldonStub(channel)
        assert refused(stub.Classify, request()) == (code, detail)
        assert refused(stub.Classify, request()) == (code, detail), "the server lives"


def test_a_handler_without_getData(predictor):
    with pytest.raises(NotImplementedError, match=r"CustomDataHandler has no getData\(request\)"):
        CustomDataHandler().getData(request())


class Plain:
    def predict_proba(self, X):
        return [[1.0]]


def test_row_64_a_deadline_that_passes_drops_the_work():
    gate = threading.Event()
    handler = Handler(gate=gate)
    server = PredictionServer(Predictor(Plain(), "m"), handler, options(workers=1))
    with server.running() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = seldon_pb2_grpc.SeldonStub(channel)
        first = stub.Classify.future(request(), timeout=60)
        assert handler.entered.wait(30)
        code, _ = refused(stub.Classify, request(), timeout=0.2)  # waits behind the first
        assert code == CODE.DEADLINE_EXCEEDED
        cancelled = stub.Classify.future(request(), timeout=60)
        cancelled.cancel()
        time.sleep(0.5)  # for the server to hear of both
        gate.set()
        assert first.result(30).predictions
        assert stub.Classify(request(), timeout=30).predictions
        assert handler.calls == 2, "the two that nobody waited for never began"


class Counting:
    def __init__(self):
        self.calls = 0

    def predict_proba(self, X):
        self.calls += 1
        return [[1.0]]


def test_row_64_a_deadline_during_the_handler_spares_the_pipeline():
    gate = threading.Event()
    handler, pipeline = Handler(gate=gate), Counting()
    server = PredictionServer(Predictor(pipeline, "m"), handler, options())
    with server.running() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = seldon_pb2_grpc.SeldonStub(channel)
        code, _ = refused(stub.Classify, request(), timeout=0.3)
        assert code == CODE.DEADLINE_EXCEEDED
        time.sleep(0.5)
        gate.set()
        assert handler.calls == 1
    assert pipeline.calls == 0


@pytest.mark.slow
def test_row_64_a_thousand_streams(channel, stub):
    """300 idle watchers and reflection streams hold no thread; 1,000 calls are all answered."""
    health = health_pb2_grpc.HealthStub(channel)
    watchers = [health.Watch(health_pb2.HealthCheckRequest(), timeout=120) for _ in range(300)]
    done = threading.Event()

    def silent():
        done.wait(120)
        return
        yield

    reflecting = reflection_pb2_grpc.ServerReflectionStub(channel)
    idle = [reflecting.ServerReflectionInfo(silent(), timeout=120) for _ in range(20)]
    try:
        assert next(watchers[-1]).status == health_pb2.HealthCheckResponse.SERVING
        calls = [stub.Classify.future(request(), timeout=120) for _ in range(1000)]
        assert all(len(call.result(120).predictions) == 3 for call in calls)
    finally:
        done.set()
        for stream in [*watchers, *idle]:
            stream.cancel()


def test_more_calls_than_may_wait_are_refused():
    gate = threading.Event()
    handler = Handler(gate=gate)
    server = PredictionServer(Predictor(Plain(), "m"), handler, options(workers=1, max_calls=5))
    with server.running() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = seldon_pb2_grpc.SeldonStub(channel)
        calls = [stub.Classify.future(request(), timeout=60) for _ in range(50)]
        refusals = [call for call in calls[-1:] if call.exception(60) is not None]
        assert [call.code() for call in refusals] == [CODE.RESOURCE_EXHAUSTED]
        gate.set()
        assert sum(call.exception(60) is None for call in calls) >= 5


def test_row_64_drain():
    """Health says NOT_SERVING first; the call that runs is answered; then the port is closed."""
    gate = threading.Event()
    handler = Handler(gate=gate)
    server = PredictionServer(Predictor(Plain(), "m"), handler, options(drain_seconds=0.5))
    with server.running() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = seldon_pb2_grpc.SeldonStub(channel)
        watcher = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=SERVICE), timeout=60
        )
        assert next(watcher).status == health_pb2.HealthCheckResponse.SERVING
        running = stub.Classify.future(request(), timeout=60)
        assert handler.entered.wait(30)
        server.stop()
        assert next(watcher).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not running.done()
        gate.set()
        assert len(running.result(30).predictions) == 1
        server.stop()  # twice does no harm
    server.stop()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        code, _ = refused(seldon_pb2_grpc.SeldonStub(channel).Classify, request())
        assert code == CODE.UNAVAILABLE


def test_metrics(predictor):
    port = free_port()
    server = PredictionServer(predictor, options=options(metrics_port=port))
    with server.running() as bound, grpc.insecure_channel(f"127.0.0.1:{bound}") as channel:
        stub = seldon_pb2_grpc.SeldonStub(channel)
        stub.Classify(request(), timeout=10)
        refused(stub.Classify, request([1]))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            text = page.read().decode()
        route = 'route="/io.seldon.api.rpc.Seldon/Classify"'
        for status in (CODE.OK, CODE.INVALID_ARGUMENT):
            assert re.search(rf'{route},status="{status.value[0]}"', text), text
        other = PredictionServer(predictor, options=options(metrics_port=port))
        with pytest.raises(InvalidSetting, match=f"metrics_port={port}"):  # noqa: SIM117
            with other.running():
                pass


def test_a_port_that_is_taken_is_said(predictor):
    with PredictionServer(predictor, options=options()).running() as port:
        other = PredictionServer(predictor, options=options(port=port))
        with pytest.raises(InvalidSetting, match=f"cannot listen at 127.0.0.1:{port}"):  # noqa: SIM117
            with other.running():
                pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not here")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost -keyout key.pem -out certificate.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return str(folder / "certificate.pem"), str(folder / "key.pem")


@pytest.mark.parametrize("mutual", [False, True])
def test_tls(predictor, certificate, mutual):
    public, private = certificate
    authorities = public if mutual else None
    made = options(certificate=public, key=private, client_certificates=authorities)
    root = Path(public).read_bytes()
    with PredictionServer(predictor, options=made).running() as port:
        own = (Path(private).read_bytes(), root) if mutual else (None, None)
        credentials = grpc.ssl_channel_credentials(root, *own)
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
            stub = seldon_pb2_grpc.SeldonStub(channel)
            assert stub.Classify(request(), timeout=30).meta.modelName == "iris"
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            code, _ = refused(seldon_pb2_grpc.SeldonStub(channel).Classify, request())
            assert code == CODE.UNAVAILABLE


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"certificate": "c.pem"}, "belong together"),
        ({"client_certificates": "c.pem"}, "needs certificate and key"),
        ({"workers": 0}, "at least 1"),
    ],
)
def test_options_that_make_no_sense(wrong, message):
    with pytest.raises(InvalidSetting, match=message):
        ServerOptions(**wrong)


def test_a_tls_file_that_is_not_there(predictor):
    made = options(certificate="/nowhere/c.pem", key="/nowhere/k.pem")
    with (
        pytest.raises(InvalidSetting, match=r"cannot read the TLS file /nowhere/k\.pem"),
        PredictionServer(predictor, options=made).running(),
    ):
        pass


CLIENT = """
import sys, grpc, seldon_pb2 as messages
assert not any(name.split(".")[0] == "seldon" for name in sys.modules)
request = messages.ClassificationRequest()
request.data.Pack(messages.DefaultCustomPredictRequest(values=[4.6, 3.2, 1.4, 0.2]))
with grpc.insecure_channel(sys.argv[1]) as channel:
    call = channel.unary_unary("/io.seldon.api.rpc.Seldon/Classify",
        messages.ClassificationRequest.SerializeToString, messages.ClassificationReply.FromString)
    for result in call(request, timeout=10).predictions:
        print(result.predictedClass, round(result.prediction, 2))
"""


def test_a_client_that_has_only_the_proto(predictor, tmp_path):
    protoc = pytest.importorskip("grpc_tools.protoc")
    shutil.copy(ROOT / "seldon" / "rpc" / "seldon.proto", tmp_path)
    include = Path(protoc.__file__).parent / "_proto"
    command = [
        "protoc",
        f"-I{tmp_path}",
        f"-I{include}",
        f"--python_out={tmp_path}",
        "seldon.proto",
    ]
    assert protoc.main(command) == 0
    with PredictionServer(predictor, options=options()).running() as port:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, f"127.0.0.1:{port}"],
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("setosa 0.9")


def test_code_generated_from_the_same_messages_elsewhere_can_be_loaded_too(tmp_path):
    """A client's own seldon_pb2, made from the server's proto, must not collide with ours."""
    text = (ROOT / "seldon" / "rpc" / "seldon_pb2.py").read_text()
    (tmp_path / "seldon_pb2.py").write_text(text)
    sys.path.insert(0, str(tmp_path))
    try:
        theirs = importlib.import_module("seldon_pb2")
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("seldon_pb2", None)
    assert theirs.ClassificationRequest.DESCRIPTOR is seldon_pb2.ClassificationRequest.DESCRIPTOR


# Message: {field number: (name, type)}, of the Seldon server's contract.
CONTRACT = {
    "ClassificationRequest": {
        1: ("meta", "ClassificationRequestMeta"),
        2: ("data", "google.protobuf.Any"),
    },
    "ClassificationRequestMeta": {1: ("puid", "string")},
    "ClassificationReply": {
        1: ("meta", "ClassificationReplyMeta"),
        2: ("predictions", "repeated ClassificationResult"),
        3: ("custom", "google.protobuf.Any"),
    },
    "ClassificationReplyMeta": {
        1: ("puid", "string"),
        2: ("modelName", "string"),
        3: ("variation", "string"),
    },
    "ClassificationResult": {
        1: ("prediction", "double"),
        2: ("predictedClass", "string"),
        3: ("confidence", "double"),
    },
    "DefaultCustomPredictRequest": {1: ("values", "repeated float")},
}


def test_the_messages_are_those_of_the_server():
    types = {1: "double", 2: "float", 9: "string"}
    found = {}
    for name, message in seldon_pb2.DESCRIPTOR.message_types_by_name.items():
        found[name] = {}
        for field in message.fields:
            kind = types.get(field.type) or field.message_type.full_name
            kind = kind.removeprefix("io.seldon.api.rpc.")
            found[name][field.number] = (field.name, "repeated " * field.is_repeated + kind)
    assert found == CONTRACT
    (method,) = seldon_pb2.DESCRIPTOR.services_by_name["Seldon"].methods
    assert method.full_name == "io.seldon.api.rpc.Seldon.Classify"


def test_the_generated_code_is_that_of_the_proto(tmp_path):
    pytest.importorskip("grpc_tools")
    from importlib.metadata import version

    from seldon.rpc.generate import HERE, generate

    checked_in = (HERE / "seldon_pb2_grpc.py").read_text()
    made_with = re.search(r"GRPC_GENERATED_VERSION = '(.*)'", checked_in)[1]
    if version("grpcio-tools") != made_with:
        pytest.skip(f"the code was made with grpcio-tools {made_with}")
    generate(tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_text() == (HERE / file.name).read_text(), "run: make proto"


def test_row_65_without_grpc(monkeypatch):
    for module, missing in (("rpc", "grpc"), ("rpc_server", "grpc_health.v1")):
        with monkeypatch.context() as patched:
            patched.delitem(sys.modules, f"seldon.microservice.{module}")
            patched.setitem(sys.modules, missing, None)
            with pytest.raises(MissingExtra, match=r"seldon-recommender\[grpc\]"):
                importlib.import_module(f"seldon.microservice.{module}")


@pytest.mark.slow
@pytest.mark.service
def test_the_iris_example_with_its_own_message(tmp_path):
    """examples/iris: events, training, a server with its handler, and the client."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'examples' / 'iris'}"}
    events, model = str(tmp_path / "events"), str(tmp_path / "model")

    def run(script, *arguments):
        command = [sys.executable, str(ROOT / "examples" / "iris" / script), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=env, check=True, text=True, capture_output=True, timeout=120
        ).stdout

    assert "150 events" in run("events.py", events)
    assert "saved in" in run("train.py", "--events", events, "--models", model)
    port = free_port()
    command = [sys.executable, "-m", "seldon.microservice", "rpc", "--pipeline", model]
    command += ["--model_name", "model_iris", "--handler", "handler:IrisDataHandler"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, env=env, cwd=tmp_path)
    try:
        wait_for_port(port, server, 60)
        said = run("client.py", "--port", str(port), "4.6", "3.2", "1.4", "0.2").splitlines()
        assert said[0] == "model model_iris"
        chances = dict(line.split(": ") for line in said[1:])
        assert chances.keys() == {"Iris-setosa", "Iris-versicolor", "Iris-virginica"}
        assert float(chances["Iris-setosa"]) > 0.9
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            code, detail = refused(seldon_pb2_grpc.SeldonStub(channel).Classify, request())
        assert (code, "not an Iris request" in detail) == (CODE.INVALID_ARGUMENT, True)
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0, "a graceful end"
    finally:
        stop(server)
