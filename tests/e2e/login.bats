#!/usr/bin/env bats
# login and logout: at a real registry with passwords, and at one with a token server.
load lib
load liar

setup_file() (
	# What runs on may not hold bats's own descriptors.
	exec >/dev/null 3>&- 4>&- 251>&-
	dir=$BRIG_TEST_DIR/registry
	mkdir -p "$dir"
	perl -e 'print "joe:", crypt("secret", q($2y$05$abcdefghijklmnopqrstuu)), "\n"' >"$dir/users"
	cat >"$dir/config.yml" <<-EOF
		version: 0.1
		log: {level: error, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $dir/data}}
		auth: {htpasswd: {realm: test, path: $dir/users}}
		http: {addr: 127.0.0.1:5000}
	EOF
	docker-registry serve "$dir/config.yml" >"$dir/log" 2>&1 3>&- &
	echo $! >"$dir/pid"
	wait_until 10 sh -c 'curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1:5000/v2/ | grep -q 401'
	skopeo --insecure-policy copy -q --dest-tls-verify=false --dest-creds joe:secret \
		"oci:$(fixture busybox)/oci:latest" docker://127.0.0.1:5000/box:1
	start_liar
	# A helper that keeps what it is given in a file, and says what it was called with.
	mkdir -p "$BRIG_TEST_DIR/bin"
	cat >"$BRIG_TEST_DIR/bin/docker-credential-test" <<-'EOF'
		#!/bin/sh
		keep=$HOME/kept
		echo "$* $(env | grep -c SECRET_OF_OURS) $(ls /proc/self/fd | tr '\n' ' ')" >>$HOME/called
		case $1 in
		store) cat >$keep ;;
		get)
			read -r server
			grep -q "\"ServerURL\":\"$server\"" $keep 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; }
			cat $keep
			;;
		erase)
			[ -e $keep ] || { echo "credentials not found in native keychain"; exit 1; }
			rm $keep
			;;
		esac
	EOF
	printf '#!/bin/sh\necho "the key is lost"; exit 1\n' >"$BRIG_TEST_DIR/bin/docker-credential-broken"
	printf '#!/bin/sh\necho nonsense\n' >"$BRIG_TEST_DIR/bin/docker-credential-mad"
	chmod +x "$BRIG_TEST_DIR/bin"/*
)
setup() {
	registry=127.0.0.1:5000
	liar=127.0.0.1:6000
	export HOME=$BATS_TEST_TMPDIR
	unset DOCKER_CONFIG REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
	config=$HOME/.docker/config.json
	PATH=$BRIG_TEST_DIR/bin:$PATH
	fresh_store
}
teardown_file() {
	kill "$(cat "$BRIG_TEST_DIR/registry/pid")"
}
# log_in PASSWORD ARGS…
log_in() {
	local password=$1
	shift
	printf '%s\n' "$password" | "$BRIG" login --password-stdin "$@"
}
auth_of() {
	jq -r --arg key "$1" '.auths[$key].auth' "$config" | base64 -d
}

@test "in, a pull, and out again" {
	assert_run 1 brig pull -q "$registry/box:1"
	assert_one_error "pull access denied for $registry/box"
	assert_run 0 log_in secret -u joe "$registry"
	assert_equal "$output" "Login Succeeded"
	assert_match "$errors" "stored unencrypted in $config"
	assert_equal "$(stat -c %a "$config" "$HOME/.docker")" $'600\n700'
	assert_equal "$(auth_of "$registry")" joe:secret
	assert_run 0 brig pull -q "$registry/box:1"
	# Docker and skopeo read it.
	assert_run 0 skopeo inspect --authfile "$config" --tls-verify=false -f '{{.Name}}' "docker://$registry/box:1"
	assert_run 0 brig login "$registry"
	assert_equal "$output" $'Authenticating with existing credentials... [Username: joe]\nLogin Succeeded'
	assert_equal "$errors" ""
	assert_run 0 brig logout "$registry"
	assert_equal "$output" "Removing login credentials for $registry"
	assert_equal "$(jq -c .auths "$config")" "{}"
	assert_run 0 brig logout "$registry"
	assert_equal "$output" "Not logged in to $registry"
	fresh_store
	assert_run 1 brig pull -q "$registry/box:1"
	# An address is understood, too.
	assert_run 0 log_in secret -u joe "http://$registry/v2/"
	assert_equal "$(auth_of "$registry")" joe:secret
}

@test "a wrong password is not kept, and the right one stays" {
	assert_run 1 log_in wrong -u joe "$registry"
	assert_one_error "$registry: unauthorized: incorrect username or password"
	refute_exists "$config"
	assert_run 0 log_in secret -u joe "$registry"
	assert_run 1 log_in wrong -u joe "$registry"
	assert_equal "$(auth_of "$registry")" joe:secret
	assert_run 1 log_in wrong -u joe "$liar"
	assert_one_error "no token from 127.0.0.1: incorrect username or password"
	assert_run 0 log_in secret -u joe "$liar"
	assert_equal "$(auth_of "$liar")" joe:secret
	assert_run 1 log_in secret -u joe localhost:1
	assert_one_error "cannot reach registry localhost:1"
	# The secret is in no message, and in no argument.
	assert_run 1 log_in 'p4ssw0rd' -u joe "$registry"
	refute_match "$errors$output" p4ssw0rd
}

@test "everything else in config.json stays" {
	mkdir -p "$HOME/.docker"
	echo '{"detachKeys": "ctrl-x", "auths": {"a.example": {"auth": "YTpi"}, "https://index.docker.io/v1/": {"auth": "Yzpk"}},
		"HttpHeaders": {"X": "y"}, "n": 1.5, "credHelpers": {"h.example": "test"}}' >"$config"
	assert_run 0 log_in secret -u joe "$registry"
	assert_run 0 brig logout "$registry"
	assert_equal "$(jq -Sc . "$config")" \
		'{"HttpHeaders":{"X":"y"},"auths":{"a.example":{"auth":"YTpi"},"https://index.docker.io/v1/":{"auth":"Yzpk"}},"credHelpers":{"h.example":"test"},"detachKeys":"ctrl-x","n":1.5}'
	assert_run 0 brig logout
	assert_equal "$output" "Removing login credentials for https://index.docker.io/v1/"
	assert_equal "$(jq -c .auths "$config")" '{"a.example":{"auth":"YTpi"}}'
	# What cannot be read is not replaced, nor is a link.
	echo '{"auths": ' >"$config"
	assert_run 1 log_in secret -u joe "$registry"
	assert_one_error "config.json"
	assert_equal "$(cat "$config")" '{"auths": '
	mv "$config" "$HOME/elsewhere"
	ln -s "$HOME/elsewhere" "$config"
	assert_run 1 log_in secret -u joe "$registry"
	assert_one_error "is left alone"
	rm "$config"
	export DOCKER_CONFIG=$HOME/other
	assert_run 0 log_in secret -u joe "$registry"
	assert_exists "$HOME/other/config.json"
	refute_exists "$config"
}

@test "two at once lose nothing" {
	local i pids=()
	for i in $(seq 8); do
		log_in secret -u joe "$([[ $((i % 2)) == 0 ]] && echo "$registry" || echo "$liar")" >/dev/null 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	assert_equal "$(jq -r '.auths | keys | join(" ")' "$config")" "$registry $liar"
}

@test "credential helpers: for all and for one" {
	mkdir -p "$HOME/.docker"
	export SECRET_OF_OURS=1
	local member
	for member in '"credsStore": "test"' "\"credHelpers\": {\"$registry\": \"test\"}"; do
		echo "{$member}" >"$config"
		: >"$HOME/called"
		assert_run 0 log_in secret -u joe "$registry"
		assert_equal "$output$errors" "Login Succeeded"
		assert_equal "$(jq -c . "$HOME/kept")" "{\"ServerURL\":\"$registry\",\"Username\":\"joe\",\"Secret\":\"secret\"}"
		assert_equal "$(jq -c .auths "$config")" "{\"$registry\":{}}"
		fresh_store
		assert_run 0 brig pull -q "$registry/box:1"
		assert_run 0 brig logout "$registry"
		refute_exists "$HOME/kept"
		assert_run 0 brig logout "$registry"
		assert_equal "$output" "Not logged in to $registry"
		# Neither our environment nor our descriptors, and no word but the verb.
		assert_equal "$(cut -d' ' -f1-2 "$HOME/called" | sort -u)" $'erase 0\nget 0\nstore 0'
		assert_equal "$(cut -d' ' -f3- "$HOME/called" | sort -u | wc -w)" 4
		fresh_store
		assert_run 1 brig pull -q "$registry/box:1"
		assert_one_error "pull access denied"
	done
	echo '{"credsStore": "nosuch"}' >"$config"
	assert_run 1 brig pull -q "$registry/box:1"
	assert_one_error "there is no program docker-credential-nosuch in PATH"
	echo '{"credsStore": "../x"}' >"$config"
	assert_run 1 brig pull -q "$registry/box:1"
	assert_one_error "cannot be the name of a credential helper"
	echo '{"credsStore": "broken"}' >"$config"
	assert_run 1 brig pull -q "$registry/box:1"
	assert_one_error "docker-credential-broken get: the key is lost"
	assert_run 1 log_in secret -u joe "$registry"
	assert_one_error "docker-credential-broken store: the key is lost"
	echo '{"credsStore": "mad"}' >"$config"
	assert_run 1 brig pull -q "$registry/box:1"
	assert_one_error "docker-credential-mad get does not answer with a user and a secret"
}

@test "what podman has logged in to" {
	assert_run 0 podman login --tls-verify=false --authfile "$HOME/auth.json" -u joe -p secret "$registry"
	local place
	for place in "$HOME/.config/containers" "$HOME/run/containers"; do
		fresh_store
		mkdir -p "$place"
		cp "$HOME/auth.json" "$place/auth.json"
		XDG_RUNTIME_DIR=$HOME/run assert_run 0 brig pull -q "$registry/box:1"
		rm "$place/auth.json"
	done
	fresh_store
	assert_run 1 brig pull -q "$registry/box:1"
	REGISTRY_AUTH_FILE=$HOME/auth.json assert_run 0 brig pull -q "$registry/box:1"
	# It is not for others to read, either; and docker's counts first.
	fresh_store
	chmod 644 "$HOME/auth.json"
	REGISTRY_AUTH_FILE=$HOME/auth.json assert_run 1 brig pull -q "$registry/box:1"
	assert_one_error "can be read by others"
	log_in secret -u joe "$registry" >/dev/null 2>&1
	REGISTRY_AUTH_FILE=$HOME/auth.json assert_run 0 brig pull -q "$registry/box:1"
}

@test "asked on a terminal, and words that make no sense" {
	output=$( (sleep 0.7; echo joe; sleep 0.7; echo secret) | script -qec "'$BRIG' login $registry" /dev/null)
	assert_match "$output" "Username: joe.*Password: .*Login Succeeded"
	refute_match "$output" secret
	assert_equal "$(auth_of "$registry")" joe:secret
	brig logout "$registry" >/dev/null
	# Ctrl-C at the password leaves a terminal that shows what is typed.
	output=$( (sleep 0.7; printf '\003'; sleep 0.7) | script -qec "'$BRIG' login -u joe $registry; echo \$?; stty -a" /dev/null)
	assert_match "$output" "login was interrupted.*130.* echo "
	assert_equal "$(jq -c .auths "$config")" "{}"
	assert_run 0 brig login -u joe -p secret "$registry"
	assert_match "$errors" "seen by other users"
	brig logout "$registry" >/dev/null
	assert_run 1 brig login "$registry"
	assert_one_error "this is no terminal"
	assert_run 1 brig login -u joe "$registry"
	assert_one_error "this is no terminal"
	assert_run 1 log_in secret "$registry"
	assert_one_error "Must provide --username with --password-stdin"
	assert_run 1 log_in secret -u joe -p x "$registry"
	assert_one_error "mutually exclusive"
	assert_run 1 log_in "" -u joe "$registry"
	assert_one_error "is empty"
	assert_run 1 log_in secret -u jo:e "$registry"
	assert_one_error "colon"
	assert_run 1 log_in secret -u joe nodots
	assert_one_error "\"nodots\" is no registry"
	assert_run 1 log_in secret -u joe 'bad host'
	assert_one_error "is no registry"
	assert_run 1 brig login a b
	unset HOME
	assert_run 1 log_in secret -u joe "$registry"
	assert_one_error "neither DOCKER_CONFIG nor HOME"
}
