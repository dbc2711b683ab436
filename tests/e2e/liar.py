#!/usr/bin/env python3
"""liar.py - a registry that lies in the way its repository's name says.

    liar.py PORT LOG [CERT KEY]     (a second origin for redirects is at PORT + 1)

Each name below is a way to serve one small image: `brig pull 127.0.0.1:PORT/NAME`. LOG gets a line
for each request: port, method, path, whether it carried Authorization, and the Range.
"""
import gzip
import hashlib
import http.server
import io
import json
import socketserver
import ssl
import sys
import tarfile
import threading
import time

OCI = "application/vnd.oci.image."
MANIFEST = OCI + "manifest.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def noise(size, seed):
    """Bytes that do not compress."""
    out = b""
    block = str(seed).encode()
    while len(out) < size:
        block = hashlib.sha256(block).digest()
        out += block
    return out[:size]


class Index:
    """Two images, for two platforms."""

    def __init__(self, name):
        images = [("amd64", Image(name + "-amd64")), ("arm64", Image(name + "-arm64"))]
        self.manifests = {digest(image.manifest): image.manifest for _, image in images}
        self.blobs = {}
        self.layers = []
        for _, image in images:
            self.blobs.update(image.blobs)
            self.layers += image.layers
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI + "index.v1+json",
            "manifests": [{"mediaType": MANIFEST, "digest": digest(image.manifest), "size": len(image.manifest),
                           "platform": {"os": "linux", "architecture": architecture}}
                          for architecture, image in images]}).encode()


class Image:
    """Two layers, a config and a manifest; what a lie changes is changed before it is built."""

    def __init__(self, name):
        base = "shared" if name.startswith("shared-") else name
        tars = [make_tar({"one": noise(300000, base + "1"), "hello": b"hello\n"}), make_tar({"two": noise(200000, name + "2")})]
        if name == "bomb":
            tars[1] = bytes(600 << 20)
        layers = [gzip.compress(tar, 9 if name == "bomb" else 1, mtime=0) for tar in tars]
        if name == "members":
            half = len(tars[0]) // 2
            layers[0] = gzip.compress(tars[0][:half], mtime=0) + gzip.compress(tars[0][half:], mtime=0)
        if name == "damaged-gzip":
            broken = bytearray(layers[1])
            broken[len(broken) // 2] ^= 1
            layers[1] = bytes(broken)
        if name == "cut-gzip":
            layers[1] = layers[1][:-100]
        kind = OCI + "layer.v1.tar+gzip"
        if name == "plain":
            layers, kind = tars, OCI + "layer.v1.tar"
        if name == "wrong-type":  # says gzip, is plain: taken by its bytes, as docker does
            layers = tars
        diff_ids = [digest(tar) for tar in tars]
        if name == "wrong-diff-id":
            diff_ids[1] = digest(b"other")
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
                  "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        if name == "missing-diff-id":
            diff_ids.pop()
        if name == "no-platform":
            config["os"] = "windows"
        if name == "index-arm64":
            config["architecture"] = "arm64"
        self.config = json.dumps(config).encode()
        if name == "config-not-json":
            self.config = b"<html>"
        self.blobs = {digest(self.config): self.config}
        self.blobs.update({digest(layer): layer for layer in layers})
        self.layers = [digest(layer) for layer in layers]
        document = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": OCI + "config.v1+json", "digest": digest(self.config), "size": len(self.config)},
            "layers": [{"mediaType": kind, "digest": digest(layer), "size": len(layer)} for layer in layers]}
        last = document["layers"][1]
        if name == "size-too-small":
            last["size"] -= 10
        if name == "size-too-large":
            last["size"] += 10
        if name == "size-negative":
            last["size"] = -1
        if name == "size-huge":
            last["size"] = 1 << 62
        if name == "bad-digest":
            last["digest"] = "sha256:../../../../etc/passwd"
        if name == "foreign-urls":
            last["urls"] = ["file:///etc/passwd", "http://169.254.169.254/"]
        if name == "two-kinds":
            document["manifests"] = []
        if name == "type-lie":
            document["mediaType"] = OCI + "index.v1+json"
        if name == "config-size":
            document["config"]["size"] += 1
        if name == "wrong-config":
            document["config"]["digest"] = digest(self.config + b" ")
            self.blobs[digest(self.config + b" ")] = self.config
        if name == "many-layers":
            document["layers"] = [dict(last) for _ in range(5000)]
        self.manifest = json.dumps(document).encode()
        if name == "not-json":
            self.manifest = b"{" * 100
        if name == "deep-json":
            self.manifest = b"[" * 100000
        if name == "huge-manifest":
            self.manifest = b" " * (5 << 20) + self.manifest


