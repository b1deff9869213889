# The program that runs on a host for each call of nimshift: POSIX shell, as
# ksh88 and ksh93 of AIX, dash, mksh and bash speak it. No setsid, nohup, mktemp,
# stat, GNU option, arithmetic past 2^31, or descriptor above 2 that a command
# would have to inherit. What is sent ends with the one line that calls a
# function: a part of it does nothing.
#
# A job is a directory. What is in it:
#   job      the program: commands, runner; renamed into place when it is whole
#   p.PID    a runner's line, "PID BOOT...", written before it claims
#   claim    hard link to the one winning p.PID. ln(1) fails where the name
#            exists: at most one run, however many start it, and however late.
#            Who ends a job that has not begun claims it as well: with "none" for
#            PID, or with "gone" where a boot may have taken an earlier claim
#   o.N e.N  output of command N, made before the claim
#   s.N.RC.T command N ended with RC after T seconds: a hard link to the claim,
#            for a name needs no room where a full disk has none left
#   stop     the job was told to end
#   done     the runner has ended, and has said all
# Beside the directories, "boot" holds the boot that the last job was begun in,
# and a link "bar.PREFIX@WHO" bars jobs whose names begin so. Who bars makes the
# link and looks for claims, a runner claims and looks for links: one of the two
# sees the other.
#
# A redirection that fails ends the whole shell where it stands at a special
# builtin (: . eval exec exit export readonly return set shift times trap unset
# break continue), in dash, ksh and mksh: it stands at true, or in a subshell.

# shellcheck disable=SC2154 # nm_nonce, nm_root, nm_count ... stand before
# shellcheck disable=SC2012,SC2034,SC2317
# shellcheck disable=SC3028 # SECONDS is looked for, not relied upon

PATH=${PATH:-/usr/bin}:/usr/sbin:/sbin:/usr/bin:/bin:/etc
LC_ALL=C
COLUMNS=512
export PATH LC_ALL COLUMNS

# Sets nm_s: 128+n for signal n, whatever this shell calls it.
nm_status() {
  nm_s=$1
  if [ "$nm_s" -gt 384 ]; then
    nm_s=$((nm_s - 256))
  elif [ "$nm_s" -gt 256 ]; then
    nm_s=$((nm_s - 128))
  fi
}

# Sets nm_took: seconds since this shell had counted to $1; - where it does not
# count, or not well.
nm_since() {
  nm_took=-
  case "$1/${SECONDS:-}" in
    /* | */ | *[!0-9./]*) return 0 ;;
  esac
  nm_took=$((${SECONDS%%.*} - ${1%%.*}))
}

nm_mark() {
  echo ""
  echo "@$nm_nonce $1"
}

nm_goes_on() {
  case "$nm_s $nm_tolerate" in
    "0 "* | *" $nm_i "*) return 0 ;;
  esac
  return 1
}

nm_hello() {
  nm_mark hello
  nm_mark hello >&2
}

nm_end() {
  nm_mark end >&2
  nm_mark end
}

# Runs the commands in the open.
nm_exec() {
  nm_i=0
  while [ "$nm_i" -lt "$nm_count" ]; do
    nm_from=${SECONDS:-}
    (nm_command "$nm_i") </dev/null
    nm_status $?
    nm_since "$nm_from"
    nm_mark "o $nm_i $nm_s $nm_took"
    nm_mark "e $nm_i" >&2
    nm_goes_on || break
    nm_i=$((nm_i + 1))
  done
}

# Sets nm_boot: when, and from what, this host was booted.
nm_read_boot() {
  nm_boot_when=$(TZ=UTC0 who -b 2>/dev/null | awk '{ $1 = $1; print; exit }')
  nm_boot_disk=$(getconf BOOT_DEVICE 2>/dev/null)
  case $nm_boot_disk in
    *[!A-Za-z0-9]*) nm_boot_disk= ;;
  esac
  nm_boot="${nm_boot_when:--} ${nm_boot_disk:--}"
}

