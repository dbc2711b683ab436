#!/usr/bin/env bats
# Images come from registries: exactly docker's words, every digest checked, nothing twice.
load lib
load liar

setup() {
	start_liar
}

@test "pull says what docker says" {
	fresh_store
	assert_run 0 brig pull "$liar/good"
	local lines=() first second digest
	mapfile -t lines <<<"$output"
	first=$(sed -n 's/: Pulling fs layer//p' <<<"$output" | sed -n 1p)
	second=$(sed -n 's/: Pulling fs layer//p' <<<"$output" | sed -n 2p)
	assert_equal "${lines[0]}" "Using default tag: latest"
	assert_equal "${lines[1]}" "latest: Pulling from good"
	assert_equal "${lines[2]}" "$first: Pulling fs layer"
	assert_equal "${lines[3]}" "$second: Pulling fs layer"
	local what id
	for id in "$first" "$second"; do
		assert_match "$id" '^[0-9a-f]{12}$'
		for what in "Download complete" "Pull complete"; do
			assert_match "$output" "$id: $what"
		done
	done
	digest=$(curl -fs "http://$liar/v2/good/manifests/latest" | sha256sum | cut -c1-64)
	assert_equal "${lines[-3]}" "Digest: sha256:$digest"
	assert_equal "${lines[-2]}" "Status: Downloaded newer image for $liar/good:latest"
	assert_equal "${lines[-1]}" "$liar/good:latest"
	assert_equal "$errors" ""
	assert_no_staging
	assert_blobs_sound
}

@test "pulled again it is up to date, and only the manifest is fetched" {
	assert_run 0 brig pull "$liar/good:latest"
	: >"$liar_log"
	assert_run 0 brig pull "$liar/good:latest"
	assert_match "$output" $'\nStatus: Image is up to date for '"$liar/good:latest"$'\n'
	refute_match "$output" "Pulling fs layer"
	assert_equal "$(requests /manifests/)" 1
	assert_equal "$(requests /blobs/)" 0
}

@test "-q prints the whole name alone; NAME TAG is NAME:TAG" {
	fresh_store
	assert_run 0 brig pull -q "$liar/good"
	assert_equal "$output" "$liar/good:latest"
	assert_run 0 brig pull "$liar/good" other
	assert_match "$output" "^other: Pulling from good"
	assert_equal "$(tail -n 1 <<<"$output")" "$liar/good:other"
	assert_run 1 brig pull "$liar/good:one" two
	assert_one_error "names a tag"
}

@test "the layers are what was in the archives" {
	fresh_store
	assert_run 0 brig pull -q "$liar/good"
	local hello
	hello=$(find "$BRIG_ROOT/layers" -name hello)
	assert_equal "$(cat "$hello")" hello
	assert_equal "$(find "$BRIG_ROOT/layers" -name two -size 200000c | wc -l)" 1
}

@test "gzip in several members, plain tar, and a type that does not fit the bytes" {
	local name
	for name in members plain wrong-type; do
		assert_run 0 brig pull -q "$liar/$name"
		assert_equal "$output" "$liar/$name:latest"
		assert_run 0 brig image inspect -f '{{json .RepoTags}}' "$liar/$name"
		assert_match "$output" "$liar/$name"
	done
	assert_blobs_sound
}

