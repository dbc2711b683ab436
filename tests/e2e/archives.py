#!/usr/bin/env python3
"""archives.py - makes archives of images by hand, good ones and such as nobody should send.

    archives.py KIND FILE

writes the archive KIND to FILE. Every kind is a function below whose name begins with
make_; the good ones are read by docker and podman, the others are each wrong in one thing.
"""
import gzip
import hashlib
import io
import json
import sys
import tarfile


def sha(data):
    return hashlib.sha256(data).hexdigest()


class Archive:
    def __init__(self, path):
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)

    def add(self, name, data=b"", kind=tarfile.REGTYPE, link="", pax=None):
        if isinstance(data, (dict, list)):
            data = json.dumps(data).encode()
        elif isinstance(data, str):
            data = data.encode()
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        member.size = len(data) if kind == tarfile.REGTYPE else 0
        member.pax_headers = pax or {}
        self.tar.addfile(member, io.BytesIO(data))
        return data

    def close(self):
        self.tar.close()


def layer(files=(("hello", b"hello\n"),), folders=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in folders:
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def config_of(layers, **more):
    document = {
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Cmd": ["/hello"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(one) for one in layers]},
    }
    document.update(more)
    return json.dumps(document).encode()


ONE, TWO = layer(), layer((("two", b"2\n"), ("big", b"x" * 300000)))


def docker(a, layers=(ONE,), tags=("hand:1",), names=None, config=None, write=True, **entry):
    """docker's form as skopeo writes it."""
    config = config or config_of(layers)
    names = names or [sha(one) + ".tar" for one in layers]
    if write:
        for name, data in dict(zip(names, layers)).items():
            a.add(name, data)
    a.add(sha(config) + ".json", config)
    manifest = {"Config": sha(config) + ".json", "RepoTags": list(tags), "Layers": names}
    manifest.update(entry)
    a.add("manifest.json", [manifest])


def oci(a, layers=(ONE,), annotations=None, blobs=None, manifest_more=None, index_more=None, config=None,
        layer_type="application/vnd.oci.image.layer.v1.tar", version="1.0.0", skip=(), change=None):
    """An OCI layout. blobs are the layers as they are stored; skip and change tell lies about names."""
    blobs = blobs or layers
    config = config or config_of(layers)
    manifest = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "digest": "sha256:" + sha(config), "size": len(config)},
        "layers": [{"mediaType": layer_type, "digest": "sha256:" + sha(one), "size": len(one)} for one in blobs],
    }
    manifest.update(manifest_more or {})
    manifest = json.dumps(manifest).encode()
    index = {"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + sha(manifest),
         "size": len(manifest), "annotations": annotations or {}}]}
    index.update(index_more or {})
    a.add("oci-layout", {"imageLayoutVersion": version})
    stored = {"config": config, "manifest": manifest, **{f"layer{i}": one for i, one in enumerate(blobs)}}
    for what, data in stored.items():
        if what not in skip:
            a.add("blobs/sha256/" + sha(data), (change or {}).get(what, data))
    a.add("index.json", index)


# --- good ones ---------------------------------------------------------------------------

def make_docker(a):
    docker(a, (ONE, TWO))


def make_legacy(a):
    """docker save before 25: a folder for each layer, and links to those that are there already."""
    config = config_of((ONE, TWO, ONE))
    a.add("aa/", kind=tarfile.DIRTYPE)
    a.add("aa/VERSION", "1.0")
    a.add("aa/json", {"id": "aa"})
    a.add("aa/layer.tar", ONE)
    a.add("bb/layer.tar", TWO)
    a.add("cc/layer.tar", kind=tarfile.SYMTYPE, link="../aa/layer.tar")
    a.add(sha(config) + ".json", config)
    a.add("manifest.json", [{"Config": sha(config) + ".json", "RepoTags": ["legacy:1", "legacy:2"],
                             "Layers": ["aa/layer.tar", "bb/layer.tar", "cc/layer.tar"]}])
    a.add("repositories", {"legacy": {"1": "cc", "2": "cc"}})


def make_modern(a):
    """docker save since 25: an OCI layout with a manifest.json; the index would be another image."""
    config = config_of((ONE,))
    other = config_of((TWO,))
    oci(a, (TWO,), {"io.containerd.image.name": "docker.io/library/wrong:1"}, config=other)
    a.add("blobs/sha256/" + sha(ONE), ONE)
    a.add("blobs/sha256/" + sha(config), config)
    a.add("manifest.json", [{"Config": "blobs/sha256/" + sha(config), "RepoTags": ["modern:1"],
                             "Layers": ["blobs/sha256/" + sha(ONE)]}])


def make_several(a):
    """Three images, layers shared; one has two names, one none."""
    three = layer((("three", b"3"),))
    images = [((ONE, TWO), ["first:1"]), ((ONE, three), ["second:1", "second:2"]), ((TWO,), None)]
    entries = []
    for name, data in (("one", ONE), ("two", TWO), ("three", three)):
        a.add(f"./{name}.tar", data)
    for layers, tags in images:
        config = config_of(layers)
        a.add(f"./{sha(config)}.json", config)
        entries.append({"Config": sha(config) + ".json", "RepoTags": tags, "Layers":
                        [{ONE: "one.tar", TWO: "two.tar", three: "three.tar"}[one] for one in layers]})
    a.add("./manifest.json", entries)


