# Shared by the scripts beside this one: checks that name what failed, and snapshots of the machine.

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# ok WHAT COMMAND...: the command must succeed within a minute. Prints its output only on failure.
ok() {
  local what=$1 status=0
  shift
  timeout 60 "$@" >/tmp/output 2>&1 || status=$?
  [ $status -eq 0 ] || { cat /tmp/output >&2; fail "$what: status $status: $*"; }
  echo "ok  $what"
}

# until_ok WHAT COMMAND...: the command must succeed within 20 seconds.
until_ok() {
  local what=$1 end=$((SECONDS + 20))
  shift
  until "$@" >/tmp/output 2>&1; do
    [ $SECONDS -lt $end ] || { cat /tmp/output >&2; fail "$what: not within 20 s: $*"; }
    sleep 0.2
  done
  echo "ok  $what"
}

# Lists every file, with checksums of those in /etc, except the files of the package manager itself.
snapshot() {
  find / /run -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /root/project -o -path /tmp -o -path /var/cache -o -path /var/log/apt \) -prune \
    -o ! -path '/var/lib/dpkg/*-old' ! -path '/var/lib/dpkg/lock*' ! -path '/var/lib/dpkg/triggers/*' ! -path /var/log/dpkg.log ! -path '/var/lib/apt/*' \
    ! -path '/var/lib/rpm/*' ! -path '/usr/lib/sysimage/rpm/*' ! -path '/root/.rpmdb*' -print | sort -u
  find /etc -xdev -type f ! -name '*.cache' -exec sha256sum {} + | sort
}

# unchanged FILE: compares the machine with an earlier `snapshot`.
unchanged() {
  snapshot >/tmp/after
  diff "$1" /tmp/after >&2 || fail 'the purge left files behind, or removed too many (above)'
  for program in /proc/[0-9]*/exe; do
    case $(readlink "$program") in /usr/bin/wgts*) fail "a process still runs: $(tr '\0' ' ' <"${program%exe}cmdline")" ;; esac
  done
  echo 'ok  nothing is left: no file, no process'
}

# lo_up: brings lo up with perl, which every Debian has; ip(8) may be missing. SIOCSIFFLAGS, IFF_UP
# | IFF_RUNNING.
lo_up() {
  perl -e 'my $request = pack("a16s", "lo", 0x41); socket(S, 2, 2, 0) && ioctl(S, 0x8914, $request) or die $!'
}

# pair NAME NAME: writes two tunnels into /etc/wireguard, each the other's peer, over the loopback.
pair() {
  local one two
  one=$(wgts genkey) two=$(wgts genkey)
  half "$1" 1 "$one" 2 "$(wgts pubkey <<<"$two")"
  half "$2" 2 "$two" 1 "$(wgts pubkey <<<"$one")"
}

half() {
  (umask 077 && cat >"/etc/wireguard/$1.conf") <<END
[Interface]
PrivateKey = $3
Address = 10.77.0.$2/32
ListenPort = 5100$2

[Peer]
PublicKey = $5
AllowedIPs = 10.77.0.$4/32
Endpoint = 127.0.0.1:5100$4
PersistentKeepalive = 1
END
}

# shaken NAME: succeeds once a handshake was completed.
shaken() {
  wgts show "$1" latest-handshakes | grep -E '[1-9][0-9]{8,}$'
}
