# shellcheck shell=bash
# Database servers for the tests, to be sourced by a bash script with `set -euo pipefail`.
#
#   find_postgres, find_mariadb     set `found_url` to a server that may be used: the one that the
#                                   environment names, one that runs locally and asks no password,
#                                   or a throw-away instance (installed first where need be)
#   start_postgres NAME [OPTION…]   start one throw-away instance; set `started_url`,
#   start_mariadb NAME [OPTION…]    `started_port`, `started_pid`, `started_dir`; the options go
#                                   to the server
#   stop_server PID                 stop one of them early
#   on_exit FUNCTION                run it at exit, before the servers are stopped
#
# Everything that was started is stopped, and its files are removed, when the script ends. Nothing
# else is ever stopped. Throw-away instances listen on 127.0.0.1 only and give up durability.

servers_dir=
server_pids=()
exit_functions=()

say() { printf '%s\n' "$*" >&2; }

# One sentence that says what to do, and out.
give_up() {
    say "$0: $*"
    exit 1
}

on_exit() { exit_functions+=("$1"); }

leave() {
    local status=$? function pid
    trap - EXIT INT TERM HUP
    for function in ${exit_functions[@]+"${exit_functions[@]}"}; do "$function" || true; done
    for pid in ${server_pids[@]+"${server_pids[@]}"}; do stop_server "$pid"; done
    if [[ -n $servers_dir ]]; then rm -rf -- "$servers_dir"; fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- Which server ----

find_postgres() {
    found_url=${RECORD_TEST_POSTGRES:-}
    if [[ -n $found_url ]]; then return; fi
    if [[ -z ${RECORD_TEST_FRESH:-} ]] && running_postgres; then
        say "PostgreSQL: the server on 127.0.0.1:5432"
        return
    fi
    postgres_bin >/dev/null || install_servers postgresql
    postgres_bin >/dev/null || give_up \
        "install PostgreSQL (initdb and postgres), or set RECORD_TEST_POSTGRES to the URL of a server, such as postgres://postgres@127.0.0.1:5432/postgres."
    start_postgres postgres
    found_url=$started_url
}

find_mariadb() {
    found_url=${RECORD_TEST_MYSQL:-}
    if [[ -n $found_url ]]; then return; fi
    if [[ -z ${RECORD_TEST_FRESH:-} ]] && running_mariadb; then
        say "MariaDB: the server on 127.0.0.1:3306"
        return
    fi
    mariadb_programs || install_servers mariadb-server
    mariadb_programs || give_up \
        "install MariaDB (mariadbd and mariadb-install-db), or set RECORD_TEST_MYSQL to the URL of a server, such as mysql://root@127.0.0.1:3306/mysql."
    start_mariadb mariadb
    found_url=$started_url
}

# A server on the default port that lets us in without a password and lets us create databases.
# Without the client program none is found: whether a password is asked cannot be seen.
running_postgres() {
    local user psql
    psql=$(find_program psql) || return 1
    for user in postgres "$(id -un)"; do
        found_url=postgres://$user@127.0.0.1:5432/postgres
        if [[ $(PGCONNECT_TIMEOUT=3 "$psql" -XAtw "$found_url" -c \
            'SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user' \
            </dev/null 2>/dev/null) == t ]]; then return; fi
    done
    return 1
}

running_mariadb() {
    local client
    client=$(find_program mariadb mysql) || return 1
    found_url=mysql://root@127.0.0.1:3306/mysql
    "$client" --no-defaults --protocol=tcp --host=127.0.0.1 --port=3306 --user=root --password= \
        --loose-skip-ssl --connect-timeout=3 --execute='SELECT 1' </dev/null >/dev/null 2>&1
}

# ---- Throw-away instances ----

start_postgres() {
    local name=$1 bin log owner began=$SECONDS
    shift
    bin=$(postgres_bin)
    owner=$(first_user postgres nobody)
    new_server_dir "$name" "$owner"
    log=$started_dir/log
    as_owner "$bin/initdb" --pgdata="$started_dir/data" --username=postgres --auth=trust \
        --encoding=UTF8 --locale=C --no-sync >"$log" 2>&1 || show_and_give_up "$log" "initdb failed."
    as_owner_in_background "$log" "$bin/postgres" -D "$started_dir/data" -p "$started_port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=500 \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off "$@"
    await_line "$log" 'database system is ready to accept connections' PostgreSQL
    started_url=postgres://postgres@127.0.0.1:$started_port/postgres
    say "PostgreSQL: a throw-away instance on port $started_port, ready after $((SECONDS - began)) s"
}

start_mariadb() {
    local name=$1 log owner as=() began=$SECONDS
    shift
    mariadb_programs
    owner=$(first_user mysql nobody)
    new_server_dir "$name" "$owner"
    log=$started_dir/log
    if [[ -n $owner ]]; then as=(--user="$owner"); fi
    "$mariadb_install" --no-defaults --datadir="$started_dir/data" ${as[@]+"${as[@]}"} \
        --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve \
        --loose-innodb-flush-method=nosync >"$log" 2>&1 ||
        show_and_give_up "$log" "mariadb-install-db failed."
    as_owner_in_background "$log" "$mariadb_server" --no-defaults --datadir="$started_dir/data" \
        --port="$started_port" --bind-address=127.0.0.1 --socket="$started_dir/s" \
        --pid-file="$started_dir/pid" --skip-name-resolve --max-connections=500 --skip-log-bin \
        --lock-wait-timeout=60 --innodb-flush-log-at-trx-commit=0 --loose-innodb-flush-method=nosync "$@"
    await_line "$log" 'ready for connections' MariaDB
    started_url=mysql://root@127.0.0.1:$started_port/mysql
    say "MariaDB: a throw-away instance on port $started_port, ready after $((SECONDS - began)) s"
}

# Stops one of ours: asked first, made to after ten seconds.
stop_server() {
    local pid=$1 other others=() tries
    for other in ${server_pids[@]+"${server_pids[@]}"}; do
        if [[ $other != "$pid" ]]; then others+=("$other"); fi
    done
    server_pids=(${others[@]+"${others[@]}"})
    # To PostgreSQL, INT means to stop without waiting for clients; MariaDB heeds TERM.
    kill -INT "$pid" 2>/dev/null || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    for ((tries = 0; tries < 100; tries++)); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
}

# Sets `started_dir`, `started_port` and `started_owner` (nothing unless we are root).
new_server_dir() {
    if [[ -z $servers_dir ]]; then
        # In /tmp whatever TMPDIR says: a socket's path must be short and every user must get there.
        servers_dir=$(mktemp -d /tmp/record-test.XXXXXX)
        chmod 711 "$servers_dir"
    fi
    started_dir=$servers_dir/$1 started_owner=$2 started_port=$(free_port)
    mkdir "$started_dir"
    if [[ -n $started_owner ]]; then chown "$started_owner" "$started_dir"; fi
}

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# Database servers refuse to run as root: the first of these users that there is, if we are root.
first_user() {
    local user
    if ((EUID != 0)); then return; fi
    for user; do
        if id "$user" >/dev/null 2>&1; then
            echo "$user"
            return
        fi
    done
    give_up "run this as a user other than root: no other account was found to run a database server as."
}

# Runs a program from the directory of the instance, as its owner. Replaces the (sub)shell.
exec_as_owner() {
    cd "$started_dir" || exit
    if [[ -z $started_owner ]]; then
        exec "$@"
    elif command -v setpriv >/dev/null; then
        exec setpriv --reuid="$started_owner" --regid="$(id -g "$started_owner")" --clear-groups -- "$@"
    else
        exec su -s /bin/sh "$started_owner" -c 'exec "$0" "$@"' -- "$@"
    fi
}

as_owner() { (exec_as_owner "$@"); }

# Sets `started_pid`, and sees to it that the process ends with the script.
as_owner_in_background() {
    local log=$1
    shift
    (exec_as_owner "$@") </dev/null >>"$log" 2>&1 &
    started_pid=$!
    server_pids+=("$started_pid")
}

await_line() {
    local log=$1 line=$2 what=$3 tries
    for ((tries = 0; tries < 600; tries++)); do
        if grep -q "$line" "$log"; then return; fi
        kill -0 "$started_pid" 2>/dev/null || show_and_give_up "$log" "$what did not start."
        sleep 0.1
    done
    show_and_give_up "$log" "$what was not ready within a minute."
}

show_and_give_up() {
    tail -n 20 "$1" >&2
    give_up "$2"
}

# ---- Programs ----

# The path of the first of these programs that is there, also where only root has it in PATH.
find_program() {
    PATH=$PATH:/usr/sbin:/usr/local/sbin type -P "$@" | head -n 1 | grep .
}

# The directory of PostgreSQL's server programs: in PATH, else the newest that Debian keeps aside.
postgres_bin() {
    local initdb
    initdb=$({
        find_program initdb
        ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -rV
    } | head -n 1)
    [[ -n $initdb && -x ${initdb%/*}/postgres ]] && echo "${initdb%/*}"
}

mariadb_programs() {
    mariadb_server=$(find_program mariadbd) && mariadb_install=$(find_program mariadb-install-db)
}

# Installs a Debian package without starting the server in it, where that can be done: who calls it
# looks afterwards whether the programs are there.
install_servers() {
    local as_root=() policy=/usr/sbin/policy-rc.d status=0
    command -v apt-get >/dev/null || return 0
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null || return 0
        as_root=(sudo -n)
    fi
    say "installing $1 …"
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | ${as_root[@]+"${as_root[@]}"} tee "$policy" >/dev/null
        ${as_root[@]+"${as_root[@]}"} chmod 755 "$policy"
    else
        policy=
    fi
    {
        ${as_root[@]+"${as_root[@]}"} apt-get update -qq &&
            ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends "$1"
    } >&2 </dev/null || status=$?
    if [[ -n $policy ]]; then ${as_root[@]+"${as_root[@]}"} rm -f "$policy"; fi
    if ((status != 0)); then say "apt-get could not install $1."; fi
}
