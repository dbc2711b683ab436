#!/usr/bin/env bats
# A registry that lies: refused with one sentence, and nothing of the lie is kept.
load lib
load liar

setup() {
	start_liar
	fresh_store
}

# refuse NAME REGEX: the pull fails with one error that matches.
refuse() {
	assert_run 1 timeout 60 "$BRIG" pull -q "$liar/$1"
	assert_one_error "$2"
	refute_match "$errors" $'\x1b'
	assert_no_staging
	assert_blobs_sound
	assert_equal "$(cut -f1 "$BRIG_ROOT/images/names" 2>/dev/null | grep -c "$1")" 0
}

@test "documents that are not what they are said to be" {
	refuse digest-lie "with the digest sha256:[0-9a-f]{64}, not sha256:"
	refuse digest-garbage "with the digest"
	refuse html "web page"
	refuse two-kinds "index and a manifest at once"
	refuse type-lie "announced as"
	refuse header-type-lie "announced as"
	refuse not-json "not valid JSON"
	refuse deep-json "nested too deeply"
	refuse huge-manifest "larger than 4 MiB"
	refuse config-not-json "config is not valid JSON"
	refuse config-size "bytes and not"
	refuse wrong-config "other bytes"
	refuse missing-diff-id "2 layers, its config 1"
	refuse many-layers "5000 layers"
	refuse size-negative "negative"
	refuse size-huge "more than"
	refuse bad-digest "digest"
	assert_store_empty
}

@test "blobs that are not what they are said to be" {
	refuse wrong-bytes "other bytes for the blob"
	refuse longer "bytes and not"
	refuse shorter "bytes and not"
	refuse endless "more bytes than"
	refuse size-too-small "bytes and not"
	refuse size-too-large "bytes and not"
	refuse html-blob "web page"
	refuse wrong-diff-id "does not hold what the image's config says"
	refuse damaged-gzip "cannot be unpacked"
	refuse cut-gzip "cut short"
	refuse bomb "thousandfold"
	refuse one-missing "blob unknown"
}

@test "redirects to where none may lead" {
	refuse redirect-6 "more than 5 times"
	refuse manifest-loop "more than 5 times"
	refuse redirect-link "169.254.169.254, which is refused"
	refuse redirect-private "10.1.2.3, which is refused"
	refuse redirect-odd "10.0.0.1, which is refused"
	refuse redirect-file "malformed address"
	refuse redirect-userinfo "malformed address"
	refuse redirect-nowhere "to nowhere"
	assert_run 0 brig pull -q "$liar/redirect-5"
	assert_run 0 brig pull -q "$liar/redirect-elsewhere"
}

@test "token servers to which none may lead, and bad tokens" {
	refuse token-private "10.1.2.3, which is refused"
	refuse token-link "169.254.169.254, which is refused"
	refuse token-file "malformed token server"
	refuse token-userinfo "malformed token server"
	refuse token-redirect "which is refused here"
	refuse token-garbage "malformed token"
	refuse token-refused "incorrect username or password"
	refuse token-html "not valid JSON"
	refuse token-useless "pull access denied"
}

@test "a password does not go to a token server of another name" {
	mkdir -p "$HOME/.docker"
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$liar" "$(printf joe:secret | base64)" >"$HOME/.docker/config.json"
	chmod 600 "$HOME/.docker/config.json"
	refuse token-other-host "passwords to be sent to auth.example.net, which is refused"
	rm "$HOME/.docker/config.json"
}

@test "answers that are no answers" {
	refuse escapes 'pull access denied.*\\x1b'
	refuse teapot "status 418"
	refuse headers "64 KiB of headers"
	refuse garbage "cannot reach registry"
	refuse broken "status 500: unknown: the disk is on fire"
}

@test "urls in descriptors are nobody's business" {
	: >"$liar_log"
	assert_run 0 brig pull -q "$liar/foreign-urls"
	assert_equal "$(requests '/blobs/')" 3
}

@test "a server that stops sending is left after half a minute" {
	BATS_TEST_TIMEOUT=200
	local began=$SECONDS
	"$BRIG" pull -q "$liar/stall-always" >/dev/null 2>"$BRIG_TEST_DIR/stalled" 3>&- &
	local pid=$!
	sleep 45
	# It was left, and is asked again from where it stopped.
	assert_equal "$(requests 'stall-always.*bytes=1000-')" 2
	kill -TERM "$pid"
	wait "$pid" || true
	((SECONDS - began < 60))
	assert_store_empty
}

@test "brig-net has few rights" {
	"$BRIG" pull -q "$liar/slow" >/dev/null 2>&1 3>&- &
	local pid=$! net
	wait_until 10 pgrep -x brig-net
	sleep 0.5
	net=$(pgrep -x brig-net)
	local status
	status=$(cat "/proc/$net/status")
	assert_match "$status" $'Uid:\t65534\t65534\t65534\t65534'
	assert_match "$status" $'Gid:\t65534\t65534\t65534\t65534'
	assert_match "$status" $'CapPrm:\t0000000000000000'
	assert_match "$status" $'NoNewPrivs:\t1'
	assert_match "$status" $'Seccomp:\t2'
	# Its environment has nothing of ours.
	assert_equal "$(tr -d '\0' <"/proc/$net/environ" | grep -c HOME)" 0
	# Nothing of the store but files that it was given.
	local fd
	for fd in /proc/"$net"/fd/*; do
		refute_match "$(readlink "$fd")" "^$BRIG_ROOT(/layers.*|/images.*|/blobs)?\$"
	done
	kill -TERM "$pid"
	wait "$pid" || true
}

@test "without its helper brig says so" {
	mkdir -p "$BRIG_TEST_DIR/alone"
	cp "$BRIG" "$BRIG_TEST_DIR/alone/brig"
	if [[ ! -e $(strings "$BRIG" | grep -m1 'libexec/brig$')/brig-net ]]; then
		assert_run 1 "$BRIG_TEST_DIR/alone/brig" pull -q "$liar/good"
		assert_one_error "brig-net cannot be started"
	fi
}
