#!/usr/bin/env bats
# What brig ps and inspect tell of containers that run, have ended, or never started.
load lib

setup() {
	need_busybox
	brig tag "$image" busybox
	brig run -d --name one -l app=web -l tier=f --network none busybox sleep 300 >/dev/null
	brig run --name two --network none busybox sh -c 'exit 3' || true
	brig create --name three -l app=db --network none busybox echo a b c d e f g h >/dev/null
}
teardown() {
	brig_clean
}

@test "the table has docker's columns and shows what runs" {
	assert_run 0 brig ps
	assert_match "$output" '^CONTAINER ID   IMAGE     COMMAND       CREATED +STATUS +PORTS     NAMES
[0-9a-f]{12}   busybox   "sleep 300"   .* ago +Up .* +one$'
	assert_run 0 brig ps -a
	assert_match "$output" 'busybox   "echo a b c d e f g h" .* Created '
	assert_match "$output" "\"sh -c 'exit 3'\" .* Exited \(3\) .* ago"
	assert_run 0 brig container ls -aq --no-trunc
	assert_equal "$(grep -c '^[0-9a-f]\{64\}$' <<<"$output")" 3
}

@test "filters choose as docker's do" {
	names() { brig ps --format '{{.Names}}' "$@" | sort | tr '\n' ' '; }
	assert_equal "$(names)" "one "
	assert_equal "$(names -a)" "one three two "
	assert_equal "$(names --filter status=exited)" "two "
	assert_equal "$(names -f status=running -f status=created)" "one three "
	# As docker: only the status shows what does not run without -a.
	assert_equal "$(names -f exited=3)" ""
	assert_equal "$(names -a -f exited=3)" "two "
	assert_equal "$(names -a -f is-task=false)" "one three two "
	assert_equal "$(names -a -f is-task=true)" ""
	assert_run 1 brig ps -f is-task=maybe
	assert_one_error "is-task=maybe"
	assert_equal "$(names -a -f label=app)" "one three "
	assert_equal "$(names -a -f label=app=web -f label=tier)" "one "
	assert_equal "$(names -a -f 'name=^t')" "three two "
	assert_equal "$(names -a -f before=three)" "one two "
	assert_equal "$(names -a -f since=one)" "three two "
	assert_equal "$(names -a -f ancestor=busybox)" "one three two "
	assert_equal "$(names -a -f ancestor=nosuch)" ""
	assert_equal "$(names -f network=none)" "one "
	assert_equal "$(names -n 2)" "three two "
	assert_equal "$(names -l)" "three "
	assert_run 1 brig ps -f status=bogus
	assert_one_error "must be one of created, running"
	assert_run 1 brig ps -f bogus=1
	assert_one_error "invalid filter 'bogus'"
	assert_run 1 brig ps -f before=nosuch
	assert_one_error "No such container: nosuch"
}

@test "formats are docker's templates" {
	assert_run 0 brig ps --format 'table {{.Label "app"}}\t{{.Names}}'
	assert_equal "$output" $'app       NAMES\nweb       one'
	assert_run 0 brig ps --format '{{upper .Names}} {{if eq .State "running"}}yes{{else}}no{{end}} {{.Labels}} {{.Networks}}'
	assert_equal "$output" "ONE yes app=web,tier=f none"
	assert_run 0 bash -c '"$BRIG" ps --format json | jq -r .Names,.State,.Platform'
	assert_equal "$output" $'one\nrunning\nnull'
	assert_run 1 brig ps --format '{{.Nope}}'
	assert_one_error "can't evaluate field Nope in type \*formatter.ContainerContext"
	assert_run 1 brig ps --format '{{.Names'
	assert_one_error "unclosed action"
}

@test "sizes are what a container wrote, and that with its image" {
	local whole
	brig run --name writer --network none -v kept:/kept busybox sh -c 'head -c 100000 /dev/zero >/etc/new; rm /etc/group; head -c 7000 /dev/zero >/kept/apart' || true
	assert_equal "$(brig ps -a -f name=writer --format '{{.Size}}' | cut -d' ' -f1-2)" "100kB (virtual"
	whole=$(brig image inspect -f '{{.Size}}' busybox)
	assert_run 0 brig inspect -s -f '{{.SizeRw}} {{.SizeRootFs}}' writer
	assert_equal "$output" "100000 $((whole + 100000))"
	assert_equal "$(brig container inspect --size -f '{{.SizeRw}}' one)" 0
	assert_run 0 brig ps -s
	assert_match "$output" '^CONTAINER ID .* NAMES +SIZE
.* one +0B \(virtual [0-9.]+MB\)$'
	# Not asked for: not looked for.
	assert_equal "$(brig inspect -f '{{.SizeRw}}' writer)" "<nil>"
	assert_equal "$(brig ps -a --format json | jq -r .Size | sort -u)" 0B
	assert_equal "$(brig ps -s --format json | jq -r .Size | cut -d' ' -f1-2)" "0B (virtual"
	assert_run 0 brig inspect -s busybox
	assert_match "$errors" "size ignored for image"
	brig rm writer >/dev/null
	brig volume rm kept >/dev/null
}

