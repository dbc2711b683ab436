#!/usr/bin/env bats
# The command line itself: help, mistakes and their words, exit statuses, configuration.
load lib

@test "without a command the help is talk, with --help it is data" {
	assert_run 0 brig
	assert_equal "$output" ""
	assert_match "$errors" "Usage:  brig"
	assert_run 0 brig --help
	assert_equal "$errors" ""
	assert_match "$output" "Examples:"
	assert_run 0 brig -h
	assert_run 0 brig help version
	assert_match "$output" "^Usage:  brig version"
	assert_run 0 brig image --help
	assert_match "$output" "^Usage:  brig image COMMAND"
}

@test "the version is said in docker's shape" {
	assert_run 0 brig --version
	assert_match "$output" '^brig version [0-9.]+$'
	assert_run 0 brig version --format '{{.Server.Version}} {{.Client.Os}}'
	assert_match "$output" '^[0-9.]+ linux$'
	assert_run 1 brig version -f '{{.Nope}}'
	assert_match "$errors" "can't evaluate field Nope in type system.versionInfo"
}

@test "unknown commands and options get the nearest one" {
	assert_run 1 brig verison
	assert_one_error "unknown command: brig verison"
	assert_match "$errors" "did you mean 'version'"
	assert_run 1 brig image pul
	assert_match "$errors" "did you mean 'pull'"
	assert_run 125 brig version --fromat x
	assert_one_error "unknown flag: --fromat"
	assert_match "$errors" "did you mean --format"
	assert_match "$errors" "Run 'brig version --help' for more information"
}

@test "docker's words and statuses for what cannot be parsed" {
	assert_run 125 brig version -z
	assert_one_error "unknown shorthand flag: 'z' in -z"
	assert_run 125 brig version --format
	assert_one_error "flag needs an argument: --format"
	assert_run 125 brig --root
	assert_one_error "flag needs an argument: --root"
	assert_run 1 brig version x
	assert_one_error "'brig version' accepts no arguments"
	assert_run 125 brig -H unix:///x version
	assert_one_error "no daemon"
}

@test "the configuration is strict, and names the line" {
	printf '[storage]\ndriver = overlay\n[log]\nmax_sise = 1m\n' >"$BATS_TEST_TMPDIR/bad.conf"
	assert_run 1 brig --config "$BATS_TEST_TMPDIR/bad.conf" images
	assert_one_error "bad.conf:4: unknown key max_sise"
	assert_match "$errors" "did you mean max_size"
	assert_run 1 brig --config /nowhere/brig.conf images
	assert_one_error "/nowhere/brig.conf"
	BRIG_CONFIG=/nowhere/brig.conf assert_run 0 brig version
}

@test "what steers a terminal is shown, not sent" {
	assert_run 1 brig $'\e[31mred'
	refute_match "$errors" $'\e'
	assert_match "$errors" '\\x1b'
}

@test "a full disk on stdout is an error" {
	run bash -c '"$BRIG" version >/dev/full'
	[[ $status == 1 ]] || fail "status $status"
	assert_match "$output" "cannot write to standard output"
}

@test "closed standard streams do no harm" {
	run bash -c '"$BRIG" version <&- >&- 2>&-'
	[[ $status == 0 || $status == 1 ]] || fail "status $status"
}