# Whether PID runs this job: 0 it does, 1 it does not, 2 cannot be told.
nm_runs() {
  case $1 in
    '' | *[!0-9]*) return 1 ;;
  esac
  kill -0 "$1" 2>/dev/null || return 1
  nm_args=$(ps -p "$1" -o args= 2>/dev/null)
  case $nm_args in
    *"$nm_j/job"*) return 0 ;;
    *'<defunct>'*) return 1 ;;
    '') kill -0 "$1" 2>/dev/null || return 1 ;;
    # AIX says no more where the arguments are paged out.
    '['*']') ;;
    *) return 1 ;;
  esac
  return 2
}

# Sets nm_holders: who still has the job's output open.
nm_read_holders() {
  nm_holders=$(fuser "$nm_j"/o.* "$nm_j"/e.* 2>/dev/null | sed 's/[^0-9 ]/ /g')
  # shellcheck disable=SC2086,SC2116 # onto one line
  nm_holders=$(echo $nm_holders)
}

# Sets nm_st and, for what is gone, nm_why.
nm_state() {
  nm_st=absent
  nm_why=
  nm_pid=
  nm_was=
  if [ ! -f "$nm_j/claim" ]; then
    # Where the host was booted since the last job was begun, a claim may have
    # been lost with the power, and its effect not.
    [ -f "$nm_root/boot" ] || return 0
    nm_read_boot
    read -r nm_was 2>/dev/null <"$nm_root/boot"
    [ "$nm_was" = "$nm_boot" ] || nm_st=rebooted
    return 0
  fi
  nm_st='done'
  [ -f "$nm_j/done" ] && return 0
  read -r nm_pid nm_was 2>/dev/null <"$nm_j/claim"
  nm_st=unbegun
  [ "$nm_pid" = none ] && return 0
  nm_read_boot
  nm_st=running
  nm_runs "$nm_pid"
  case $? in
    0) return 0 ;;
    2) [ "$nm_was" = "$nm_boot" ] && return 0 ;;
  esac
  # It may have ended between the two looks.
  nm_st='done'
  [ -f "$nm_j/done" ] && return 0
  # Somebody ended the runner alone.
  nm_st=running
  nm_read_holders
  [ -n "$nm_holders" ] && return 0
  nm_st=lost
  nm_why=ended
  [ "$nm_was" = "$nm_boot" ] || nm_why=rebooted
}