@test "a digest is pulled, and must be right" {
	local digest
	digest=sha256:$(curl -fs "http://$liar/v2/good/manifests/latest" | sha256sum | cut -c1-64)
	fresh_store
	assert_run 0 brig pull "$liar/good@$digest"
	assert_equal "$(tail -n 1 <<<"$output")" "$liar/good@$digest"
	refute_match "$output" "Using default tag"
	fresh_store
	local wrong=sha256:${digest//[0-9]/1}
	wrong=sha256:${wrong:(-64)}
	assert_run 1 brig pull -q "$liar/good@$wrong"
	assert_one_error "with the digest $digest, not $wrong"
	assert_store_empty
}

@test "an index: this host's platform, or the one asked for" {
	fresh_store
	assert_run 0 brig pull -q "$liar/index"
	assert_run 0 brig pull -q --platform linux/arm64 "$liar/index"
	DOCKER_DEFAULT_PLATFORM=linux/s390x assert_run 0 brig pull -q --platform linux/arm64 "$liar/index"
	DOCKER_DEFAULT_PLATFORM=linux/s390x assert_run 1 brig pull -q "$liar/index"
	assert_match "$errors" "linux/s390x"
	DOCKER_DEFAULT_PLATFORM=linux/s390x assert_run 125 brig run --rm --pull always "$liar/index" true
	assert_match "$errors" "linux/s390x"
	assert_run 1 brig pull -q --platform linux/s390x "$liar/index"
	assert_one_error "s390x"
	assert_run 1 brig pull -q --platform linux/arm64 "$liar/good"
	assert_one_error "wanted linux/arm64, actual: linux/amd64"
}

@test "layers that are there are not fetched again" {
	fresh_store
	assert_run 0 brig pull -q "$liar/shared-1"
	: >"$liar_log"
	assert_run 0 brig pull "$liar/shared-2"
	assert_match "$output" ": Already exists"
	assert_equal "$(requests /blobs/)" 2 # the config and one layer
}

@test "a token server is asked once for all, and the token goes nowhere else" {
	fresh_store
	: >"$liar_log"
	assert_run 0 brig pull -q "$liar/token-blob-elsewhere"
	assert_equal "$(requests 'GET /token')" 1
	assert_equal "$(requests '^6001 .* -')" 2
	assert_equal "$(requests '^6001 .* authorized')" 0
}

@test "a cut download goes on where it stopped" {
	fresh_store
	: >"$liar_log"
	assert_run 0 brig pull "$liar/cut"
	assert_match "$output" "Retrying in 1 second"
	assert_equal "$(requests 'bytes=[1-9]')" 2
	assert_run 0 brig pull -q "$liar/cut-norange"
	assert_run 0 brig pull -q "$liar/flaky"
	assert_blobs_sound
}

@test "a stopped pull keeps what is whole" {
	fresh_store
	"$BRIG" pull "$liar/slow" >"$BRIG_TEST_DIR/out" 2>&1 3>&- &
	local pid=$!
	wait_until 20 grep -q "Pull complete" "$BRIG_TEST_DIR/out"
	kill -TERM "$pid"
	local status=0
	wait "$pid" || status=$?
	assert_equal "$status" 130
	assert_match "$(cat "$BRIG_TEST_DIR/out")" "brig: the pull was interrupted"
	assert_no_staging
	assert_equal "$(ls "$BRIG_ROOT/layers" | wc -l)" 1
	assert_run 0 brig pull "$liar/slow"
	assert_match "$output" ": Already exists"
}

@test "killed outright, the next pull sweeps and succeeds" {
	fresh_store
	"$BRIG" pull "$liar/slow" >"$BRIG_TEST_DIR/out" 2>&1 3>&- &
	local pid=$!
	wait_until 20 grep -q "Pull complete" "$BRIG_TEST_DIR/out"
	kill -KILL "$pid"
	wait "$pid" || true
	wait_until 5 sh -c '! pgrep -x brig-net'
	assert_run 0 brig pull -q "$liar/good"
	assert_no_staging
	assert_blobs_sound
}

@test "two pulls of one image share its layers" {
	fresh_store
	: >"$liar_log"
	"$BRIG" pull "$liar/slow" >"$BRIG_TEST_DIR/one" 2>&1 3>&- &
	local one=$!
	wait_until 10 grep -q "Pulling fs" "$BRIG_TEST_DIR/one"
	sleep 0.5
	"$BRIG" pull "$liar/slow" >"$BRIG_TEST_DIR/two" 2>&1 3>&- &
	local two=$!
	wait "$one"
	wait "$two"
	assert_match "$(cat "$BRIG_TEST_DIR/two")" ": Waiting"
	assert_equal "$(requests /blobs/ )" 4 # each config, and each layer once
	assert_no_staging
}

@test "twenty pulls at once of a few images" {
	fresh_store
	local pids=() i status=0
	for i in 1 2 3 4; do
		for name in good members shared-1 shared-2 index; do
			"$BRIG" pull -q "$liar/$name" >/dev/null 2>>"$BRIG_TEST_DIR/errors" 3>&- &
			pids+=($!)
		done
	done
	for i in "${pids[@]}"; do
		wait "$i" || status=$?
	done
	assert_equal "$(cat "$BRIG_TEST_DIR/errors")" ""
	assert_equal "$status" 0
	assert_equal "$(brig images --format '{{.Repository}}' | sort | xargs)" \
		"$liar/good $liar/index $liar/members $liar/shared-1 $liar/shared-2"
	assert_no_staging
	assert_blobs_sound
}

@test "mirrors come first, and failing ones are passed over" {
	fresh_store
	: >"$liar_log"
	cat >"$BRIG_TEST_DIR/conf" <<-EOF2
		[registry "registry.example"]
		mirror = 127.0.0.1:1
		mirror = $liar/mirrored
		mirror = $liar
	EOF2
	assert_run 0 brig --config "$BRIG_TEST_DIR/conf" pull registry.example/good
	assert_match "$output" "^Using default tag: latest"
	assert_equal "$(tail -n 1 <<<"$output")" "registry.example/good:latest"
	assert_equal "$(requests 'GET /v2/mirrored/good/manifests/latest')" 1
}

@test "https: only with a certificate that is trusted, and never http instead" {
	fresh_store
	start_liar tls
	mount -t tmpfs tmpfs /etc/docker 2>/dev/null || { mkdir -p /etc/docker && mount -t tmpfs tmpfs /etc/docker; }
	assert_run 1 brig pull -q "$liar/good"
	assert_one_error "certificate"
	mkdir -p "/etc/docker/certs.d/$liar"
	cp "$BRIG_TEST_DIR/cert.pem" "/etc/docker/certs.d/$liar/ca.crt"
	assert_run 0 brig pull -q "$liar/good"
	assert_run 1 brig pull -q "$liar/redirect-http"
	assert_one_error "from https to http"
	rm "/etc/docker/certs.d/$liar/ca.crt"
	fresh_store
	printf '[registry "%s"]\ninsecure = true\n' "$liar" >"$BRIG_TEST_DIR/conf"
	assert_run 0 brig --config "$BRIG_TEST_DIR/conf" pull -q "$liar/good"
	umount /etc/docker
	# A name that is not this host's is asked over https alone.
	echo "192.0.2.7 plain.example" >"$BRIG_TEST_DIR/hosts"
	mount --bind "$BRIG_TEST_DIR/hosts" /etc/hosts
	ip address add 192.0.2.7/32 dev lo
	socat TCP-LISTEN:6200,bind=192.0.2.7,fork,reuseaddr TCP:127.0.0.1:6000 3>&- &
	wait_until 5 curl -s http://192.0.2.7:6200/
	: >"$BRIG_TEST_DIR/liar-6000.log"
	assert_run 1 brig pull -q plain.example:6200/good
	assert_one_error "cannot reach registry plain.example:6200"
	assert_equal "$(cat "$BRIG_TEST_DIR/liar-6000.log")" ""
	printf '[registry "plain.example:6200"]\ninsecure = true\n' >"$BRIG_TEST_DIR/conf"
	assert_run 0 brig --config "$BRIG_TEST_DIR/conf" pull -q plain.example:6200/good
	umount /etc/hosts
}

@test "credentials from docker's config.json, where nobody else can read it" {
	fresh_store
	mkdir -p "$HOME/.docker"
	assert_run 1 brig pull -q "$liar/basic"
	assert_one_error "pull access denied for $liar/basic"
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$liar" "$(printf joe:secret | base64)" >"$HOME/.docker/config.json"
	assert_run 1 brig pull -q "$liar/basic"
	assert_one_error "can be read by others"
	chmod 600 "$HOME/.docker/config.json"
	assert_run 0 brig pull -q "$liar/basic"
	rm "$HOME/.docker/config.json"
}

@test "one sentence for what cannot be" {
	assert_run 1 brig pull -q "$liar/good:nosuchtag"
	assert_one_error "manifest for $liar/good:nosuchtag not found: manifest unknown"
	assert_run 1 brig pull -q localhost:1/x
	assert_one_error "cannot reach registry localhost:1: .*[Cc]onnection refused"
	assert_run 1 brig pull -q "$liar/denied"
	assert_one_error "pull access denied for $liar/denied, repository does not exist or may require 'docker login'"
	assert_run 1 brig pull -q "$liar/limited"
	assert_one_error "too many requests"
	assert_match "$errors" "try again in 17 seconds"
	assert_run 1 brig pull -q UPPER
	assert_one_error "must be lowercase"
	assert_run 1 brig pull -q img_12345
	assert_one_error "reserved"
	assert_run 1 brig pull
	assert_run 1 brig pull -a busybox:latest
	assert_one_error "tag can't be used with --all-tags/-a"
}

@test "no room left is said, and nothing is left of it" {
	fresh_store
	mkdir -p "$BRIG_ROOT"
	mount -t tmpfs -o size=400k tmpfs "$BRIG_ROOT"
	assert_run 1 brig pull -q "$liar/good"
	assert_one_error "No space left"
	assert_no_staging
	umount "$BRIG_ROOT"
}

@test "from a real registry, gzip and zstd" {
	fresh_store
	start_registry
	push_fixture busybox busybox:gz
	push_fixture busybox busybox:zst --dest-compress-format zstd --dest-compress
	assert_run 0 brig pull -q "$registry/busybox:gz"
	local tree
	tree=$(echo "$BRIG_ROOT"/layers/*/tree)
	diff -r --no-dereference "$tree" "$(fixture busybox)/tree"
	assert_run 0 brig pull -q "$registry/busybox:zst"
	fresh_store
	assert_run 0 brig pull -q "$registry/busybox:zst"
	diff -r --no-dereference "$(echo "$BRIG_ROOT"/layers/*/tree)" "$(fixture busybox)/tree"
	assert_blobs_sound
	stop_registry
}

@test "under a driver whose trees hold what is below them" {
	fresh_store
	printf '[storage]\ndriver = copy\n' >"$BRIG_TEST_DIR/conf"
	assert_run 0 brig --config "$BRIG_TEST_DIR/conf" pull "$liar/good"
	assert_equal "$(grep -c 'Download complete' <<<"$output")" 2
	assert_equal "$(grep -c 'Pull complete' <<<"$output")" 2
	assert_equal "$(find "$BRIG_ROOT/layers" -name hello | wc -l)" 2
	# The lower layer stays, and of the upper one the blob.
	assert_run 1 brig --config "$BRIG_TEST_DIR/conf" pull -q "$liar/wrong-diff-id"
	assert_one_error "does not hold"
	assert_no_staging
	assert_blobs_sound
	fresh_store
}

@test "a kept blob spares the download, a damaged one does not count" {
	fresh_store
	assert_run 0 brig pull -q "$liar/good"
	rm -rf "$BRIG_ROOT/layers"/* "$BRIG_ROOT/images"
	: >"$liar_log"
	assert_run 0 brig pull -q "$liar/good"
	assert_equal "$(requests /blobs/)" 0
	rm -rf "$BRIG_ROOT/layers"/* "$BRIG_ROOT/images"
	local blob
	for blob in "$BRIG_ROOT"/blobs/sha256/*; do
		[[ $(stat -c %s "$blob") -lt 100000 ]] || printf x | dd of="$blob" bs=1 seek=5000 conv=notrunc status=none
	done
	assert_run 0 brig pull -q "$liar/good"
	assert_match "$errors" "was damaged"
	assert_equal "$(requests /blobs/)" 2
	assert_blobs_sound
}

@test "run pulls what is missing, and says so on stderr" {
	fresh_store
	start_registry
	push_fixture busybox busybox:1
	assert_run 0 brig run --rm --network none "$registry/busybox:1" echo hello
	assert_equal "$output" hello
	assert_match "$errors" "^Unable to find image '$registry/busybox:1' locally"
	assert_match "$errors" "Pull complete"
	assert_run 0 brig run --rm --network none "$registry/busybox:1" echo again
	assert_equal "$errors" ""
	stop_registry
}
