"""Reads the files for platforms by the libraries of others, and says what in them does not fit together."""

import tomllib

import kubernetes_validate
import yaml


def port(address):
    return int(address.rsplit(":", 1)[1])


def fits(what, one, other):
    assert one == other, f"{what}: {one} and {other}"


def read(name):
    with open(f"deploy/{name}", "rb") as file:
        return file.read()


# By the schemas that Kubernetes publishes; `strict`: with no field that they do not have.
parts = {}
for part in yaml.safe_load_all(read("kubernetes.yaml")):
    kubernetes_validate.validate(part, "1.37", strict=True)
    parts[part["kind"]] = part
settings = parts["ConfigMap"]["data"]
pod = parts["StatefulSet"]["spec"]["template"]
(container,) = pod["spec"]["containers"]
ports = {of["name"]: of["containerPort"] for of in container["ports"]}
fits("Kubernetes: the page", ports["http"], port(settings["PUNCTUAL_HTTP_ADDR"]))
fits("Kubernetes: callbacks", ports["callbacks"], port(settings["PUNCTUAL_WEBHOOK_ADDR"]))
for probe in ("readinessProbe", "livenessProbe"):
    fits(f"Kubernetes: {probe}", container[probe]["httpGet"]["port"], "http")
(service,) = parts["Service"]["spec"]["ports"]
fits("Kubernetes: the service", service["targetPort"], "callbacks")
fits("Kubernetes: the pods of the service", parts["Service"]["spec"]["selector"], pod["metadata"]["labels"])
(mount,) = container["volumeMounts"]
(volume,) = parts["StatefulSet"]["spec"]["volumeClaimTemplates"]
fits("Kubernetes: the volume", mount["name"], volume["metadata"]["name"])
fits("Kubernetes: the journal", mount["mountPath"], settings["PUNCTUAL_STATE_DIR"])

fly = tomllib.loads(read("fly.toml").decode())
fits("Fly: callbacks", fly["http_service"]["internal_port"], port(fly["env"]["PUNCTUAL_WEBHOOK_ADDR"]))
fits("Fly: readiness", fly["checks"]["ready"]["port"], port(fly["env"]["PUNCTUAL_HTTP_ADDR"]))
fits("Fly: the path of readiness", fly["checks"]["ready"]["path"], "/readyz")

(render,) = yaml.safe_load(read("render.yaml"))["services"]
settings = {of["key"]: of.get("value") for of in render["envVars"]}
fits("Render: callbacks", int(settings["PORT"]), port(settings["PUNCTUAL_WEBHOOK_ADDR"]))
fits("Render: secrets", [of["key"] for of in render["envVars"] if of.get("value") and "TOKEN" in of["key"]], [])

railway = tomllib.loads(read("railway.toml").decode())
fits("Railway: how it is built", railway["build"]["builder"], "DOCKERFILE")

compose = yaml.safe_load(read("compose.yaml"))
daemon = compose["services"]["punctual"]
(published,) = daemon["ports"]
fits("Compose: the page", port(published), port(daemon["environment"]["PUNCTUAL_HTTP_ADDR"]))
(volume,) = daemon["volumes"]
fits("Compose: the journal", volume.split(":")[1], daemon["environment"]["PUNCTUAL_STATE_DIR"])
for service in compose["services"].values():
    for needed in service.get("depends_on", {}):
        assert needed in compose["services"], needed

# A stop waits for requests in flight as long everywhere.
fits("the time to stop", fly["kill_timeout"], daemon["stop_grace_period"])
fits("the time to stop", f"{railway['deploy']['drainingSeconds']}s", daemon["stop_grace_period"])
fits("the time to stop", f"{render['maxShutdownDelaySeconds']}s", daemon["stop_grace_period"])
fits("the time to stop", f"{pod['spec']['terminationGracePeriodSeconds']}s", daemon["stop_grace_period"])
