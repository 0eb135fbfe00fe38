"""What ships for Docker, compose and Kubernetes: against the real schemas, and with each other."""

import fnmatch
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from seldon.config import settings
from tests.services.processes import ROOT

DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def resources():
    return [part for path in MANIFESTS for part in yaml.safe_load_all(path.read_text())]


def resource(kind):
    (found,) = [part for part in resources() if part["kind"] == kind]
    return found


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture
def pod():
    return resource("Deployment")["spec"]["template"]["spec"]


def container(pod, name):
    (found,) = [one for one in pod["containers"] if one["name"] == name]
    return found


@pytest.mark.parametrize("version", ["1.31", "1.34", "1.37"])
@pytest.mark.parametrize("number", range(len(resources())))
def test_every_manifest_follows_the_schema_of_kubernetes(number, version):
    kubernetes_validate.validate(resources()[number], version, strict=True)


def test_a_wrong_manifest_would_be_noticed():
    wrong = resource("Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbes"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


def test_compose_follows_its_specification():
    text = (DEPLOY / "compose.yaml").read_text()
    assert PyCompose.from_yaml(text).service_names() == [
        "memcached1",
        "memcached2",
        "recommender",
        "nginx",
    ]
    with pytest.raises(ValueError, match="healthchecks"):
        PyCompose.from_yaml(text.replace("healthcheck:", "healthchecks:"))


def test_kustomization_lists_what_is_there():
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert sorted(kustomization["resources"]) == [f"kubernetes/{path.name}" for path in MANIFESTS]
    (generated,) = kustomization["configMapGenerator"]
    assert generated["files"] == ["nginx.conf"] and (DEPLOY / "nginx.conf").is_file()


def test_settings_are_settings(compose):
    """A SELDON_ name that is no setting stops the start."""
    for environ in (
        resource("ConfigMap")["data"],
        compose["services"]["recommender"]["environment"],
    ):
        values, _ = settings(None, environ)
        assert values["MEMCACHE"]["servers"] == ["memcached1:11211", "memcached2:11211"]
        chain = values["RECOMMENDER_ALG"]
        for name in [chain] if isinstance(chain, str) else chain:
            assert (ROOT / "algs" / f"{name}.py").is_file()


def test_the_sample_of_compose_is_what_its_service_learns_from(compose):
    service = compose["services"]["recommender"]
    folder = service["environment"]["SELDON_INTERACTIONS"].removesuffix("/interactions.csv")
    assert f"python -m seldon.sample --output {folder} " in service["command"][2]
    assert f"exec {' '.join(json.loads(dict(dockerfile())['CMD']))}" in service["command"][2]


def test_addresses_of_other_services_do_not_become_settings(pod):
    """Kubernetes would set SELDON_SERVER_PORT and the like in a namespace with a Seldon server."""
    assert pod["enableServiceLinks"] is False


def test_names_and_ports_meet(pod, compose):
    service, proxy = container(pod, "recommender"), container(pod, "nginx")
    ports = {
        port["name"]: port["containerPort"] for one in (service, proxy) for port in one["ports"]
    }
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert f"server recommender:{ports['service']} " in nginx
    assert f"listen {ports['http']} " in nginx
    assert pod["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["recommender"]}]
    assert f"0.0.0.0:{ports['service']}" in (ROOT / "Dockerfile").read_text()
    assert compose["services"]["nginx"]["ports"] == [f"{ports['http']}:{ports['http']}"]
    (port,) = resource("Service")["spec"]["ports"]
    assert port["targetPort"] == "http"
    labels = resource("Deployment")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        resource("Service")["spec"]["selector"],
        resource("Deployment")["spec"]["selector"]["matchLabels"],
        resource("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        resource("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector == labels
    assert resource("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "recommender"
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for one in (service, proxy):
        assert {mount["name"] for mount in one["volumeMounts"]} <= set(volumes)
    assert volumes["nginx"]["configMap"]["name"] == "recommender-nginx"
    assert service["envFrom"] == [
        {"configMapRef": {"name": resource("ConfigMap")["metadata"]["name"]}}
    ]


def test_a_stopping_pod_outlives_its_requests(pod):
    drain = float(resource("ConfigMap")["data"]["SELDON_DRAIN_SECONDS"])
    readiness = container(pod, "recommender")["readinessProbe"]
    noticed = readiness["periodSeconds"] * readiness["failureThreshold"]
    pause = float(container(pod, "nginx")["lifecycle"]["preStop"]["exec"]["command"][1])
    assert noticed < drain < pause < pod["terminationGracePeriodSeconds"] - 30


@pytest.mark.parametrize("name", ["recommender", "nginx"])
def test_nothing_runs_as_root_or_writes_its_disk(pod, compose, name):
    context = container(pod, name)["securityContext"]
    assert context["runAsUser"] > 0 and context["readOnlyRootFilesystem"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert compose["services"][name]["read_only"] and compose["services"][name]["cap_drop"] == [
        "ALL"
    ]


def dockerfile():
    """The instructions, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line and line[0].isupper()]


def test_dockerfile_passes_its_linter():
    # hadolint's wheel carries the program itself.
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, "--config", ROOT / ".hadolint.yaml", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_no_compiler_and_no_root():
    instructions = dockerfile()
    last = max(n for n, (name, _) in enumerate(instructions) if name == "FROM")
    final = instructions[last:]
    assert not any("gcc" in rest or "-dev" in rest for name, rest in final if name == "RUN")
    assert ["USER", "10001:10001"] in final
    (health,) = [rest for name, rest in final if name == "HEALTHCHECK"]
    assert "127.0.0.1:5000/healthz" in health


def test_the_build_sees_what_it_copies():
    kept = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for name, rest in dockerfile():
        if name == "COPY" and "--from" not in rest:
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists(), source
                assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), source


def test_the_same_python_builds_and_runs():
    images = [rest.split()[0] for name, rest in dockerfile() if name == "FROM"]
    assert len(images) == 2 and len(set(images)) == 1
    version = re.match(r"python:(3\.\d+)-", images[0])[1]
    assert version in ("3.11", "3.12", "3.13")