def make_gzip_layer(a):
    names = [sha(ONE) + ".tar"]
    config = config_of((ONE,))
    docker(a, (gzip.compress(ONE),), names=names, config=config)


def make_no_layers(a):
    docker(a, (), config=config_of(()))


def make_many_layers(a):
    docker(a, tuple(layer(((f"f{i}", b"%d" % i),)) for i in range(120)))


def make_oci(a):
    oci(a, (ONE, TWO), {"io.containerd.image.name": "docker.io/library/hand:2"})


def make_oci_gzip(a):
    oci(a, (ONE, TWO), {"org.opencontainers.image.ref.name": "example.com/hand:3"},
        blobs=(gzip.compress(ONE), gzip.compress(TWO)), layer_type="application/vnd.oci.image.layer.v1.tar+gzip")


def make_oci_tag(a):
    oci(a, (ONE,), {"org.opencontainers.image.ref.name": "latest"})


def make_oci_nested(a):
    """An index in the index, for two platforms, as buildkit writes it."""
    def image(one, architecture):
        config = config_of((one,), architecture=architecture)
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + sha(config),
                       "size": len(config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + sha(one),
                        "size": len(one)}]}).encode()
        for data in (config, manifest, one):
            a.add("blobs/sha256/" + sha(data), data)
        return {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + sha(manifest),
                "size": len(manifest), "platform": {"os": "linux", "architecture": architecture}}
    index = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [image(TWO, "s390x"), image(ONE, "amd64"), image(layer((("arm", b"a"),)), "arm64")]}).encode()
    a.add("blobs/sha256/" + sha(index), index)
    a.add("oci-layout", {"imageLayoutVersion": "1.0.0"})
    a.add("index.json", {"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:" + sha(index), "size": len(index),
         "annotations": {"io.containerd.image.name": "docker.io/library/nested:1"}}]})


# --- bad ones ----------------------------------------------------------------------------

def make_missing_layer(a):
    docker(a, (ONE, TWO), write=False)


def make_missing_config(a):
    a.add("manifest.json", [{"Config": "there-is-none.json", "RepoTags": ["x:1"], "Layers": []}])


def make_wrong_diff_id(a):
    docker(a, (ONE,), config=config_of((TWO,)))


def make_wrong_config(a):
    config = config_of((ONE,))
    a.add("one.tar", ONE)
    a.add(sha(b"other") + ".json", config)
    a.add("manifest.json", [{"Config": sha(b"other") + ".json", "RepoTags": ["x:1"], "Layers": ["one.tar"]}])


def make_layer_count(a):
    docker(a, (ONE,), config=config_of((ONE, TWO)))


def make_outside(a):
    """A layer that is a link to a file of the host."""
    docker(a, (ONE,), names=["link"], write=False)
    a.add("link", kind=tarfile.SYMTYPE, link="../../../../../../etc/passwd")


def make_absolute(a):
    """A link with an absolute path means the archive's own root, where this is not."""
    docker(a, (ONE,), names=["link"], write=False)
    a.add("link", kind=tarfile.SYMTYPE, link="/etc/passwd")


def make_config_path(a):
    a.add("manifest.json", [{"Config": "/etc/hostname", "RepoTags": ["x:1"], "Layers": []}])


def make_config_dots(a):
    a.add("manifest.json", [{"Config": "../../../../etc/hostname", "RepoTags": ["x:1"], "Layers": []}])


def make_loop(a):
    docker(a, (ONE,), names=["a"], write=False)
    a.add("a", kind=tarfile.SYMTYPE, link="b")
    a.add("b", kind=tarfile.SYMTYPE, link="a")


def make_device(a):
    docker(a, (ONE,), names=["zero"], write=False)
    a.add("zero", kind=tarfile.CHRTYPE)


def make_folder(a):
    docker(a, (ONE,), names=["dir"], write=False)
    a.add("dir/", kind=tarfile.DIRTYPE)


def make_twice(a):
    a.add("manifest.json", [])
    docker(a, (ONE,))


def make_twice_spelled(a):
    docker(a, (ONE,))
    a.add(".//manifest.json", [])


def make_serial_name(a):
    docker(a, (ONE,), tags=("img_12345:latest",))


def make_serial_name_bare(a):
    docker(a, (ONE,), tags=("good:1", "ps_12345:1"))


def make_bad_name(a):
    docker(a, (ONE,), tags=("UPPER:1",))


def make_escape_name(a):
    docker(a, (ONE,), tags=("\x1b[31mred:1",))


def make_no_tag(a):
    docker(a, (ONE,), tags=("untagged",))


def make_digest_name(a):
    oci(a, (ONE,), {"io.containerd.image.name": "docker.io/library/x@sha256:" + sha(b"other")})


