#!/bin/sh
# First contact with a real AIX: what nimshift asks of hosts, asked by hand.
#
#   sh first-contact.sh client hdisk1                    on the client, as root
#   sh first-contact.sh master lpar01 SPOT LPP_SOURCE    on the NIM master, as root
#
# It only reads. hdisk1 is a disk that is free, as a copy of rootvg would go to it.
# Each command is shown with the question that it is to answer, then run for at most
# two minutes. All that was said goes to ./first-contact.ROLE.txt, in which the names of
# this host, of the client and the master, IPv4 addresses, MACs and ids are replaced. Names
# of other hosts and whatever else is yours are not: read that file before you send it.
#
# nimshift has been tried on an emulated AIX only. Where an output below does not look
# as its question says, nimshift may read it wrongly: that is what we want to know.
# Written for ksh88 and later, and for any POSIX shell.

usage() {
  sed -n '2,8p' "$0" | sed 's/^# \{0,1\}//'
  exit 2
}

role=$1
case $role in
  client)
    [ $# -eq 2 ] || usage
    disk=$2 ;;
  master)
    [ $# -eq 4 ] || usage
    client=$2 spot=$3 lpp=$4 ;;
  *) usage ;;
esac
for word in "$@"; do
  case $word in
    *[!A-Za-z0-9_.-]* | -* | '') echo "first-contact: $word is no name" >&2; exit 2 ;;
  esac
done

out=first-contact.$role.txt
if [ -e "$out" ] || [ -h "$out" ]; then
  echo "first-contact: $out is there already: move it away" >&2
  exit 1
fi

PATH=/usr/bin:/etc:/usr/sbin:/usr/ucb:/sbin:/usr/lpp/bosinst:$PATH
LC_ALL=C
export PATH LC_ALL

# Where the answers go before they are redacted: nobody else can read them.
umask 077
work=${TMPDIR:-/tmp}/first-contact.$$
mkdir "$work" || exit 1
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 15
raw=$work/raw
number=0

# Ends process $1 when two minutes have passed, and itself when that has ended.
give_up() {
  waited=0
  while kill -0 "$1"; do
    [ $waited -lt 120 ] || kill "$1"
    [ $waited -lt 130 ] || kill -9 "$1"
    sleep 1
    waited=$((waited + 1))
  done
}

# ask QUESTION COMMAND...: one command, with its exit status and both outputs.
ask() {
  question=$1
  shift
  number=$((number + 1))
  echo
  echo "[$number] $question"
  echo "    \$ $*"
  {
    echo
    echo "=== $number. $question"
    echo "\$ $*"
  } >>"$raw"
  # In the background, so that one that hangs is given up.
  "$@" >"$work/out" 2>"$work/err" </dev/null &
  asked=$!
  give_up $asked >/dev/null 2>&1 &
  wait $asked
  status=$?
  sed 's/^/    /' "$work/out" "$work/err" | head -n 12
  {
    echo "status $status"
    echo "--- stdout"
    cat "$work/out"
    echo "--- stderr"
    cat "$work/err"
  } >>"$raw"
}

# asks "SHELL TEXT": the same of a pipe.
asks() {
  question=$1
  ask "$question" sh -c "$2"
}

both() {
  ask 'Four fields, as 7300-02-01-2346?' oslevel -s
  ask 'Which system, which node name?' uname -a
  ask 'What shell is /bin/sh?' ls -l /bin/sh /usr/bin/ksh
  # shellcheck disable=SC2016  # the inner shell is to do it
  asks 'Can the shell do arithmetic, and tell a pipe by its end?' \
    'n=1; n=$((n + 1)); echo $n; false | true; echo $?'
  asks 'Does ps take these columns, and how does it print the time?' \
    'ps -eo pid,user,etime,args | head -n 20'
  ask 'In which columns does mount print (node, device, over, vfs, date)?' mount
  ask 'Colons, with a heading that begins with #?' lsfs -c
  ask 'Which directories are exported, and with which options?' exportfs
  ask 'kilobytes: seven columns?' df -k
  ask 'megabytes, in the same columns?' df -m /usr /var
  ask 'What is said of a directory that is not there?' find /no/such -xdev ! -type d
  ask 'Volume groups, one a line?' lsvg
  ask 'Time of the last boot, in the words of this locale?' who -b
  ask 'A link: does it show -> and the target?' ls -l /etc/hosts /bin
  ask 'What is said of a file that is not there, and where?' ls -d /no/such/file
  ask 'An inode number first?' ls -lid /etc/hosts
  ask 'Colons, 18 fields, the last YYWW?' \
    lslpp -Lqc bos.rte bos.mp64 bos.sysmgt.sysbr bos.alt_disk_install.rte
  ask 'What of a fileset that is not there?' lslpp -Lqc no.such.fileset
  # shellcheck disable=SC2016
  asks 'Is awk fit for long lines, and cksum there?' 'echo a | awk "{ print \$1 }"; echo a | cksum'
  ask 'Where is fuser, if anywhere?' ls -l /usr/sbin/fuser
}

