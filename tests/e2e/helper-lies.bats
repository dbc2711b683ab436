#!/usr/bin/env bats
# brig-net is not trusted: whatever it answers, brig says one thing and keeps nothing wrong.
load lib
load liar

setup() {
	fresh_store
	mkdir -p "$BRIG_TEST_DIR/fake"
	cp "$BRIG" "$BRIG_TEST_DIR/fake/brig"
}

# helper CODE: a brig-net in Python, with s the socket, and done(), failed(), wait() at hand.
helper() {
	cat >"$BRIG_TEST_DIR/fake/brig-net" <<-EOF2
		#!$(command -v python3)
		import array, hashlib, json, os, socket, struct, sys
		s = socket.socket(fileno=3)
		def wait():
		    data, anc, flags, _ = s.recvmsg(1 << 17, 256)
		    if not data: sys.exit()
		    fds = array.array("i")
		    for level, kind, bytes_ in anc: fds.frombytes(bytes_)
		    kind, id = struct.unpack_from("II", data)
		    return kind, id, list(fds), data
		def done(id, size, inflated=0, media=b"", digest=b""):
		    s.send(struct.pack("=IIqq128s160s", 17, id, size, inflated, media, digest))
		def failed(id, kind=9, status=0, what=b"no", hint=b""):
		    s.send(struct.pack("=IIII768s384s", 18, id, kind, status, what, hint))
		def text(data, at): return data[at:].split(b"\0")[0].decode()
		wait()
		$1
	EOF2
	chmod 755 "$BRIG_TEST_DIR/fake/brig-net"
}
refuse() {
	assert_run 1 timeout 20 "$BRIG_TEST_DIR/fake/brig" pull -q localhost:6000/good
	assert_one_error "$1"
	refute_match "$errors" $'\x1b'
	assert_store_empty
}

@test "answers that do not keep to the protocol" {
	local code
	for code in 's.send(b"x")' 's.send(b"\0" * 8)' 's.send(struct.pack("II", 17, i))' 's.send(b"z" * 100000)' \
		'done(i + 7, 0)' 'done(i, -1)' 'done(i, 0, media=b"x" * 128)' 'failed(i, what=b"x" * 768)' \
		'failed(i, kind=0)' 'failed(i, kind=99)' 'failed(i, status=1 << 20)'; do
		helper "i = wait()[1]; $code; wait()"
		refuse "does not keep to the protocol"
	done
}

@test "ends, at once or in the middle" {
	helper 'sys.exit()'
	refuse "ended before its work was done"
	helper 'wait(); os.kill(os.getpid(), 9)'
	refuse "ended by signal 9"
}

@test "texts are cleaned" {
	helper 'failed(wait()[1], what=b"\x1b]0;owned\x07 red", hint=b"\x1b[31m")'
	refuse '\\x1b\]0;owned'
}

@test "documents that it makes up" {
	helper 'k, i, f, d = wait(); os.write(f[0], b"nonsense"); done(i, 8); wait()'
	refuse "not valid JSON"
	helper 'k, i, f, d = wait(); done(i, 1 << 40); wait()'
	refuse "not valid JSON"
	helper 'k, i, f, d = wait(); os.truncate(f[0], 1 << 40); done(i, 8); wait()'
	refuse "cannot read what brig-net fetched"
}

# forge LAYERS: an image whose documents are right, its layers served as the code says.
forge='
tar = b"x" * 1024
import io, tarfile
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as t:
    info = tarfile.TarInfo("file"); info.size = 3; t.addfile(info, io.BytesIO(b"abc"))
tar = out.getvalue()
dg = lambda b: "sha256:" + hashlib.sha256(b).hexdigest()
config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [dg(tar)]}}).encode()
O = "application/vnd.oci.image."
manifest = json.dumps({"schemaVersion": 2, "mediaType": O + "manifest.v1+json",
    "config": {"mediaType": O + "config.v1+json", "digest": dg(config), "size": len(config)},
    "layers": [{"mediaType": O + "layer.v1.tar", "digest": dg(tar), "size": len(tar)}]}).encode()
k, i, f, d = wait(); os.write(f[0], manifest); done(i, len(manifest)); os.close(f[0])
k, i, f, d = wait(); os.write(f[0], CONFIG); done(i, len(config)); os.close(f[0])
k, i, f, d = wait(); os.write(f[0], tar); LAYER
wait()
'
@test "a config and a layer that it makes up" {
	local code
	code=${forge/CONFIG/config}
	helper "${code/LAYER/os.write(f[1], tar); [os.close(x) for x in f]; done(i, len(tar))}"
	assert_run 0 "$BRIG_TEST_DIR/fake/brig" pull -q localhost:6000/good
	fresh_store
	helper "${code/LAYER/os.write(f[1], tar.replace(b\"abc\", b\"abd\")); [os.close(x) for x in f]; done(i, len(tar))}"
	refuse "does not hold what the image's config says"
	helper "${code/LAYER/os.write(f[1], tar[:700]); [os.close(x) for x in f]; done(i, len(tar))}"
	assert_run 1 timeout 20 "$BRIG_TEST_DIR/fake/brig" pull -q localhost:6000/good
	assert_one_error
	assert_no_staging
	assert_equal "$(ls "$BRIG_ROOT/layers")" ""
	fresh_store
	# It says that all is well, and nothing came.
	helper "${code/LAYER/[os.close(x) for x in f]; done(i, len(tar))}"
	assert_run 1 timeout 20 "$BRIG_TEST_DIR/fake/brig" pull -q localhost:6000/good
	assert_one_error
	assert_no_staging
	assert_equal "$(ls "$BRIG_ROOT/layers")" ""
	fresh_store
	code=${forge/CONFIG/config[:-1] + b\" \"}
	helper "${code/LAYER/pass}"
	refuse "sent a config with the digest"
}