@test "sizes where trees are whole" {
	local made
	brig_copy() { brig --root "$BRIG_TEST_DIR/copies" --storage-driver copy "$@"; }
	made=$(brig_copy init "$(fixture busybox)/tree" | sed -n 's/^Created: //p')
	brig_copy run --name writer --network none "$made" sh -c 'head -c 4321 /dev/zero >/new; rm /etc/group'
	assert_run 0 brig_copy inspect -s -f '{{.SizeRw}} {{.GraphDriver.Name}}' writer
	assert_equal "$output" "4321 copy"
	brig_copy rm writer >/dev/null
}

@test "-q is the identifiers, and says so where --format is given too" {
	assert_run 0 brig ps -q --format '{{.Names}}'
	assert_match "$output" '^[0-9a-f]{12}$'
	assert_match "$errors" "Ignoring custom format"
}

@test "inspect has docker's document" {
	assert_run 0 brig inspect -f '{{.Name}} {{.Path}} {{json .Args}} {{.State.Status}} {{.State.ExitCode}} {{.Config.Entrypoint}}' one two three
	assert_equal "$output" $'/one sleep ["300"] running 0 []\n/two sh ["-c","exit 3"] exited 3 []\n/three echo ["a","b","c","d","e","f","g","h"] created 0 []'
	assert_run 0 brig inspect -f '{{index .Config.Labels "app"}} {{len .HostConfig.MaskedPaths | gt 100}}' one
	assert_equal "$output" "web true"
	assert_run 0 bash -c '"$BRIG" inspect one | jq -r ".[0] | .State.Running, (.State.Pid > 0), .HostConfig.NetworkMode, (keys | length)"'
	assert_equal "$output" $'true\ntrue\nnone\n23'
	assert_run 1 brig inspect one nosuch -f '{{.Name}}'
	assert_equal "$output" "/one"
	assert_match "$errors" "No such object: nosuch"
	assert_exists "$(brig inspect -f '{{.GraphDriver.Data.UpperDir}}' one)"
	# A field that docker's struct has though its JSON has not; an empty format is none.
	assert_run 0 brig inspect -f '{{.State.Health}}' one
	assert_equal "$output" "<nil>"
	assert_run 0 brig inspect -f '' one
	assert_match "$output" '^\[
    \{
        "Id": '
	assert_run 0 brig info -f ''
	assert_match "$output" '^Client:'
	assert_run 0 brig version --format ''
	assert_match "$output" '^Client:'
}

@test "inspect tells of the network what the container sees" {
	local network seen
	for network in bridge bridge0; do
		brig run -d --name wired --network $network --expose 9 --expose 80 busybox sleep 100 >/dev/null
		assert_run 0 brig exec wired sh -c 'ip route | sed -n "s/default via \([0-9.]*\) .*/\1/p"; ip -4 -o addr show eth0 | sed "s/.*inet //;s/ .*//"; cat /sys/class/net/eth0/address'
		seen=$output
		assert_run 0 brig inspect -f '{{range $name, $n := .NetworkSettings.Networks}}{{println $n.Gateway}}{{$n.IPAddress}}/{{println $n.IPPrefixLen}}{{println $n.MacAddress}}{{$name}}{{end}}' wired
		assert_equal "$output" "$seen"$'\n'$network
		assert_run 0 brig inspect -f '{{println .NetworkSettings.Gateway}}{{.NetworkSettings.IPAddress}}/{{println .NetworkSettings.IPPrefixLen}}{{.NetworkSettings.MacAddress}}' wired
		assert_equal "$output" "$seen"
		assert_equal "$(brig inspect -f '{{json .Config.ExposedPorts}}' wired)" '{"80/tcp":{},"9/tcp":{}}'
		brig stop -t 0 wired >/dev/null
		assert_equal "$(brig inspect -f '{{range .NetworkSettings.Networks}}{{.Gateway}}{{.IPPrefixLen}}{{.MacAddress}}{{end}}' wired)" 0
		brig rm wired >/dev/null
	done
}

@test "info counts" {
	assert_run 0 brig info -f '{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}} {{.Images}} {{.OSType}}'
	assert_equal "$output" "3 1 2 1 linux"
	assert_run 0 brig info -f '{{.IndexServerAddress}} {{.Debug}} {{.ClientInfo.Context}} {{.IPv4Forwarding}}'
	assert_equal "$output" "https://index.docker.io/v1/ false default $([[ $(</proc/sys/net/ipv4/ip_forward) == 1 ]] && echo true || echo false)"
	assert_equal "$(brig -D info -f '{{.Debug}} {{.ClientInfo.Debug}}')" "true true"
	assert_equal "$(brig info -f '{{.OSVersion}}')" "$(. /etc/os-release; echo "${VERSION_ID:-}")"
	assert_run 0 brig info
	assert_match "$output" "Storage Driver: "
}
