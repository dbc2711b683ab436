#!/usr/bin/env bats
# Images: listed, named, looked at and removed.
load lib

setup() {
	start_registry
	push_fixture busybox busybox:1
	brig pull -q "$registry/busybox:1" >/dev/null
	brig tag "$registry/busybox:1" busybox
}
teardown() {
	[[ -n ${registry:-} ]] || return 0
	# shellcheck disable=SC2046
	brig rmi -f $(brig images -q --no-trunc | sort -u) >/dev/null 2>&1 || true
	stop_registry
}

@test "images has docker's columns, widths and formats" {
	assert_run 0 brig images busybox
	assert_match "$output" '^REPOSITORY   TAG       IMAGE ID       CREATED .* SIZE
busybox      latest    [0-9a-f]{12}   '
	assert_run 0 brig images --format '{{.Repository}}:{{.Tag}}'
	assert_equal "$(sort <<<"$output")" "$registry/busybox:1"$'\n'"busybox:latest"
	assert_run 0 brig images --format 'table {{.Repository}}\t{{.Tag}}' 'busy*'
	assert_equal "$output" $'REPOSITORY   TAG\nbusybox      latest'
	assert_run 0 brig image ls -q busybox
	assert_match "$output" '^[0-9a-f]{12}$'
	assert_run 0 brig images --no-trunc -q busybox
	assert_match "$output" '^sha256:[0-9a-f]{64}$'
	assert_run 0 brig images --digests --format '{{.Digest}}' "$registry/busybox"
	assert_match "$output" '^sha256:[0-9a-f]{64}$'
	assert_run 0 bash -c '"$BRIG" images --format json busybox | jq -r .Repository,.Containers'
	assert_equal "$output" $'busybox\nN/A'
}

@test "images filters as docker" {
	assert_run 0 brig images --filter "reference=$registry/*" --format '{{.Tag}}'
	assert_equal "$output" 1
	assert_run 0 brig images --filter dangling=true -q
	assert_equal "$output" ""
	assert_run 0 brig images --filter before=busybox -q
	assert_equal "$output" ""
	assert_run 1 brig images --filter nope=1
	assert_one_error "invalid filter 'nope'"
	assert_run 125 brig images --filter nope
	assert_one_error "bad format of filter"
	assert_run 1 brig images --filter since=nosuch
	assert_one_error "No such image: nosuch:latest"
}

@test "tag gives names, rmi takes them, and the last one takes the image" {
	assert_run 0 brig tag busybox ref/a:1
	assert_equal "$output" ""
	assert_run 1 brig tag nosuch ref/b
	assert_one_error "No such image: nosuch:latest"
	assert_run 1 brig tag busybox Ref/B
	assert_one_error "must be lowercase"
	assert_run 1 brig tag busybox img_12345
	assert_one_error "img_12345"
	assert_run 1 brig tag busybox sha256:cafe
	assert_one_error "ambiguous tag"
	assert_run 1 brig pull scratch
	assert_match "$errors" "'scratch' is a reserved name"
	assert_run 0 brig rmi ref/a:1
	assert_equal "$output" "Untagged: ref/a:1"
	assert_run 1 brig rmi ref/a:1
	assert_one_error "No such image: ref/a:1"
	assert_run 0 brig rmi -f nosuch
	assert_match "$errors" "No such image"
	assert_run 0 brig rmi busybox
	assert_run 0 brig rmi "$registry/busybox:1"
	assert_match "$output" '^Untagged: .*
Deleted: sha256:[0-9a-f]{64}
Deleted: sha256:[0-9a-f]{64}$'
	assert_run 0 brig images -q
	assert_equal "$output" ""
	assert_equal "$(ls -A "$BRIG_ROOT/blobs/sha256" "$BRIG_ROOT/layers" | grep -c '^[0-9a-f]\{64\}')" 0
}

@test "history and inspect have docker's fields" {
	assert_run 0 brig history busybox
	assert_match "$output" '^IMAGE +CREATED +CREATED BY +SIZE +COMMENT'
	assert_run 0 bash -c '"$BRIG" inspect busybox | jq -r ".[0] | .Os, .RootFS.Type, (.RepoTags | length)"'
	assert_equal "$output" $'linux\nlayers\n2'
	assert_run 0 brig image inspect -f '{{len .RootFS.Layers}} {{.Config.Entrypoint}} {{json .Config.Entrypoint}}' busybox
	assert_match "$output" '^[0-9]+ \[\] null$'
	assert_run 1 brig image inspect -f '{{.Nope}}' busybox
	assert_match "$errors" 'template: :1:2: executing "" at <.Nope>: map has no entry for key "Nope"'
	assert_run 64 brig inspect -f '{{' busybox
	assert_run 1 brig inspect nosuch
	assert_equal "$output" "[]"
	assert_match "$errors" "No such object: nosuch"
	assert_run 1 brig inspect --type container busybox
	assert_match "$errors" "No such container: busybox"
}