images = {}
counts = {}
lock = threading.Lock()
log = open(sys.argv[2], "a", buffering=1)
port = int(sys.argv[1])


def image_of(name):
    with lock:
        if name not in images:
            images[name] = Index(name) if name == "index" else Image(name)
        return images[name]


def count(key):
    with lock:
        counts[key] = counts.get(key, 0) + 1
        return counts[key]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    here = 0

    def log_message(self, *args):
        pass

    def base(self):
        return f"{scheme}://127.0.0.1:{port}"

    def answer(self, status, body=b"", kind="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, message, **headers):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), **headers)

    def go(self, place, status=307):
        self.answer(status, Location=place)

    def drop(self):
        self.close_connection = True
        self.connection.shutdown(2)

    def do_GET(self):
        path = self.path
        print(self.here, "GET", path, "authorized" if "Authorization" in self.headers else "-",
              self.headers.get("Range", "-"), file=log)
        if path.startswith("/token"):
            return self.token(path)
        if path == "/v2/":
            # Who wants to log in.
            if self.headers.get("Authorization") == "Bearer good-token":
                return self.answer(200, b"{}")
            return self.refuse(401, "UNAUTHORIZED", "authentication required",
                               WWW_Authenticate=f'Bearer realm="{self.base()}/token-login",service="liar"')
        if path.startswith("/elsewhere/"):
            name, wanted = path.split("/")[2:4]
            return self.answer(200, image_of(name).blobs[wanted], "application/octet-stream")
        parts = path.split("?")[0].split("/")
        if len(parts) < 5 or parts[1] != "v2":
            return self.refuse(404, "NAME_UNKNOWN", "repository name not known to registry")
        name, kind, wanted = "/".join(parts[2:-2]), parts[-2], parts[-1]
        if self.stopped(name, kind, wanted):
            return
        image = image_of(name)
        if kind == "manifests":
            return self.manifest(name, image, wanted)
        if wanted not in image.blobs:
            return self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
        return self.blob(name, image, wanted)

    def stopped(self, name, kind, wanted):
        """Whole requests that go wrong, whatever was asked for."""
        authorized = self.headers.get("Authorization", "")
        if name.startswith("token"):
            realm = {
                "token": f"{self.base()}/token",
                "token-garbage": f"{self.base()}/token-garbage",
                "token-refused": f"{self.base()}/token-refused",
                "token-html": f"{self.base()}/token-html",
                "token-redirect": f"{self.base()}/token-redirect",
                "token-private": "http://10.1.2.3/token",
                "token-link": "http://169.254.169.254/latest/meta-data",
                "token-other-host": "https://auth.example.net/token",
                "token-file": "file:///etc/passwd",
                "token-userinfo": f"http://a:b@127.0.0.1:{port}/token",
                "token-useless": f"{self.base()}/token",
                "token-crlf": f"{self.base()}/token",
                "token-blob-elsewhere": f"{self.base()}/token",
            }.get(name, f"{self.base()}/token")
            if authorized != "Bearer good-token" or name == "token-useless":
                self.refuse(401, "UNAUTHORIZED", "authentication required",
                            WWW_Authenticate=f'Bearer realm="{realm}",service="liar",scope="repository:{name}:pull"')
                return True
        if name == "basic" and authorized != "Basic am9lOnNlY3JldA==":
            self.refuse(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate='Basic realm="liar"')
            return True
        if name == "denied":
            self.refuse(403, "DENIED", "requested access to the resource is denied")
            return True
        if name == "escapes":
            self.refuse(403, "DENIED", "\x1b]0;owned\x07\x1b[31mred\u009b2J")
            return True
        if name == "teapot":
            self.answer(418, b"<html>" + b"x" * 100000, "text/html")
            return True
        if name == "limited":
            self.refuse(429, "TOOMANYREQUESTS", "You have reached your pull rate limit", Retry_After="17")
            return True
        if name == "flaky" and count(wanted) <= 2:
            self.refuse(503, "UNAVAILABLE", "come back later", Retry_After="1")
            return True
        if name == "broken":
            self.refuse(500, "UNKNOWN", "the disk is on fire", Retry_After="1")
            return True
        if name == "headers":
            self.send_response(200)
            try:
                for i in range(100000):
                    self.send_header(f"X-{i}", "y" * 1000)
                    self.flush_headers()
            except OSError:
                pass
            self.close_connection = True
            return True
        if name == "garbage":
            self.wfile.write(b"\x00\xff\x01 this is not HTTP\r\n\r\n")
            self.drop()
            return True
        return False

    def token(self, path):
        if path.startswith("/token-garbage"):
            return self.answer(200, b'{"token": "x\\r\\nHost: evil"}')
        if path.startswith("/token-refused"):
            return self.answer(401, b'{"details": "incorrect username or password"}')
        if path.startswith("/token-login"):
            if self.headers.get("Authorization") != "Basic am9lOnNlY3JldA==" or \
                    "account=joe" not in path or "scope" in path:
                return self.answer(401, b'{"details": "incorrect username or password"}')
        if path.startswith("/token-html"):
            return self.answer(200, b"<html>log in</html>", "text/html")
        if path.startswith("/token-redirect"):
            return self.go(f"{self.base()}/token")
        return self.answer(200, b'{"token": "good-token", "expires_in": 300}')

    def manifest(self, name, image, wanted):
        if name == "no-manifest" or wanted == "nosuchtag":
            return self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if name == "html":
            return self.answer(200, b"<html>Please log in</html>", "text/html; charset=utf-8")
        if name == "manifest-loop":
            return self.go(self.path)
        if wanted in getattr(image, "manifests", {}):
            return self.answer(200, image.manifests[wanted], MANIFEST, Docker_Content_Digest=wanted)
        said = {"digest-lie": digest(b"other"), "digest-garbage": "sha256:../../x"}.get(name, digest(image.manifest))
        kind = {"header-type-lie": OCI + "index.v1+json", "index": OCI + "index.v1+json"}.get(name, MANIFEST)
        headers = {} if name == "no-digest" else {"Docker_Content_Digest": said}
        try:
            self.answer(200, image.manifest, kind, **headers)
        except OSError:
            pass

    def blob(self, name, image, wanted):
        data = image.blobs[wanted]
        kind = "application/octet-stream"
        start = 0
        status = 200
        headers = {}
        layer = wanted in image.layers
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and name not in ("cut-norange", "wrong-range"):
            start = int(asked[6:].split("-")[0])
            status = 206
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        elif asked and name == "wrong-range":
            status = 206
            headers["Content_Range"] = f"bytes 0-{len(data) - 1}/{len(data)}"
        body = data[start:]
        if layer:
            if name == "html-blob":
                return self.answer(200, b"<html>no</html>", "text/html")
            if name in ("redirect-5", "redirect-6"):
                hop = int(self.path.split("hop=")[1]) if "hop=" in self.path else 0
                if hop < int(name[-1]):
                    return self.go(f"{self.path.split('?')[0]}?hop={hop + 1}")
            places = {
                "redirect-link": "http://169.254.169.254/blob",
                "redirect-private": "http://10.1.2.3/blob",
                "redirect-odd": "http://0x0a000001/blob",
                "redirect-file": "file:///etc/passwd",
                "redirect-userinfo": "http://a:b@example.com/",
                "redirect-nowhere": "",
                "redirect-elsewhere": f"{scheme}://127.0.0.1:{port + 1}/elsewhere/{name}/{wanted}",
                "token-blob-elsewhere": f"{scheme}://127.0.0.1:{port + 1}/elsewhere/{name}/{wanted}",
                "redirect-http": f"http://127.0.0.1:{port + 1}/elsewhere/{name}/{wanted}",
            }
            if name in places:
                return self.go(places[name])
            if name == "wrong-bytes":
                body = bytes(len(body))
            if name in ("longer", "shorter"):
                body = body + b"x" if name == "longer" else body[:-1]
            if name == "endless":
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(b"1000\r\n" + b"z" * 4096 + b"\r\n")
                except OSError:
                    pass
                return self.drop()
            if name in ("cut", "cut-norange", "wrong-range", "cut-always"):
                first = count(name + wanted) == 1
                if first or name == "cut-always":
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    for key, value in headers.items():
                        self.send_header(key.replace("_", "-"), value)
                    self.end_headers()
                    self.wfile.write(body[:len(body) // 2 if first else 0])
                    self.wfile.flush()
                    time.sleep(0.1)
                    return self.drop()
            if name == "stall-always" or (name == "slow" and wanted == image.layers[1]):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body[:1000])
                self.wfile.flush()
                try:
                    if name == "stall-always":
                        time.sleep(600)
                    for i in range(1000, len(body), 20000):
                        time.sleep(1)
                        self.wfile.write(body[i:i + 20000])
                except OSError:
                    pass
                return self.drop()
            if name == "one-missing" and wanted == image.layers[1]:
                return self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
        try:
            self.answer(status, body, kind, **headers)
        except OSError:
            pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *args):
        pass


def serve(number, tls):
    server = Server(("127.0.0.1", number), type("H", (Handler,), {"here": number}))
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3], sys.argv[4])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


tls = len(sys.argv) > 4
scheme = "https" if tls else "http"
threading.Thread(target=serve(port + 1, tls).serve_forever, daemon=True).start()
serve(port, tls).serve_forever()