# Sets nm_by: who has barred the job.
nm_read_bar() {
  nm_by=
  for nm_f in "$nm_root"/bar.*@*; do
    [ -h "$nm_f" ] || continue
    nm_f=${nm_f##*/bar.}
    case ${nm_j##*/} in
      "${nm_f%%@*}"*) nm_by=${nm_f#*@} ;;
    esac
  done
}

nm_bytes() {
  ls -ln "$nm_j" 2>/dev/null |
    awk '$NF ~ /^[oe][.][0-9]+$/ { n += $5 } END { printf "%.0f\n", n }'
}

# Sets nm_age: for how many seconds, by this host, the job's runner has been there;
# - where that cannot be told. etime is [[days-]hours:]minutes:seconds.
nm_read_age() {
  nm_age=
  nm_runs "$nm_pid" && nm_age=$(ps -p "$nm_pid" -o etime= 2>/dev/null | awk '{
    n = split($1, t, /[-:]/)
    if (n > 1) printf "%.0f\n", t[n] + 60 * t[n - 1] + 3600 * t[n - 2] + 86400 * t[n - 3]
  }')
  nm_age=${nm_age:--}
}

# Says what became of the job.
nm_tell() {
  nm_state
  case $nm_st in
    absent | rebooted | unbegun) nm_mark "j $nm_st" ;;
    running)
      nm_read_age
      nm_mark "j running $(nm_bytes) $nm_age"
      ;;
    lost) nm_mark "j lost $nm_why" ;;
    done)
      nm_i=0
      while [ -f "$nm_j/o.$nm_i" ]; do
        nm_s=
        for nm_f in "$nm_j/s.$nm_i".*; do
          [ -f "$nm_f" ] || continue
          nm_f=${nm_f##*"/s.$nm_i."}
          nm_s=${nm_f%%.*}
          nm_took=${nm_f#*.}
        done
        [ -n "$nm_s" ] || break
        nm_last "$nm_j/o.$nm_i"
        nm_mark "o $nm_i $nm_s $nm_took"
        nm_last "$nm_j/e.$nm_i" >&2
        nm_mark "e $nm_i" >&2
        nm_i=$((nm_i + 1))
      done
      if [ "$nm_i" -eq 0 ] && [ -e "$nm_j/o.0" ]; then
        nm_st=unbegun
        nm_read_bar
        [ -z "$nm_by" ] || nm_st="barred $nm_by"
      fi
      nm_mark "j $nm_st"
      ;;
  esac
}

# Says the end of a file, a little more than is kept. awk's numbers do not end at
# 2^31.
nm_last() {
  nm_n=$(ls -ln "$1" 2>/dev/null | awk -v kept="$nm_blocks" '
    { n = int(($5 + 511) / 512) - kept; if (n < 0) n = 0; printf "%.0f\n", n }')
  dd if="$1" bs=512 skip="${nm_n:-0}" count="$nm_blocks" 2>/dev/null
}

nm_fails() {
  nm_mark "x $(echo "$1" | tr '\012' ' ')"
}

# Makes the name NAME in the job's directory: rather stays than loses it.
nm_keep() {
  until ln "$nm_p" "$nm_j/$1" || [ -f "$nm_j/$1" ] || [ ! -d "$nm_j" ]; do
    sleep 2
  done
}

nm_start() {
  umask 077
  # Who forgets other jobs may remove what is empty.
  for nm_try in 1 2 3; do
    nm_e=$(mkdir -p "$nm_root" 2>&1)
    nm_e=$nm_e\ $(mkdir "$nm_j" 2>&1)
    [ -d "$nm_j" ] && break
  done
  [ -d "$nm_j" ] || {
    nm_fails "no directory for the job: $nm_e"
    return 0
  }
  if [ ! -f "$nm_j/claim" ]; then
    nm_read_bar
    [ -z "$nm_by" ] || {
      rmdir "$nm_j" 2>/dev/null
      nm_mark "j barred $nm_by"
      return 0
    }
    nm_stage || return 0
    # The runner holds the pipe open until it has claimed, or lost: no sleep, and
    # no $(... &), for which ksh93 waits as long as the job takes.
    (
      trap '' HUP
      "$nm_sh" "$nm_j/job" 2>/dev/null </dev/null &
    ) | cat >/dev/null
    [ -f "$nm_j/claim" ] || {
      nm_fails "the job's runner did not come up in $nm_j"
      return 0
    }
  fi
  nm_tell
}

# Makes ready what a runner needs. Nothing runs where a disk is full.
nm_stage() {
  nm_t=$nm_j/j.$$
  { nm_job >"$nm_t"; } 2>/dev/null
  nm_got=$(cksum <"$nm_t" 2>/dev/null | awk '{ print $1, $2 }')
  if [ "$nm_got" != "$nm_sum" ]; then
    rm -f "$nm_t"
    nm_fails "the job cannot be written to $nm_j (is the disk full?)"
    return 1
  fi
  nm_i=0
  while [ "$nm_i" -lt "$nm_count" ]; do
    { true >>"$nm_j/o.$nm_i" && true >>"$nm_j/e.$nm_i"; } 2>/dev/null || break
    nm_i=$((nm_i + 1))
  done
  nm_read_boot
  { echo "$nm_boot" >"$nm_root/b.$$"; } 2>/dev/null
  nm_was=
  read -r nm_was 2>/dev/null <"$nm_root/b.$$"
  if [ "$nm_i" -lt "$nm_count" ] || [ "$nm_was" != "$nm_boot" ] ||
    ! mv -f "$nm_t" "$nm_j/job" 2>/dev/null; then
    rm -f "$nm_t" "$nm_root/b.$$"
    nm_fails "the job cannot be made ready in $nm_j (is the disk full?)"
    return 1
  fi
  mv -f "$nm_root/b.$$" "$nm_root/boot" 2>/dev/null
  return 0
}

# The runner: a process of its own, whose arguments hold the job's path.
nm_run() {
  nm_p=$nm_j/p.$$
  nm_read_boot
  { echo "$$ $nm_boot" >"$nm_p"; } 2>/dev/null
  nm_pid=
  nm_was=
  read -r nm_pid nm_was 2>/dev/null <"$nm_p"
  # A line that a full disk cut short must not claim, nor a shell that cannot
  # leave its streams.
  if [ "$nm_pid $nm_was" != "$$ $nm_boot" ] ||
    ! (exec >/dev/null </dev/null) || ! ln "$nm_p" "$nm_j/claim" 2>/dev/null; then
    rm -f "$nm_p"
    return 0
  fi
  # The claim must outlive a power cut that comes after the first effect.
  sync
  exec >/dev/null 2>&1 </dev/null
  cd /
  umask 022
  nm_i=0
  nm_read_bar
  while [ -z "$nm_by" ] && [ "$nm_i" -lt "$nm_count" ] && [ ! -f "$nm_j/stop" ]; do
    # A status is told of a command that began.
    true >>"$nm_j/o.$nm_i" 2>>"$nm_j/e.$nm_i" </dev/null || break
    nm_from=${SECONDS:-}
    (nm_command "$nm_i") >>"$nm_j/o.$nm_i" 2>>"$nm_j/e.$nm_i" </dev/null
    nm_status $?
    nm_since "$nm_from"
    nm_keep "s.$nm_i.$nm_s.$nm_took"
    nm_goes_on || break
    nm_i=$((nm_i + 1))
  done
  nm_keep 'done'
  sync
}

# Sets nm_tree: all descendants of PID, and all of nm_holders, but shells of the
# runner, which wait for what they began. Parents first: one whose children are
# gone might end as if all were well.
nm_read_tree() {
  nm_tree=$(ps -A -o pid= -o ppid= -o args= 2>/dev/null |
    awk -v root="$1" -v held="$nm_holders" -v job="$nm_j/job" '
      { parent[$1] = $2; if (index($0, job)) shell[$1] = 1 }
      END {
        n = split(held, pids, " ")
        for (i = 1; i <= n; i++) found[pids[i]] = 99
        for (p in parent) {
          q = parent[p]
          for (n = 0; n < 64 && q != root && q > 1; n++) q = parent[q]
          if (q == root) found[p] = n
        }
        for (p in found) if (!(p in shell)) print found[p], p
      }' | sort -n | awk '{ print $2 }')
  # shellcheck disable=SC2086,SC2116 # onto one line
  nm_tree=$(echo $nm_tree)
}

# Claims a job that nobody has begun, or nobody since the host was booted: a
# start that is still under way finds it claimed.
nm_forestall() {
  umask 077
  nm_pid=none
  [ "$nm_st" = rebooted ] && nm_pid=gone
  mkdir -p "$nm_root" 2>/dev/null
  mkdir "$nm_j" 2>/dev/null
  nm_p=$nm_j/p.$$
  # On a full disk it is empty, and claims all the same.
  { echo "$nm_pid" >"$nm_p"; } 2>/dev/null
  ln "$nm_p" "$nm_j/claim" 2>/dev/null
  nm_state
}

# TERM at first, to all but the runner, which writes down what came of it; KILL
# to it as well when told again, or where not even a name can be written.
nm_kill() {
  nm_state
  case $nm_st in
    absent | rebooted)
      nm_forestall
      [ -f "$nm_j/claim" ] || {
        nm_fails "a job that has not begun cannot be kept from it in $nm_j (is the disk full?)"
        return 0
      }
      ;;
  esac
  if [ "$nm_st" = running ]; then
    nm_signal=KILL
    ln "$nm_j/claim" "$nm_j/stop" 2>/dev/null && nm_signal=TERM
    # A number that is another process by now is nobody's parent here.
    nm_runs "$nm_pid" || nm_pid=none
    nm_read_holders
    nm_read_tree "$nm_pid"
    [ "$nm_signal" = TERM ] || nm_tree="${nm_pid#none} $nm_holders $nm_tree"
    for nm_f in $nm_tree; do
      kill -"$nm_signal" "$nm_f" 2>/dev/null
    done
    for nm_f in 1 2; do
      nm_state
      [ "$nm_st" = running ] || break
      sleep 1
    done
  fi
  nm_tell
}

# Whether the job was claimed by who kept it from beginning.
nm_is_forestalled() {
  [ -f "$nm_j/claim" ] && [ ! -f "$nm_j/done" ] || return 1
  nm_pid=
  read -r nm_pid nm_was 2>/dev/null <"$nm_j/claim"
  case $nm_pid in
    '' | none | gone) return 0 ;;
  esac
  return 1
}

# Removes the jobs whose names begin with PREFIX and that do not run. The start of
# one that was kept from beginning may still be under way: its claim stays for a
# day, and goes with whatever is removed here after that.
nm_forget() {
  for nm_j in "$nm_root"/*; do
    [ -d "$nm_j" ] || continue
    if nm_is_forestalled; then
      [ -n "$(find "$nm_j/claim" -mtime +0 2>/dev/null)" ] || continue
    else
      case ${nm_j##*/} in
        "$1"*) ;;
        *) continue ;;
      esac
      nm_state
      [ "$nm_st" = running ] && continue
    fi
    # In one go: half a job would be another state.
    nm_f=$nm_root/gone.$$.${nm_j##*/}
    mv "$nm_j" "$nm_f" 2>/dev/null
  done
  rm -rf "$nm_root"/gone.* 2>/dev/null
  nm_left=
  for nm_f in "$nm_root"/*; do
    case $nm_f in
      "$nm_root/boot" | "$nm_root/*") ;;
      *) nm_left=yes ;;
    esac
  done
  if [ -z "$nm_left" ]; then
    rm -f "$nm_root/boot"
    rmdir "$nm_root" 2>/dev/null
  fi
  nm_mark "j ready"
}

# Names the jobs whose names begin with PREFIX and that have not ended.
nm_unfinished() {
  for nm_j in "$nm_root/$1"*; do
    [ -d "$nm_j" ] || continue
    nm_state
    [ "$nm_st" = running ] && nm_mark "u ${nm_j##*/}"
  done
  nm_mark "j ready"
}

