# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts of this folder. Where Debian's packages come from is the machine's own business:
# everything here is derived from its apt sources.

# The URI of the Debian archive that this machine already uses.
debian_archive_uri() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' |
        awk -F'|' -v codename="$(debian_codename)" \
            '$1 == "Debian" && $2 == "Debian" && $3 == codename { print $4; exit }'
}

debian_codename() {
    (. /etc/os-release && echo "$VERSION_CODENAME")
}

debian_major() {
    (. /etc/os-release && echo "$VERSION_ID")
}

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# Runs apt-get and shows what it said only when it fails; other package managers' locks are waited for.
quiet_apt_get() {
    local log status=0
    log=$(mktemp)
    DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
        "$@" >"$log" 2>&1 </dev/null || status=$?
    [ "$status" -eq 0 ] || { tail -n 30 "$log" >&2; rm -f "$log"; die "apt-get $1 failed"; }
    rm -f "$log"
}
