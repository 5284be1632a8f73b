"""As much of a Kubernetes API server as Jobs need: each pod is a process here. What the schema does not allow is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Check = Callable[[dict[str, Any]], str | None]
_JOBS = re.compile(r"/apis/batch/v1/namespaces/([^/]+)/jobs(?:/([^/]+))?")
_PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+)/log)?")


@dataclass
class Pod:
    name: str
    job: str
    labels: Mapping[str, str]
    process: subprocess.Popen[bytes]
    log: Path
    disrupted: bool = False


@dataclass
class Cluster:
    """environ: what pods see beside their own variables. check: what is wrong with an object, if anything."""

    folder: Path
    environ: Mapping[str, str]
    check: Check
    url: str = ""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def create(self, job: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            problem = self.check(job)
            if problem is not None:
                return 422, _status(422, problem)
            name = job["metadata"]["name"]
            if name in self.jobs:
                return 409, _status(409, f"{name} is there")
            self.jobs[name] = {**job, "status": {}}
            self._start(name)
            return 201, self.jobs[name]

    def _start(self, name: str) -> None:
        template = self.jobs[name]["spec"]["template"]
        container = template["spec"]["containers"][0]
        number = sum(pod.job == name for pod in self.pods)
        log = self.folder / f"{name}-{number}.log"
        variables = {row["name"]: row["value"].replace("$$(", "$(") for row in container["env"]}
        with log.open("wb") as output:
            process = subprocess.Popen(
                container["command"],
                env={**os.environ, **self.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        labels = {**template["metadata"]["labels"], "job-name": name}
        self.pods.append(Pod(f"{name}-{number}", name, labels, process, log))

    def look(self) -> None:
        """What the Job controller does."""
        with self.lock:
            for name, job in self.jobs.items():
                pods = [pod for pod in self.pods if pod.job == name]
                if job["status"].get("conditions") or any(pod.process.poll() is None for pod in pods):
                    continue
                disrupted = sum(pod.disrupted for pod in pods)
                if pods[-1].disrupted and disrupted <= job["spec"]["backoffLimit"]:
                    self._start(name)
                elif not pods[-1].disrupted and pods[-1].process.returncode == 0:
                    job["status"] = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1}
                else:
                    reason = "BackoffLimitExceeded" if pods[-1].disrupted else "PodFailurePolicy"
                    job["status"] = {"conditions": [{"type": "Failed", "status": "True", "reason": reason}]}

    def disrupt(self) -> None:
        """A node fails: its pods end by no doing of their own."""
        with self.lock:
            for pod in self.pods:
                if pod.process.poll() is None:
                    pod.disrupted = True
                    _end(pod)

    def delete(self, name: str) -> tuple[int, dict[str, Any]]:
        with self.lock:
            if name not in self.jobs:
                return 404, _status(404, "not there")
            del self.jobs[name]
            for pod in [pod for pod in self.pods if pod.job == name]:
                _end(pod)
                self.pods.remove(pod)
            return 200, {"kind": "Status", "status": "Success"}


@contextmanager
def cluster(environ: Mapping[str, str], check: Check = lambda _: None) -> Iterator[Cluster]:
    there = Cluster(Path(tempfile.mkdtemp(prefix="wm-kube-")), environ, check)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._answer(*there.create(body))

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            match = _JOBS.fullmatch(urlsplit(self.path).path)
            self._answer(*there.delete(match[2] if match else ""))

        def do_GET(self) -> None:
            there.look()
            parts = urlsplit(self.path)
            selector = parse_qs(parts.query).get("labelSelector", [""])[0]
            wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
            if _JOBS.fullmatch(parts.path):
                jobs = [
                    job for job in there.jobs.values() if wanted.items() <= job["metadata"]["labels"].items()
                ]
                self._answer(
                    200, {"kind": "JobList", "apiVersion": "batch/v1", "metadata": {}, "items": jobs}
                )
                return
            pods = _PODS.fullmatch(parts.path)
            if pods is None:
                self._answer(404, _status(404, "no such thing"))
            elif pods[2]:
                text = next(pod.log.read_bytes() for pod in there.pods if pod.name == pods[2])
                self._send(200, "text/plain", text)
            else:
                items = [
                    {"metadata": {"name": pod.name, "labels": pod.labels}}
                    for pod in there.pods
                    if wanted.items() <= pod.labels.items()
                ]
                self._answer(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            self._send(status, "application/json", json.dumps(content).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for pod in there.pods:
            _end(pod)
        shutil.rmtree(there.folder, ignore_errors=True)


def _end(pod: Pod) -> None:
    """As the kubelet: SIGTERM, a while to end, SIGKILL."""
    if pod.process.poll() is None:
        os.killpg(pod.process.pid, signal.SIGTERM)
        try:
            pod.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(pod.process.pid, signal.SIGKILL)
            pod.process.wait()


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