# Names the bars that stand: PREFIX@WHO.
nm_bars() {
  for nm_f in "$nm_root"/bar.*@*; do
    [ -h "$nm_f" ] && nm_mark "u ${nm_f##*/bar.}"
  done
  nm_mark "j ready"
}

# Bars jobs whose names begin with PREFIX, for WHO. A name needs no room.
nm_shut() {
  umask 077
  nm_f="$nm_root/bar.$1@$2"
  nm_e=$(mkdir -p "$nm_root" 2>&1)
  [ -h "$nm_f" ] || nm_e=$nm_e\ $(ln -s "$2" "$nm_f" 2>&1)
  [ -h "$nm_f" ] || {
    nm_fails "jobs cannot be barred: $nm_e"
    return 0
  }
  sync
  nm_mark "j ready"
}

nm_reopen() {
  rm -f "$nm_root/bar.$1@$2"
  rmdir "$nm_root" 2>/dev/null
  nm_mark "j ready"
}

# Reads command N's output from a block of each stream on, so many blocks.
nm_read() {
  nm_over=yes
  nm_state
  [ "$nm_st" = running ] && nm_over=no
  nm_ended=no
  for nm_f in "$nm_j/s.$1".*; do
    [ -f "$nm_f" ] && nm_ended=yes
  done
  dd if="$nm_j/o.$1" bs=512 skip="$2" count="$4" 2>/dev/null
  nm_mark "po"
  dd if="$nm_j/e.$1" bs=512 skip="$3" count="$4" 2>/dev/null
  nm_mark "pe"
  nm_mark "j read $nm_ended $nm_over"
}