def make_windows(a):
    docker(a, (ONE,), config=config_of((ONE,), os="windows"))


def make_rootfs(a):
    a.add("etc/passwd", "root:x:0:0::/:/bin/sh\n")


def make_ancient(a):
    a.add("aa/layer.tar", ONE)
    a.add("repositories", {"x": {"1": "aa"}})


def make_empty_list(a):
    a.add("manifest.json", [])


def make_no_json(a):
    a.add("manifest.json", "this is no json")


def make_deep_json(a):
    a.add("manifest.json", "[" * 100000)


def make_object(a):
    a.add("manifest.json", {"Config": "x"})


def make_number_layer(a):
    docker(a, (ONE,), Layers=[7])


def make_large_manifest(a):
    a.add("manifest.json", b"[" + b" " * (5 << 20) + b"]")


def make_large_config(a):
    config = config_of((), filler="x" * (9 << 20))
    docker(a, (), config=config)


def make_many_members(a):
    for i in range(70000):
        a.add(f"f{i}")


def make_many_names(a):
    docker(a, (ONE,), tags=[f"x:{i}" for i in range(5000)])


def make_many_images(a):
    entries = []
    for i in range(1100):
        config = config_of((), number=i)
        a.add(f"{i}.json", config)
        entries.append({"Config": f"{i}.json", "RepoTags": None, "Layers": []})
    a.add("manifest.json", entries)


def make_sparse(a):
    """A member with holes, whose bytes are not all in the archive."""
    data = b"1\n512\n512\n".ljust(512, b"\0") + b"x" * 512
    docker(a, (ONE,), names=["sparse"], write=False)
    a.add("sparse", data, pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
                               "GNU.sparse.realsize": "1024"})


def make_bomb(a):
    """A layer that grows more than a thousandfold."""
    big = layer((("zeros", bytes(64 << 20)),))
    docker(a, (gzip.compress(gzip.compress(big, 9), 9),), names=["x"], config=config_of((big,)))


def make_gzip_bomb(a):
    big = layer((("zeros", bytes(200 << 20)),))
    docker(a, (gzip.compress(big, 9),), names=["x"], config=config_of((big,)))


def make_gzip_cut(a):
    docker(a, (gzip.compress(TWO)[:-20],), names=["x"], config=config_of((TWO,)))


def make_gzip_crc(a):
    data = bytearray(gzip.compress(TWO))
    data[-6] ^= 1
    docker(a, (bytes(data),), names=["x"], config=config_of((TWO,)))


def make_xz_layer(a):
    import lzma
    docker(a, (lzma.compress(ONE),), names=["x"], config=config_of((ONE,)))


def make_layer_escape(a):
    evil = layer((("../../../../../../tmp/brig-evil", b"evil"),))
    docker(a, (evil,))


def make_layer_damaged(a):
    data = bytearray(TWO)
    data[3] ^= 1
    docker(a, (bytes(data),), names=["x"], config=config_of((bytes(data),)))


def make_oci_version(a):
    oci(a, version="2.0.0")


def make_oci_no_layout(a):
    a.add("index.json", {"schemaVersion": 2, "manifests": []})


def make_oci_missing(a):
    oci(a, (ONE, TWO), skip=("layer1",))


def make_oci_missing_manifest(a):
    oci(a, skip=("manifest",))


def make_oci_wrong_layer(a):
    oci(a, (ONE, TWO), change={"layer1": TWO[:-1] + b"!"})


def make_oci_short_layer(a):
    oci(a, (ONE, TWO), change={"layer1": TWO[:-1]})


def make_oci_wrong_config(a):
    oci(a, change={"config": config_of((ONE,), author="another")})


def make_oci_wrong_manifest(a):
    oci(a, change={"manifest": b"{}"})


def make_oci_diff_id(a):
    oci(a, (ONE,), config=config_of((TWO,)))


def make_oci_artifact(a):
    oci(a, layer_type="application/vnd.cncf.helm.chart.content.v1.tar+gzip")


def make_oci_digest_path(a):
    oci(a, index_more={"manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
                                      "digest": "sha256:../../../../etc/passwd", "size": 10}]})


def make_oci_confused(a):
    """A manifest that is an index as well."""
    oci(a, manifest_more={"manifests": []})


def make_oci_nesting(a):
    """Indexes in indexes, one below the other."""
    data = b"{}"
    media = "application/vnd.oci.image.index.v1+json"
    for _ in range(10):
        data = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": [
            {"mediaType": media, "digest": "sha256:" + sha(data), "size": len(data),
             "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()
        a.add("blobs/sha256/" + sha(data), data)
    a.add("oci-layout", {"imageLayoutVersion": "1.0.0"})
    a.add("index.json", {"schemaVersion": 2, "manifests": [
        {"mediaType": media, "digest": "sha256:" + sha(data), "size": len(data)}]})


def main():
    archive = Archive(sys.argv[2])
    globals()["make_" + sys.argv[1]](archive)
    archive.close()


main()