of_client() {
  ask 'Disk, PVID, group, state: blank where there is none?' lspv
  ask 'Two columns, with blanks after the colons?' lsvg rootvg
  ask 'LPs and PPs: are they equal (not mirrored)?' lsvg -l rootvg
  ask 'Which partitions of hd5, on which disk, in one piece?' lslv -m hd5
  ask 'Level of the running boot image: 7.2, 7.3; 0.0 where it is broken?' \
    /usr/lpp/bosinst/blvset -d /dev/hd5 -g level
  ask 'What is said of a volume that is not there?' \
    /usr/lpp/bosinst/blvset -d /dev/alt_hd5 -g level
  ask 'PVNAME, BOOT DEVICE (YES or NO), PVID, VOLUME GROUP ID?' ipl_varyon -i
  ask '1 for a free disk, too: can firmware boot from it?' bootinfo -B "$disk"
  ask 'Megabytes?' bootinfo -s "$disk"
  ask 'hd5, or bos_hd5?' bootinfo -v
  ask 'hdiskN blv=hd5 pathid=N, one a line?' bootlist -m normal -o
  ask 'The disk that was booted, or nothing?' getconf BOOT_DEVICE
  ask 'Which volume group does the disk remember, if any?' getlvodm -j "$disk"
  ask 'The id of rootvg: 32 digits?' getlvodm -v rootvg
  ask 'Stanzas of CuAt, with tabs?' odmget -q 'name=inet0 and attribute=hostname' CuAt
  ask 'Lines of NAME = value, as a shell would read?' cat /etc/niminfo
  ask 'Silent, with status 0, where all is whole?' lppchk -v
  ask 'A table, or words on stderr where there is none?' emgr -l
  ask 'Is a ML found, or are some not?' instfix -ik 7300-02_AIX_ML
}

of_master() {
  ask 'The name, a colon, and lines of key = value: Cstate, Mstate, if1?' lsnim -l "$client"
  ask 'location, Rstate, oslevel_r, and alloc_count?' lsnim -l "$spot"
  ask 'simages = yes, and the location?' lsnim -l "$lpp"
  ask 'What is said of an object that is not there, and its status (53?)' lsnim -l no_such_object
  ask 'Rows with colons, as of lslpp -Lqc?' nim -o lslpp -a lslpp_flags=-Lqc \
    -a "filesets=bos.mp64 bos.sysmgt.sysbr bos.alt_disk_install.rte" "$spot"
  asks 'Rows with colons, as of installp -L?' \
    "nim -o showres -a installp_flags=L $lpp | grep -F -e :bos.mp64: -e :bos.rte: | head -n 20"
  ask 'Does a command reach the client by NIM, and does its status come back?' \
    /usr/lpp/bos.sysmgt/nim/methods/c_rsh "$client" 'oslevel -s'
  ask 'With which status does one that fails there end here?' \
    /usr/lpp/bos.sysmgt/nim/methods/c_rsh "$client" 'ls -d /no/such/file'
  asks 'Does c_rsh hand its input to the command?' \
    "echo nimshift | /usr/lpp/bos.sysmgt/nim/methods/c_rsh $client 'cat'"
  ask 'Is the lock of nimadm a file here, and where?' ls -la /var/adm/ras/alt_mig
  ask 'The synopsis: which flags does this release have?' nimadm '-?'
}

printf '%s: %s, %s\n' "$role" "$(oslevel -s 2>&1)" "$(date -u '+%Y-%m-%dT%H:%M:%SZ')" >"$raw"
both
of_"$role"

# Names and ids are replaced, each always by the same, so that it is still seen which
# belong together. What is not known to be one of these stays: read the file.
host=$(hostname | cut -d. -f1)
domain=$(hostname | cut -s -d. -f2-)
[ -n "$domain" ] || domain=$(sed -n 's/^[ 	]*\(domain\|search\)[ 	]*\([^ 	]*\).*/\2/p' /etc/resolv.conf 2>/dev/null | head -n 1)
master=$(sed -n 's/^export NIM_MASTER_HOSTNAME=\([A-Za-z0-9_-]*\).*/\1/p' /etc/niminfo 2>/dev/null)
awk -v host="$host" -v client="${client:-}" -v master="$master" -v domain="$domain" '
  # The number that stands for a word, as long as the word was.
  function hidden(kind, word,    text) {
    if (!((kind, word) in seen)) seen[kind, word] = ++count[kind]
    text = seen[kind, word] ""
    if (kind == "ip") return "192.0.2." text
    while (length(text) < length(word)) text = "0" text
    return text
  }
  # Four numbers are a level where the first is that of one: 7.2.5.3.
  function kept(kind, word) { return kind == "ip" && word ~ /^[1-8][.]/ }
  function replace(line, pattern, kind,    out, word) {
    out = ""
    while (match(line, pattern)) {
      word = substr(line, RSTART, RLENGTH)
      out = out substr(line, 1, RSTART - 1) (kept(kind, word) ? word : hidden(kind, word))
      line = substr(line, RSTART + RLENGTH)
    }
    return out line
  }
  function name(line, word, by,    out, at, next_to) {
    if (word == "") return line
    out = ""
    while ((at = index(line, word)) > 0) {
      next_to = (at > 1 ? substr(line, at - 1, 1) : "") substr(line, at + length(word), 1)
      out = out substr(line, 1, at - 1) (next_to ~ /[A-Za-z0-9]/ ? word : by)
      line = substr(line, at + length(word))
    }
    return out line
  }
  BEGIN {
    hex = "[0-9a-fA-F]"
    four = hex hex hex hex
  }
  {
    line = replace($0, four four four hex "*", "id")
    line = replace(line, "[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+", "ip")
    line = replace(line, hex hex ":" hex hex ":" hex hex ":" hex hex ":" hex hex ":" hex hex, "mac")
    line = replace(line, "IBM,[0-9][0-9A-F]+", "serial")
    line = name(line, domain, "example.com")
    line = name(line, client, "CLIENT")
    line = name(line, master, "MASTER")
    line = name(line, toupper(host), "HOST")
    print name(line, host, "HOST")
  }
' "$raw" >"$work/redacted" 2>/dev/null
echo
[ -s "$work/redacted" ] || { echo "first-contact: the answers cannot be redacted" >&2; exit 1; }
cp "$work/redacted" "$out" || exit 1
echo "$number answers are in $out. Read it; then send it to us with what looked odd."
