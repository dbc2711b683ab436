# liar.bash - the lying registry (liar.py) and a pusher, for the files that pull.

# start_liar [tls]: on 127.0.0.1; $liar is host:port, $liar_log what it was asked.
start_liar() {
	local port=6000 keys=()
	[[ -z ${1:-} ]] || { port=6100; keys=("$BRIG_TEST_DIR/cert.pem" "$BRIG_TEST_DIR/key.pem"); }
	liar=127.0.0.1:$port
	liar_log=$BRIG_TEST_DIR/liar-$port.log
	[[ ! -e $liar_log ]] || return 0
	: >"$liar_log"
	if [[ -n ${1:-} ]]; then
		openssl req -x509 -newkey rsa:2048 -nodes -keyout "$BRIG_TEST_DIR/key.pem" -out "$BRIG_TEST_DIR/cert.pem" \
			-days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null
	fi
	python3 "$BRIG_TEST_TOP/tests/e2e/liar.py" "$port" "$liar_log" "${keys[@]}" >"$BRIG_TEST_DIR/liar-$port.out" 2>&1 3>&- &
	wait_until 10 curl -ks "http${1:+s}://$liar/"
}

# requests REGEX: how many lines of the liar's log match.
requests() {
	grep -cE "$1" "$liar_log" || true
}

# No image, no layer, no blob, nothing in staging.
assert_store_empty() {
	local kind
	for kind in layers blobs/sha256 tmp; do
		assert_equal "$(ls -A "$BRIG_ROOT/$kind" 2>/dev/null)" "" "$kind is not empty"
	done
	assert_equal "$(grep -vc '^brig names' "$BRIG_ROOT/images/names" 2>/dev/null || true)" "${1:-}" "names are left"
}
assert_no_staging() {
	assert_equal "$(ls -A "$BRIG_ROOT/tmp")" "" "staging is left"
}
# Every blob that has a name has its bytes.
assert_blobs_sound() {
	local blob
	for blob in "$BRIG_ROOT"/blobs/sha256/*; do
		[[ -e $blob ]] || continue
		assert_equal "$(sha256sum <"$blob" | cut -c1-64)" "$(basename "$blob")" "a blob is not what its name says"
	done
}
fresh_store() {
	rm -rf --one-file-system "$BRIG_ROOT"
}
